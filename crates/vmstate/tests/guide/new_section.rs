//! A device that had no state to send, or could not be migrated, gets a section.

use super::{load, save};
use vmstate::{Migrate, Properties, Refused, Registry, Unmigratable, Versions, VmState};

#[derive(VmState)]
#[vmstate(name = "tpm", unmigratable = "its keys cannot be read in this release")]
enum UnreadableTpmImage {}

#[derive(Properties, Clone, Debug)]
#[properties(device = "tpm")]
struct TpmProps {
    #[property(default = true)] // off in the machine types of before: old destinations know no such section
    migrate: bool,
}

#[derive(VmState, Default)]
#[vmstate(name = "tpm", version = 1, props = TpmProps, gate = migrate)]
struct TpmImage {
    locality: u8,
}

#[derive(Clone)]
struct Tpm {
    props: TpmProps,
    locality: u8,
}

impl Migrate for Tpm {
    type Image = TpmImage;
    type Props = TpmProps;

    fn props(&self) -> TpmProps {
        self.props.clone()
    }

    fn snapshot(&self) -> Result<TpmImage, Refused> {
        Ok(TpmImage { locality: self.locality })
    }

    fn template(&self) -> Result<TpmImage, Refused> {
        Ok(TpmImage::default())
    }

    fn restore(&mut self, image: TpmImage, _: &Versions) -> Result<(), Refused> {
        let TpmImage { locality } = image;
        self.locality = locality;
        Ok(())
    }
}

/// Old machine types keep what held them back.
fn register(devices: &Registry, tpm: &Tpm) -> Result<(), Refused> {
    match tpm.props.migrate {
        true => devices.register(vmstate::Place::default(), tpm.clone())?,
        false => devices.register(vmstate::Place::default(), Unmigratable::<UnreadableTpmImage>::default())?,
    };
    Ok(())
}

#[test]
fn an_old_machine_type_still_says_why_it_stays() {
    let new = Tpm { props: TpmProps { migrate: true }, locality: 4 };
    assert_eq!(save(&new), [4]); // before: no section
    let mut receiver = Tpm { locality: 0, ..new.clone() };
    load(&mut receiver, 1, &[4]).unwrap();
    assert_eq!(receiver.locality, 4);

    let devices = Registry::new(0);
    register(&devices, &new).unwrap();
    assert!(devices.blocked_reasons().is_empty());
    let old = Tpm { props: TpmProps { migrate: false }, ..new };
    assert_eq!(save(&old), []);
    let devices = Registry::new(0);
    register(&devices, &old).unwrap();
    let reason = "device 'tpm' cannot migrate: its keys cannot be read in this release";
    assert_eq!(devices.blocked_reasons(), [reason]);
}
