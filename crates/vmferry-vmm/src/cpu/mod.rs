//! The soft CPU: one RISC-V hart, RV64IMAC with Zicsr and Zifencei, machine mode only.
//!
//! It exists so that a guest can run, and move, on any host. It is an interpreter with a cache of decoded
//! instructions; all of its state is in plain fields, so that an image of it can be taken between any two
//! instructions and a hart made from that image goes on as if nothing had happened.
//!
//! ```text
//!            fetch            decode            execute
//!   pc ──> [cache] ──miss──> [decompress, decode] ──> [execute, atomic, csr] ──> next pc
//!             ^                                            │
//!             └── dropped: fence.i, stores onto it,        ├── exception ──> [trap] ──> mtvec
//!                 restore of an image                      └── device access, CSR: look at the interrupt lines again
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `bus` | what the hart sees of the machine |
//! | `hart` | state and main loop |
//! | `decode`, `decompress` | instruction words and compressed parcels |
//! | `execute`, `atomic` | what instructions do |
//! | `csr`, `trap` | control registers, exceptions and interrupts |
//! | `cache` | decoded instructions |
//! | `image` | the section's state |
//!
//! Sources: *The RISC-V Instruction Set Manual*, volume I (unprivileged, 20191213) and II (privileged, 20211203).
//! Where the manual leaves a choice, the hart does what QEMU's `-cpu
//! rv64i,m=true,a=true,c=true,zicsr=true,zifencei=true` does, as far as `tests/cpu_against_qemu.rs` compares it;
//! differences are marked `Differs from QEMU:`.

mod atomic;
mod bus;
mod cache;
mod csr;
mod decode;
mod decompress;
mod execute;
mod hart;
#[cfg(test)]
mod hart_tests;
mod image;
mod instruction;
mod registers;
mod trap;

pub use bus::{Bus, BusFault, Lines, Width};
pub use csr::Csrs;
pub use hart::{Exit, Hart, Reservation};
pub use image::{HartImage, HartProps};
pub use registers::Registers;
