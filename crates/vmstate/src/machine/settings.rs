//! What a device gets, where each value comes from, and what to warn of.
//!
//! | later wins | origin | applies to |
//! |---|---|---|
//! | 1 | [`Origin::Default`] | each property |
//! | 2 | [`Origin::Compat`] | types that are or derive from the named one; lists of newer machine types first |
//! | 3 | [`Origin::Global`] | the same; in the order of the command line |
//! | 4 | [`Origin::Device`] | one device |
//!
//! Order decides, not how close the named type is to the device: an entry for a parent that comes later beats an
//! earlier one for the type itself (`docs/spec/compat.md` section 2.1, seen with QEMU 10.0). QEMU's accelerator list
//! and the list of legacy options are not here: no accelerator of ours changes a property, and there are no legacy
//! options.

use std::fmt;

use super::{DeviceType, Global, MachineType, Origin, SetProperty, SettingCause, SettingError, Status, Version};
use crate::props::Properties;

/// All settings of one machine.
#[derive(Debug, Clone)]
pub struct Settings {
    machine: MachineType,
    globals: Vec<Global>,
    known: Vec<DeviceType>,
}

/// A setting on its way to a device.
struct Setting<'a> {
    origin: Origin,
    device: &'a str,
    property: &'a str,
    value: &'a str,
    optional: bool,
}

impl Settings {
    /// The settings of a machine type, and those from the command line in their order; a later one wins. `known` are
    /// the types of device of the program, not only those of this machine.
    ///
    /// # Errors
    ///
    /// The tables of the family break a rule ([`MachineFamily::check`]). A global setting names a type of device that
    /// is not in `known`, a property that it or a type that derives from it does not have, or a value that it does
    /// not take. `Differs from QEMU:` it ignores compatibility settings of unknown types, warns of global ones, and
    /// looks at properties when a device is made; our tables belong to one program, so that this is a typing error.
    ///
    /// [`MachineFamily::check`]: super::MachineFamily::check
    pub fn new(machine: MachineType, globals: Vec<Global>, known: &[DeviceType]) -> Result<Self, SettingError> {
        if let Some(finding) = machine.family().check(known).into_iter().next() {
            let machine = finding.machine();
            return Err(SettingError {
                origin: Origin::Compat { machine },
                cause: SettingCause::Table(Box::new(finding)),
            });
        }
        for global in &globals {
            let refused = |cause| SettingError { origin: Origin::Global, cause };
            let mut is_known = false;
            for device in known.iter().filter(|device| device.is_a(&global.device)) {
                is_known = true;
                device
                    .try_set(&global.property, &global.value)
                    .map_err(|error| refused(SettingCause::Property(error)))?;
            }
            if !is_known {
                return Err(refused(SettingCause::UnknownDevice {
                    device: global.device.clone(),
                    known: known.iter().map(|known| known.name).collect(),
                }));
            }
        }
        Ok(Self { machine, globals, known: known.to_vec() })
    }

    /// The machine type.
    #[must_use]
    pub fn machine(&self) -> MachineType {
        self.machine
    }

    /// The settings from the command line, in their order.
    #[must_use]
    pub fn globals(&self) -> &[Global] {
        &self.globals
    }

    /// The types of device.
    #[must_use]
    pub fn known(&self) -> &[DeviceType] {
        &self.known
    }

    /// The same machine type with nothing from the command line.
    pub(super) fn without_globals(&self) -> Self {
        Self { globals: Vec::new(), ..self.clone() }
    }

    /// The properties of a device: defaults, then compatibility, then globals, then `own`, the device's configuration.
    ///
    /// # Errors
    ///
    /// A setting in `own` names a property that the device does not have or a value that it does not take.
    pub fn properties<P: Properties>(&self, own: &[(&str, &str)]) -> Result<P, SettingError> {
        let mut properties = P::defaults();
        self.apply(&mut properties, own, |_| {})?;
        Ok(properties)
    }

