//! What the host must have for a KVM machine, and a clear word where it has not.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use kvm_ioctls::{Cap, Kvm};

/// Why there can be no KVM machine here. Each says what to do instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoKvm {
    /// The device cannot be opened.
    #[error("there is no KVM here: {path} cannot be opened; --accel soft needs none", path = path.display())]
    Device {
        /// Its path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// It is another device, or another age.
    #[error("{path} answers with version {found} of KVM's interface, not 12; --accel soft needs no KVM", path = path.display())]
    Version {
        /// The device's path.
        path: PathBuf,
        /// What it answered.
        found: i32,
    },
    /// A capability is missing.
    #[error("KVM has no {name} here, which this machine needs; --accel soft needs no KVM")]
    Capability {
        /// The kernel's name for it.
        name: &'static str,
    },
}

/// What every machine needs.
const NEEDED: [(Cap, &str); 9] = [
    (Cap::UserMemory, "KVM_CAP_USER_MEMORY"),
    (Cap::ImmediateExit, "KVM_CAP_IMMEDIATE_EXIT"),
    (Cap::SplitIrqchip, "KVM_CAP_SPLIT_IRQCHIP"),
    (Cap::AdjustClock, "KVM_CAP_ADJUST_CLOCK"),
    (Cap::VcpuEvents, "KVM_CAP_VCPU_EVENTS"),
    (Cap::Debugregs, "KVM_CAP_DEBUGREGS"),
    (Cap::Xsave, "KVM_CAP_XSAVE"),
    (Cap::Xcrs, "KVM_CAP_XCRS"),
    (Cap::MpState, "KVM_CAP_MP_STATE"),
];

/// Opens KVM at `path`, which has everything that a machine needs.
///
/// # Errors
///
/// It has not.
pub(crate) fn open(path: &Path) -> Result<Kvm, NoKvm> {
    let no_device = |source| NoKvm::Device { path: path.to_owned(), source };
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|error| no_device(io::Error::other(error)))?;
    let kvm = Kvm::new_with_path(&name).map_err(|errno| no_device(errno.into()))?;
    let found = kvm.get_api_version();
    if found != 12 {
        return Err(NoKvm::Version { path: path.to_owned(), found });
    }
    match NEEDED.into_iter().find(|(cap, _)| !kvm.check_extension(*cap)) {
        Some((_, name)) => Err(NoKvm::Capability { name }),
        None => Ok(kvm),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_without_kvm_is_told_of_the_alternative() {
        let absent = open(Path::new("/nonexistent/kvm")).unwrap_err().to_string();
        assert!(absent.contains("/nonexistent/kvm") && absent.contains("--accel soft"), "{absent}");
        let other = open(Path::new("/dev/null")).unwrap_err().to_string();
        assert!(other.contains("/dev/null") && other.contains("--accel soft"), "{other}");
    }
}
