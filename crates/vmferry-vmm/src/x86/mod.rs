//! The machine `ferry-x86`: x86-64 vCPUs on KVM, RAM, and a few devices.
//!
//! ```text
//!   vCPU threads ──KVM_RUN──► kernel: guest, local APICs, clock, memory slots ──► RAM (memfd)
//!        │ exits                                     │ which pages were written
//!        ▼                                           ▼
//!   devices (bus)                          dirty log, or dirty rings ──► engine
//! ```
//!
//! | file | what |
//! |---|---|
//! | `kvm` | the kernel's mechanisms, with all `unsafe` code |
//! | `machine` | the machine, as the engine sees it |
//! | `vcpu`, `bus` | threads and devices |
//! | `dirty_log`, `dirty_ring` | which pages the guest wrote |
//! | `state`, `clock` | what moves |
//! | [`guest`] | the self-checking program, and what an image may rely on |
//!
//! The local APICs are in the kernel (`KVM_CAP_SPLIT_IRQCHIP`); there is no I/O APIC, no PIC and no PIT, since no
//! device raises an interrupt, and so there is no state of theirs.

mod bus;
mod clock;
mod dirty_log;
mod dirty_ring;
pub mod guest;
mod kvm;
mod machine;
mod state;
#[cfg(test)]
mod tests;
pub mod types;
mod vcpu;

pub use kvm::host::NoKvm;
pub use machine::{FerryX86, RAM_BLOCK, X86Config};
