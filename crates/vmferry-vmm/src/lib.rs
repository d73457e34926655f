//! Reference virtual machine of vmferry.

pub mod accel;
pub mod cpu;
pub mod devices;
pub mod families;
pub mod guest;
pub mod instance;
mod lifecycle;
pub mod machine;
mod memory_file;
mod run_control;
mod throttle;
#[cfg(target_arch = "x86_64")]
pub mod x86;

/// The code in the project's front page compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct FrontPage;
