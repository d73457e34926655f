//! Devices of Arm boards, and the CPU.
//!
//! | image | section, version |
//! |---|---|
//! | [`cpu`] | `cpu` 22, in four layouts |
//! | [`armv7m`] | `armv7m_nvic` 4, `armv7m_systick` 3, `armv7m` 1 |
//! | [`gic::GicImage`] | `arm_gic` 12 |
//! | [`gicv3::Gicv3Image`] | `arm_gicv3` 1 |
//! | [`gicv3_its::ItsImage`] | `arm_gicv3_its` 0 |
//! | [`smmuv3::Smmuv3Image`] | `smmuv3` 1 |
//! | [`pl011`] | `pl011` 2, in two layouts |
//! | [`pl031::Pl031Image`] | `pl031` 1 |
//! | [`pl061::Pl061Image`], [`pl061::GpioKeyImage`] | `pl061` 4, `gpio-key` 1 |

pub mod armv7m;
pub mod cpu;
pub mod gic;
pub mod gicv3;
pub mod gicv3_its;
pub mod pl011;
pub mod pl031;
pub mod pl061;
pub mod smmuv3;
