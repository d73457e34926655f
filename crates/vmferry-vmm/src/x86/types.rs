//! The machine type `ferry-x86-1.0`.

use vmstate::compat;
use vmstate::machine::{
    DeviceType, Global, MachineError, MachineFamily, MachineType, MachineVersion, SettingError, Settings,
};

use crate::devices::uart::SerialProps;
use crate::machine::types::RELEASE;

/// The family; its own name stands for the newest version.
pub static FERRY_X86: MachineFamily =
    MachineFamily::new("ferry-x86", RELEASE, &[MachineVersion { version: "1.0", compat: compat![] }]);

/// A wrong entry does not compile.
const _: () = FERRY_X86.require(DEVICE_TYPES);

/// The types of device that have properties.
pub const DEVICE_TYPES: &[DeviceType] = &[DeviceType::of::<SerialProps>()];

/// Finds a machine type by its name.
///
/// # Errors
///
/// There is none, and the text lists those that there are; or it was removed, and the text says what to do.
pub fn find(name: &str) -> Result<MachineType, MachineError> {
    FERRY_X86.select(name)
}

/// The settings of a machine type with those of the command line.
///
/// # Errors
///
/// A setting names an unknown device or property, or a value that does not fit.
pub fn settings(machine: MachineType, globals: Vec<Global>) -> Result<Settings, SettingError> {
    Settings::new(machine, globals, DEVICE_TYPES)
}
