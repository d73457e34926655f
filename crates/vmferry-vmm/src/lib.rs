//! Reference virtual machine of vmferry.

pub mod cpu;
pub mod devices;
pub mod guest;
pub mod instance;
pub mod machine;
