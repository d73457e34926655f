//! What every machine sends beside its devices: the virtual clock, the part of a CPU that all targets have, and in
//! which state the machine was.
//!
//! | image | section, version | fields |
//! |---|---|---|
//! | [`CpuCommonImage`] | `cpu_common` 1 | `halted` u32, `interrupt_request` u32 |
//! | [`GlobalStateImage`] | `globalstate` 1 | `size` u32, `runstate` 32 octets, `has_vm_was_suspended` u8, `vm_was_suspended` u8, 66 octets |
//! | [`GlobalState7Image`] | the same | `size` u32, `runstate` 100 octets |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt` of riscv64, `microvm`), `docs/spec/virtio-state.md` section
//! 8, `docs/spec/stream.md` section 9.

pub mod clock;

use vmstate::VmState;

use crate::arrays::Octets;

/// What CPUs of all targets have; one section for each CPU, beside `cpu`.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu_common", version = 1)]
pub struct CpuCommonImage {
    /// Whether it waits for an interrupt.
    pub halted: u32,
    /// Kinds of interrupt that are pending, a bit for each.
    pub interrupt_request: u32,
    /// Sent while an exception is pending (TCG only).
    #[vmstate(subsection)]
    pub exception_index: Option<ExceptionIndexImage>,
    /// Sent after the guest said that it crashed.
    #[vmstate(subsection)]
    pub crash_occurred: Option<CrashOccurredImage>,
}

/// The exception that a CPU is about to take.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu_common/exception_index", version = 1)]
pub struct ExceptionIndexImage {
    /// Its number, of the target; −1 for none.
    pub exception_index: i32,
}

/// That a guest said that it crashed.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "cpu_common/crash_occurred", version = 1)]
pub struct CrashOccurredImage {
    /// Whether it did.
    pub crash_occurred: bool,
}

/// The run state of the source, as QEMU 10.0 and later have it.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "globalstate", version = 1)]
pub struct GlobalStateImage {
    /// Octets of the name, its end mark among them.
    pub size: u32,
    /// The state's name (`running`, `paused`, `prelaunch`, …), filled with zeros.
    #[vmstate(buffer)]
    pub runstate: [u8; 32],
    /// 1: the next field means something.
    pub has_vm_was_suspended: u8,
    /// Whether the guest was suspended before the machine was stopped.
    pub vm_was_suspended: u8,
    /// The rest of what once was one field with the name.
    #[vmstate(name = "unused")]
    pub rest: Octets<66>,
}

/// The run state of the source, as QEMU 5.2 and 7.2 have it: the same octets under other names.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "globalstate", version = 1)]
pub struct GlobalState7Image {
    /// Octets of the name, its end mark among them.
    pub size: u32,
    /// The state's name, filled with zeros.
    pub runstate: Octets<100>,
}
