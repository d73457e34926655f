//! What bodies without a page in `docs/spec` hold: one thing is changed from outside, and two sections are compared.

use vmstate::{Input, VmState};
use vmstate_qemu::pci::bridge::PciBridgeImage;

use crate::recorded::{RELEASES, recordings};
use crate::sections::Section;

/// The sections of a state in a recording.
fn sections_of(recording: &str, state: &str) -> Vec<Section> {
    let found = recordings().into_iter().find(|other| other.name == recording);
    found.unwrap().sections.into_iter().filter(|section| section.name() == state).collect()
}

fn only_bridge(recording: &str) -> PciBridgeImage {
    let sections = sections_of(recording, "pci_bridge");
    let [section] = &*sections else { panic!("{recording}: {} bridges", sections.len()) };
    let mut image = PciBridgeImage::default();
    image.decode(&(), section.version, &mut Input::from_slice(&section.body, 0)).unwrap();
    image
}

/// Slots are counted from device number 1 on, as the register at 0x0d says, and a device number has a slot of its own.
#[test]
fn a_device_that_is_plugged_changes_the_register_of_its_slot() {
    for release in RELEASES {
        let empty = only_bridge(&format!("pc-slots-empty-{release}"));
        let plugged = only_bridge(&format!("pc-slot-3-{release}"));
        assert_eq!((empty.shpc.0[0x0c], empty.shpc.0[0x0d]), (31, 1), "{release}: number of slots, first device");
        let changed: Vec<_> = (0..31).filter(|slot| empty.shpc.slot(*slot) != plugged.shpc.slot(*slot)).collect();
        assert_eq!(changed, [3 - 1], "{release}");
        // Bits 10 and 11: no card is there; those of the events are in the upper half.
        let states = [&empty, &plugged].map(|image| image.shpc.slot(2).unwrap());
        assert_eq!(states.map(|state| state >> 10 & 3), [3, 0], "{release}");
        assert_eq!(states.map(|state| state >> 16 & 0x1f), [0, 0xd], "{release}");
        assert_eq!(empty.parent_obj, plugged.parent_obj, "{release}: the configuration space");
    }
}
