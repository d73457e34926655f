//! Devices of RISC-V boards, and the CPU.
//!
//! | image | section, version | releases |
//! |---|---|---|
//! | [`cpu`] | `cpu` 1, 5, 10, 12 | 5.2, 7.2, 10.0, 11.1: a layout each |
//! | [`mtimer::MtimerImage`] | `riscv_mtimer` 3 | 7.2 and 10.0 at version 1, 11.1 |
//! | [`plic::PlicImage`] | `riscv_sifive_plic` 1 | all |

pub mod cpu;
pub mod mtimer;
pub mod plic;
