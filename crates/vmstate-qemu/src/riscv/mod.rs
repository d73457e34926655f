//! Devices of RISC-V boards, and the CPU.
//!
//! | image | section, version | releases |
//! |---|---|---|
//! | [`cpu`] | `cpu` 1, 5, 10, 12 | 5.2, 7.2, 10.0, 11.1: a layout each |
//! | [`mtimer::MtimerImage`] | `riscv_mtimer` 3 | 7.2 and 10.0 at version 1, 11.1 |
//! | [`plic::PlicImage`] | `riscv_sifive_plic` 1 | all |
//! | [`aplic::AplicImage`] | `riscv_aplic` 3 | 7.2 at version 1, 10.0 at 2, 11.1 |
//! | [`imsic::ImsicImage`] | `riscv_imsic` 2 | 7.2 and 10.0 at version 1, 11.1 |
//! | [`sifive_uart::SifiveUartImage`] | `riscv.sifive.uart` 3 | 7.2 at version 1, 10.0 at 2, 11.1 |
//! | [`sifive_gpio::SifiveGpioImage`] | `sifive_soc.gpio` 1 | all |
//! | [`sifive_pwm::SifivePwmImage`] | `sifive-pwm` 1 | 7.2, 10.0, 11.1 |

pub mod aplic;
pub mod cpu;
pub mod imsic;
pub mod mtimer;
pub mod plic;
pub mod sifive_gpio;
pub mod sifive_pwm;
pub mod sifive_uart;