    /// The properties of a device with the configuration `own`, each with its value and where that comes from.
    ///
    /// # Errors
    ///
    /// As [`Settings::properties`].
    pub fn describe<P: Properties>(&self, own: &[(&str, &str)]) -> Result<Vec<SetProperty>, SettingError> {
        let mut properties = P::defaults();
        let all = P::PROPERTIES.all();
        let mut origins = vec![Origin::Default; all.len()];
        self.apply(&mut properties, own, |setting| {
            for (property, origin) in all.iter().zip(&mut origins) {
                if property.is_called(setting.property) {
                    *origin = setting.origin.clone();
                }
            }
        })?;
        let set = all.into_iter().zip(origins).filter_map(|(property, origin)| {
            let value = properties.value(property.name)?;
            Some(SetProperty { property, value, origin })
        });
        Ok(set.collect())
    }

    fn apply<'a, P: Properties>(
        &'a self,
        properties: &mut P,
        own: &'a [(&'a str, &'a str)],
        mut note: impl FnMut(&Setting<'a>),
    ) -> Result<(), SettingError> {
        let device = DeviceType::of::<P>();
        let own = own.iter().map(|(property, value)| Setting {
            origin: Origin::Device,
            device: P::DEVICE,
            property,
            value,
            optional: false,
        });
        for setting in self.all().chain(own).filter(|setting| device.is_a(setting.device)) {
            if setting.optional && !P::PROPERTIES.contains(setting.property) {
                continue;
            }
            if let Err(error) = properties.set(setting.property, setting.value) {
                return Err(SettingError { origin: setting.origin, cause: SettingCause::Property(error) });
            }
            note(&setting);
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = Setting<'_>> {
        let compat = self.machine.lineage().flat_map(|machine| {
            machine.own_compat().iter().map(move |setting| Setting {
                origin: Origin::Compat { machine: machine.name() },
                device: setting.device,
                property: setting.property,
                value: setting.value,
                optional: setting.optional,
            })
        });
        let globals = self.globals.iter().map(|global| Setting {
            origin: Origin::Global,
            device: &global.device,
            property: &global.property,
            value: &global.value,
            optional: false,
        });
        compat.chain(globals)
    }

    /// What an operator should know who starts this machine: each once.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if let Status::Deprecated { since, removed_in } = self.machine.status() {
            warnings.push(Warning::Machine { machine: self.machine.name(), since, removed_in });
        }
        for global in &self.globals {
            for device in self.known.iter().filter(|device| device.is_a(&global.device)) {
                let found = warning_of(device, &global.device, &global.property);
                warnings.extend(found.filter(|found| !warnings.contains(found)));
            }
        }
        warnings
    }

    /// What an operator should know of the configuration of one device.
    #[must_use]
    pub fn warnings_of<P: Properties>(&self, own: &[(&str, &str)]) -> Vec<Warning> {
        let device = DeviceType::of::<P>();
        own.iter().filter_map(|(property, _)| warning_of(&device, device.name, property)).collect()
    }
}

fn warning_of(device: &DeviceType, named: &str, property: &str) -> Option<Warning> {
    let found = device.properties.find(property)?;
    let (device, name) = (named.to_owned(), found.name);
    if found.old_names.contains(&property) {
        return Some(Warning::OldName { device, old: property.to_owned(), name });
    }
    found.deprecated.map(|text| Warning::Property { device, name, text })
}

/// What a machine starts with all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The machine type will be removed.
    Machine {
        /// Its name.
        machine: String,
        /// The first release that warned.
        since: Version,
        /// The first release that will not have it.
        removed_in: Version,
    },
    /// A property that nobody should set any more.
    Property {
        /// The type that was named.
        device: String,
        /// The property.
        name: &'static str,
        /// Why, and what to do instead.
        text: &'static str,
    },
    /// A property was named as it was called earlier.
    OldName {
        /// The type that was named.
        device: String,
        /// The name that was given.
        old: String,
        /// The name that it has.
        name: &'static str,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine { machine, since, removed_in } => write!(
                f,
                "machine type '{machine}' is deprecated since release {since} and will be removed in {removed_in}: start \
                 guests anew with a newer one before that"
            ),
            Self::Property { device, name, text } => write!(f, "property '{device}.{name}' is deprecated: {text}"),
            Self::OldName { device, old, name } => {
                write!(f, "property '{device}.{old}' is called '{name}' now; the old name will go")
            }
        }
    }
}
