//! Patches of a guest's accesses to the task priority register: of use to old Windows under KVM, in every PC's streams.
//!
//! | image, version | fields |
//! |---|---|
//! | `kvm-tpr-opt` 1 | `rom_state`; `state`, `real_tpr_addr`, `rom_state_vaddr`, `vapic_paddr`, `rom_state_paddr` u32 |
//! | `kvmvapic-guest-rom` 1 | 8 unused; `vaddr`, `fixup_start`, `fixup_end`, `vapic_vaddr`, `vapic_size`, `vcpu_shift`, `real_tpr_addr` u32; `up`, `mp` |
//! | `kvmvapic-handlers` 1 | `set_tpr`, `set_tpr_eax`, `get_tpr` × 8, `get_tpr_stack` u32 |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`microvm`).

use vmstate::VmState;

/// The patcher.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "kvm-tpr-opt", version = 1)]
#[expect(missing_docs, reason = "addresses, by their names in QEMU")]
pub struct KvmTprOptImage {
    pub rom_state: GuestRomImage,
    pub state: u32,
    pub real_tpr_addr: u32,
    pub rom_state_vaddr: u32,
    pub vapic_paddr: u32,
    pub rom_state_paddr: u32,
}

/// Where its ROM is in the guest.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "kvmvapic-guest-rom", version = 1)]
#[expect(missing_docs, reason = "addresses, by their names in QEMU")]
pub struct GuestRomImage {
    #[vmstate(unused = 8)]
    pub unused: (),
    pub vaddr: u32,
    pub fixup_start: u32,
    pub fixup_end: u32,
    pub vapic_vaddr: u32,
    pub vapic_size: u32,
    pub vcpu_shift: u32,
    pub real_tpr_addr: u32,
    /// For one CPU.
    pub up: HandlersImage,
    /// For several.
    pub mp: HandlersImage,
}

/// Addresses of what is called instead of an access.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "kvmvapic-handlers", version = 1)]
#[expect(missing_docs, reason = "addresses, by their names in QEMU")]
pub struct HandlersImage {
    pub set_tpr: u32,
    pub set_tpr_eax: u32,
    pub get_tpr: [u32; 8],
    pub get_tpr_stack: u32,
}
