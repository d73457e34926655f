//! Island releases: what a guest that was started on one needs until it is powered off.
//!
//! Release B broke the machine type M(A), and B' mended it: guests that were started on B have other state than those
//! that were started on A or B', and nothing in the stream says so. A property with B's value lets B' and later
//! releases take such a guest; it must be given at every further destination, until the guest is powered off and
//! started anew (`docs/spec/compat.md` section 5.1).
//!
//! | from \ to | A | B | B' | B' with the setting |
//! |---|---|---|---|---|
//! | A, B' | yes | no | yes | no |
//! | B | no | yes | no | yes |

use super::{DeviceType, Global, MachineType, SetProperty, SettingError, Settings, Version};

/// A release that broke a machine type, and the setting that takes its guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Island {
    /// The broken release: `8.0` (which is `8.0.0`), not `8.0.1`; one entry for each.
    pub release: &'static str,
    /// Version of the newest machine type that it broke; older ones, which inherit from it, are broken with it. Nobody
    /// inherits from a bug-fix one (`4.0.1`), which is broken alone.
    pub machine: &'static str,
    /// Type of device.
    pub device: &'static str,
    /// Name of the property.
    pub property: &'static str,
    /// What the broken release had, as text.
    pub value: &'static str,
    /// What was broken.
    pub reason: &'static str,
}

impl MachineType {
    /// The islands of this machine type.
    pub fn islands(&self) -> impl Iterator<Item = &'static Island> {
        let own = self.version();
        let is_broken = move |newest: Version| match newest == newest.base() {
            true => own.base() <= newest,
            false => own == newest,
        };
        self.family().islands.iter().filter(move |island| Version::parse(island.machine).is_some_and(is_broken))
    }

    /// The settings that every destination of a guest needs which was started with this machine type on the release
    /// `started_on`, until it is powered off; a guest's reboot, and any number of migrations, change nothing in them.
    #[must_use]
    pub fn sticky(&self, started_on: Version) -> Vec<Global> {
        let islands = self.islands().filter(|island| Version::parse(island.release) == Some(started_on));
        islands
            .map(|island| Global {
                device: island.device.to_owned(),
                property: island.property.to_owned(),
                value: island.value.to_owned(),
            })
            .collect()
    }
}

impl Settings {
    /// What has to be recorded beside the machine type's full name, and given to every destination: the operator's
    /// settings for all devices of a type, as far as they differ from what the machine type gives by itself.
    ///
    /// Each names one type of device and the property's own name, whatever parent or older name the operator wrote.
    /// Those of one device's own configuration are for that to record; [`Settings::changed`] tells them.
    #[must_use]
    pub fn sticky(&self) -> Vec<Global> {
        let mut sticky = Vec::new();
        for device in self.known() {
            // The settings were checked with the type.
            let changed = self.changed(device, &[]).unwrap_or_default();
            sticky.extend(changed.into_iter().map(|set| Global {
                device: device.name.to_owned(),
                property: set.property.name.to_owned(),
                value: set.value.to_string(),
            }));
        }
        sticky
    }

    /// The properties of a device with the configuration `own` that are not what the machine type gives by itself, with
    /// their values and who set them. Every destination's device must have them too.
    ///
    /// # Errors
    ///
    /// As [`Settings::properties`].
    pub fn changed(&self, device: &DeviceType, own: &[(&str, &str)]) -> Result<Vec<SetProperty>, SettingError> {
        let given = device.describe(&self.without_globals(), &[])?;
        let set = device.describe(self, own)?.into_iter().zip(given);
        Ok(set.filter(|(set, given)| set.value != given.value).map(|(set, _)| set).collect())
    }
}
