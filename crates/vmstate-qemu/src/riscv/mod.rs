//! Devices of RISC-V boards, and the CPU.
//!
//! | image | section, version | releases |
//! |---|---|---|
//! | [`mtimer::MtimerImage`] | `riscv_mtimer` 3 | 7.2 and 10.0 at version 1, 11.1 |
//! | [`plic::PlicImage`] | `riscv_sifive_plic` 1 | all |

pub mod mtimer;
pub mod plic;
