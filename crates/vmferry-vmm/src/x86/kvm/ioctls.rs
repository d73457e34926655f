//! Requests that `kvm-ioctls` lacks, or leaves to the caller's care.
//!
//! | request | number | since Linux |
//! |---|---|---|
//! | `KVM_CLEAR_DIRTY_LOG` | 0xc0 | 5.0 |
//! | `KVM_RESET_DIRTY_RINGS` | 0xc7 | 5.11 |
//! | `KVM_GET_XSAVE`, `KVM_GET_XSAVE2`, `KVM_SET_XSAVE` | by the crate | 2.6.36, 5.17 |
//!
//! Source: `Documentation/virt/kvm/api.rst`, `include/uapi/linux/kvm.h`.

#![expect(unsafe_code, reason = "ioctl(2) with pointers, and KVM's extended state, whose length the kernel assumes")]

use std::io;

use kvm_bindings::{KVMIO, Xsave, kvm_clear_dirty_log, kvm_clear_dirty_log__bindgen_ty_1, kvm_xsave, kvm_xsave2};
use kvm_ioctls::{VcpuFd, VmFd};
use vmm_sys_util::fam::FamStruct;
use vmm_sys_util::ioctl::{ioctl, ioctl_with_ref};
use vmm_sys_util::{ioctl_io_nr, ioctl_iowr_nr};

ioctl_iowr_nr!(KVM_CLEAR_DIRTY_LOG, KVMIO, 0xc0, kvm_clear_dirty_log);
ioctl_io_nr!(KVM_RESET_DIRTY_RINGS, KVMIO, 0xc7);

/// Takes the marks of the pages whose bits are set in `bits` back, and protects the pages: page `64 * i + b` behind
/// `first_page`, a multiple of 64, is bit `b` of word `i`. `pages` is a multiple of 64, or reaches the slot's end.
///
/// # Errors
///
/// `bits` is too short; the kernel's.
pub(crate) fn clear_dirty_log(vm: &VmFd, slot: u32, first_page: u64, pages: u32, bits: &mut [u64]) -> io::Result<()> {
    if u64::from(pages).div_ceil(64) > bits.len() as u64 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let request = kvm_clear_dirty_log {
        slot,
        num_pages: pages,
        first_page,
        __bindgen_anon_1: kvm_clear_dirty_log__bindgen_ty_1 { dirty_bitmap: bits.as_mut_ptr().cast() },
    };
    // SAFETY: `vm` is an open VM, and the request has the kernel's layout (bindgen's). The kernel reads one bit for
    // each of `pages` pages from the bitmap, rounded up to words, all of which lie in `bits` (checked above) and are
    // borrowed for the call.
    let result = unsafe { ioctl_with_ref(vm, KVM_CLEAR_DIRTY_LOG(), &request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Protects again the pages whose entries were given back in any vCPU's ring.
///
/// # Errors
///
/// The kernel's.
pub(crate) fn reset_dirty_rings(vm: &VmFd) -> io::Result<()> {
    // SAFETY: `vm` is an open VM; the request takes no argument, and touches only the rings, which are shared with the
    // kernel as atomics.
    let result = unsafe { ioctl(vm, KVM_RESET_DIRTY_RINGS()) };
    if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Bytes of an XSAVE area for `xsave2`, what the kernel answers to `KVM_CAP_XSAVE2`: at least 4096.
pub(crate) fn xsave_bytes(xsave2: i32) -> usize {
    usize::try_from(xsave2).unwrap_or(0).max(size_of::<kvm_xsave>())
}

fn area(bytes: usize) -> io::Result<Xsave> {
    let extra = bytes.saturating_sub(size_of::<kvm_xsave>());
    Xsave::new(extra.div_ceil(size_of::<<kvm_xsave2 as FamStruct>::Entry>())).map_err(io::Error::other)
}

/// The extended state of a vCPU in an area of `bytes` bytes, what [`xsave_bytes`] says of its VM.
///
/// # Errors
///
/// The kernel's; no memory.
pub(crate) fn get_xsave(vcpu: &VcpuFd, bytes: usize) -> io::Result<Vec<u8>> {
    if bytes <= size_of::<kvm_xsave>() {
        let area = vcpu.get_xsave()?;
        return Ok(area.region.iter().flat_map(|word| word.to_le_bytes()).collect());
    }
    let mut area = area(bytes)?;
    // SAFETY: the kernel writes as many bytes as it answers to KVM_CAP_XSAVE2, and the area has that many: `bytes`
    // comes from that answer. The answer grows only when the process asks for more features by arch_prctl(2), which
    // nothing here does.
    unsafe { vcpu.get_xsave2(&mut area) }?;
    let words = area.as_fam_struct_ref().xsave.region.iter().chain(area.as_slice());
    Ok(words.flat_map(|word| word.to_le_bytes()).take(bytes).collect())
}

/// Sets the extended state of a vCPU; `bytes` is what [`xsave_bytes`] says of its VM, what `state` lacks is 0.
///
/// # Errors
///
/// `state` is longer than `bytes`; the kernel's, of which `EINVAL` means a component that the host has not.
pub(crate) fn set_xsave(vcpu: &VcpuFd, bytes: usize, state: &[u8]) -> io::Result<()> {
    if state.len() > bytes {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut area = area(bytes)?;
    let (words, _) = state.as_chunks::<4>();
    let mut words = words.iter().map(|word| u32::from_le_bytes(*word));
    // SAFETY: only the length of the flexible part is not to be changed through this reference, and it is not.
    let fixed = unsafe { &mut area.as_mut_fam_struct().xsave };
    fixed.region.iter_mut().zip(&mut words).for_each(|(to, word)| *to = word);
    area.as_mut_slice().iter_mut().zip(&mut words).for_each(|(to, word)| *to = word);
    // SAFETY: the kernel reads as many bytes as it answers to KVM_CAP_XSAVE2, or 4096 if it does not know that; the
    // area has at least `bytes`, which comes from that answer and is never below 4096.
    Ok(unsafe { vcpu.set_xsave2(&area) }?)
}
