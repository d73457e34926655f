//! The machine types `ferry-virt-1.0`, `-1.1` and `-2.0`, and what sets them apart.
//!
//! A property of a newer device is off in the machine types that are older than it; that keeps their streams loadable
//! by the releases that had no such property (`docs/spec/compat.md` sections 2 and 3).

use vmstate::machine::{
    DeviceType, Global, MachineError, MachineFamily, MachineType, MachineVersion, SettingError, Settings,
};
use vmstate::{Compat, compat};

use crate::cpu::HartProps;
use crate::devices::uart::SerialProps;

/// Of 2.0, not before: the serial port sends its running receive timeout.
const COMPAT_1_1: Compat = compat![("serial", "migrate-fifo-timeout", "off")];

/// Of 1.1, not before: the hart sends its counters.
const COMPAT_1_0: Compat = compat![("riscv_hart", "migrate-counters", "off")];

/// The release of the reference machine that this is; machine types age by it.
pub(crate) const RELEASE: &str = "2.0";

/// The family; its own name stands for the newest version.
pub static FERRY_VIRT: MachineFamily = MachineFamily::new(
    "ferry-virt",
    RELEASE,
    &[
        MachineVersion { version: "2.0", compat: compat![] },
        MachineVersion { version: "1.1", compat: COMPAT_1_1 },
        MachineVersion { version: "1.0", compat: COMPAT_1_0 },
    ],
);

/// A wrong entry does not compile.
const _: () = FERRY_VIRT.require(DEVICE_TYPES);

/// The types of device that have properties.
pub const DEVICE_TYPES: &[DeviceType] = &[DeviceType::of::<SerialProps>(), DeviceType::of::<HartProps>()];

/// Finds a machine type by its name.
///
/// # Errors
///
/// There is none, and the text lists those that there are; or it was removed, and the text says what to do.
pub fn find(name: &str) -> Result<MachineType, MachineError> {
    FERRY_VIRT.select(name)
}

/// The settings of a machine type with those of the command line.
///
/// # Errors
///
/// A setting names an unknown device or property, or a value that does not fit.
pub fn settings(machine: MachineType, globals: Vec<Global>) -> Result<Settings, SettingError> {
    Settings::new(machine, globals, DEVICE_TYPES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_machine_types_turn_newer_properties_off() {
        let of = |name: &str| {
            let settings = settings(find(name).unwrap(), Vec::new()).unwrap();
            let serial: SerialProps = settings.properties(&[]).unwrap();
            let hart: HartProps = settings.properties(&[]).unwrap();
            (serial.migrate_fifo_timeout, hart.migrate_counters)
        };
        assert_eq!(of("ferry-virt"), (true, true));
        assert_eq!(of("ferry-virt-1.1"), (false, true));
        assert_eq!(of("ferry-virt-1.0"), (false, false));
    }

    #[test]
    fn a_global_overrides_the_machine_type_and_a_wrong_one_is_refused() {
        let globals = vec!["serial.migrate-fifo-timeout=on".parse().unwrap()];
        let serial: SerialProps = settings(find("ferry-virt-1.0").unwrap(), globals).unwrap().properties(&[]).unwrap();
        assert!(serial.migrate_fifo_timeout);
        for wrong in ["serial.migrate-fifo=on", "sreial.migrate-fifo-timeout=on", "serial.migrate-fifo-timeout=7"] {
            assert!(settings(find("ferry-virt").unwrap(), vec![wrong.parse().unwrap()]).is_err(), "{wrong}");
        }
        assert!(
            find("ferry-virt-3.0").unwrap_err().to_string().contains("ferry-virt-2.0, ferry-virt-1.1, ferry-virt-1.0")
        );
    }
}
