//! The families of machine types, and which accelerator each needs.

use std::fmt;

use vmstate::machine::{DeviceType, Global, MachineError, MachineFamily, MachineType, SettingError, Settings};

use crate::accel::Accel;
use crate::guest::GuestParameters;

/// A family with what belongs to it.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// Its machine types.
    pub machines: &'static MachineFamily,
    /// The types of device that have properties.
    pub device_types: &'static [DeviceType],
    /// Name of the accelerator that runs it.
    pub accel: &'static str,
    /// Id of its RAM block.
    pub ram_block: &'static str,
    /// Most vCPUs.
    pub vcpus_max: u32,
    guest: fn(&GuestParameters) -> Vec<u8>,
}

/// Those of this build: the one of the soft CPU first; on x86-64 that of KVM.
pub const FAMILIES: &[Family] = &[
    Family {
        machines: &crate::machine::types::FERRY_VIRT,
        device_types: crate::machine::types::DEVICE_TYPES,
        accel: "soft",
        ram_block: crate::machine::board::RAM_BLOCK,
        vcpus_max: 1,
        guest: crate::guest::image,
    },
    #[cfg(target_arch = "x86_64")]
    Family {
        machines: &crate::x86::types::FERRY_X86,
        device_types: crate::x86::types::DEVICE_TYPES,
        accel: "kvm",
        ram_block: crate::x86::RAM_BLOCK,
        vcpus_max: crate::x86::guest::layout::VCPUS_MAX as u32,
        guest: crate::x86::guest::image,
    },
];

/// Why there is no such machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FamilyError {
    /// No family has it.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// It runs on another accelerator.
    #[error("{machine} runs with --accel {needs}, not with --accel {accel}; with --accel {accel} there are {offered}")]
    Accel {
        /// The machine type.
        machine: String,
        /// The accelerator that it needs.
        needs: &'static str,
        /// The one that was asked for.
        accel: &'static str,
        /// The machine types that there are with that.
        offered: String,
    },
    /// This build has no family for the accelerator.
    #[error("--accel {accel} needs an x86-64 host; --accel soft runs anywhere")]
    Host {
        /// The one that was asked for.
        accel: &'static str,
    },
}

impl Family {
    /// The family that runs on `accel`.
    ///
    /// # Errors
    ///
    /// This host has none.
    pub fn of(accel: &Accel) -> Result<&'static Self, FamilyError> {
        let found = FAMILIES.iter().find(|family| family.accel == accel.name());
        found.ok_or(FamilyError::Host { accel: accel.name() })
    }

    /// The image of its self-checking guest.
    #[must_use]
    pub fn guest(&self, parameters: &GuestParameters) -> Vec<u8> {
        (self.guest)(parameters)
    }

    /// Finds the machine type `name`, the newest of the family if `None`.
    ///
    /// # Errors
    ///
    /// There is none of this name, or it is of another family.
    pub fn select(&self, name: Option<&str>) -> Result<MachineType, FamilyError> {
        let name = name.unwrap_or(self.machines.name);
        self.machines.select(name).map_err(|error| {
            let other = FAMILIES.iter().find_map(|family| Some((family.machines.select(name).ok()?, family.accel)));
            match other {
                Some((machine, needs)) => FamilyError::Accel {
                    machine: machine.name(),
                    needs,
                    accel: self.accel,
                    offered: Names(self.machines).to_string(),
                },
                None => error.into(),
            }
        })
    }

    /// The settings of one of its machine types with those of the command line.
    ///
    /// # Errors
    ///
    /// A setting names an unknown device or property, or a value that does not fit.
    pub fn settings(&self, machine: MachineType, globals: Vec<Global>) -> Result<Settings, SettingError> {
        Settings::new(machine, globals, self.device_types)
    }

    /// Finds a machine type by its name in whichever family has it.
    ///
    /// # Errors
    ///
    /// None has.
    pub fn find(name: &str) -> Result<(&'static Self, MachineType), FamilyError> {
        let found = FAMILIES.iter().find_map(|family| Some((family, family.machines.select(name).ok()?)));
        match (found, FAMILIES.first()) {
            (Some(found), _) => Ok(found),
            (None, Some(first)) => Ok((first, first.machines.select(name)?)),
            (None, None) => Err(FamilyError::Host { accel: "soft" }),
        }
    }
}

struct Names(&'static MachineFamily);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, machine) in self.0.machine_types().enumerate() {
            write!(f, "{}{}", if index > 0 { ", " } else { "" }, machine.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_of_another_accelerator_is_refused_with_what_to_do() {
        let soft = Family::of(&Accel::Soft).unwrap();
        assert_eq!(soft.select(None).unwrap().name(), "ferry-virt-2.0");
        assert!(soft.select(Some("pc")).unwrap_err().to_string().contains("no machine type 'pc'"));
        if let Ok(kvm) = Family::of(&Accel::Kvm(crate::accel::KvmOptions::default())) {
            assert_eq!(kvm.select(None).unwrap().name(), "ferry-x86-1.0");
            let wrong = kvm.select(Some("ferry-virt-1.1")).unwrap_err().to_string();
            assert!(wrong.contains("--accel soft") && wrong.contains("ferry-x86-1.0"), "{wrong}");
            let wrong = soft.select(Some("ferry-x86")).unwrap_err().to_string();
            assert!(wrong.contains("ferry-x86-1.0 runs with --accel kvm"), "{wrong}");
            assert_eq!(Family::find("ferry-x86-1.0").unwrap().0.accel, "kvm");
        }
    }
}
