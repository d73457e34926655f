//! Peak memory of a child process, which only `wait4(2)` tells.

#![expect(unsafe_code, reason = "the standard library's wait does not return the child's resource usage")]

use std::io;
use std::mem::MaybeUninit;
use std::process::Child;

use anyhow::{Result, bail};

/// Waits for `child`, which must not have been waited for, to end with status 0; gives the most memory that it had, in
/// bytes.
pub(crate) fn wait(child: &Child) -> Result<u64> {
    let pid = libc::pid_t::try_from(child.id())?;
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `status` and `usage` are live, writable and of the types that wait4(2) asks for; all bit patterns of
    // `rusage` are valid, so that reading the zeroed one would be sound even if the kernel left it alone.
    let (waited, usage) = unsafe {
        let waited = libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr());
        (waited, usage.assume_init())
    };
    if waited != pid {
        return Err(io::Error::last_os_error().into());
    }
    if status != 0 {
        bail!("the child ended with wait status {status:#x}");
    }
    // In KiB, getrusage(2).
    Ok(u64::try_from(usage.ru_maxrss)?.saturating_mul(1024))
}
