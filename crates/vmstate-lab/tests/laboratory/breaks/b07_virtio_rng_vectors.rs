//! Break 7: an entry that covers one class of a device that comes in several.
//!
//! In QEMU 7.2 the default number of MSI-X vectors of virtio-rng became 2. With vectors there is a capability, and the
//! pointer to the first capability (0x34 in configuration space) differs. The first mend (7.2.1 here) set them to 0 for
//! machine type 7.1 in one class; the transitional one followed later (7.2.2). See `b08` for how to cover all at once.

use vmstate::Place;
use vmstate::Properties;
use vmstate::machine::{DeviceType, Island};
use vmstate_lab::{BuildError, Failure, Lab, Machine, OctetDifference, Release};

use crate::pci::PciDevice;

#[derive(Properties, Clone)]
#[properties(device = "virtio-rng-pci")]
struct Props {
    #[property(default = 2)]
    vectors: u32,
}

#[derive(Properties, Clone)]
#[properties(device = "virtio-rng-pci-transitional")]
struct TransitionalProps {
    #[property(default = 2)]
    vectors: u32,
}

const DEVICES: &[DeviceType] = &[DeviceType::of::<Props>(), DeviceType::of::<TransitionalProps>()];

fn rng(vectors: u32) -> PciDevice {
    PciDevice::new(&[(0x34, if vectors == 0 { 0x40 } else { 0x98 })], &[])
}

/// A machine with one of each class.
fn machine(rng_vectors: u32, transitional_vectors: u32) -> Result<Machine, BuildError> {
    let mut machine = Machine::new();
    machine.add("rng", Place::at("0000:00:03.0"), rng(rng_vectors))?;
    machine.add("transitional", Place::at("0000:00:04.0"), rng(transitional_vectors))?;
    Ok(machine)
}

fn by_properties(settings: &vmstate::Settings) -> Result<Machine, BuildError> {
    let Props { vectors } = settings.properties(&[])?;
    let TransitionalProps { vectors: transitional } = settings.properties(&[])?;
    machine(vectors, transitional)
}

mod old {
    use super::*;

    family! { "7.1": "7.1" }
    pub(super) const RELEASE: Release = Release::new("7.1", &FAMILY, &[], |_| machine(0, 0));
}

mod broken {
    use super::*;

    family! { "7.2": "7.2", "7.1" }
    pub(super) const RELEASE: Release = Release::new("7.2", &FAMILY, DEVICES, by_properties);
}

const fn island(device: &'static str) -> Island {
    let (release, machine, property, value) = ("7.2", "7.1", "vectors", "2");
    Island { release, machine, device, property, value, reason: "7.2 gave machine type 7.1 the vectors" }
}

mod half_fixed {
    use super::*;

    family! { "7.2.1": "7.2", "7.1" [("virtio-rng-pci", "vectors", "0")]; island("virtio-rng-pci") }
    pub(super) const RELEASE: Release = Release::new("7.2.1", &FAMILY, DEVICES, by_properties);
}

mod fixed {
    use super::*;

    family! { "7.2.2": "7.2", "7.1" [
            ("virtio-rng-pci", "vectors", "0"),
            ("virtio-rng-pci-transitional", "vectors", "0")
        ];
        island("virtio-rng-pci"),
        island("virtio-rng-pci-transitional"),
        Island { release: "7.2.1", ..island("virtio-rng-pci-transitional") }
    }
    pub(super) const RELEASE: Release = Release::new("7.2.2", &FAMILY, DEVICES, by_properties);
}

pub(crate) fn lab() -> Lab {
    let fails = |from, to, text, reason| Failure { from, to, machine: "board-7.1", scenario: "*", text, reason };
    let (first, second) = (
        "section '0000:00:03.0/pci' instance 0: bad PCI config data at 0x34",
        "section '0000:00:04.0/pci' instance 0: bad PCI config data at 0x34",
    );
    let differs = |release, section| OctetDifference {
        release,
        machine: "board-7.1",
        scenario: "*",
        section,
        reason: "the capability is there for an old machine type",
    };
    Lab::new(&[old::RELEASE, broken::RELEASE, half_fixed::RELEASE, fixed::RELEASE])
        .fails(&[
            fails("7.1|7.2.1|7.2.2", "7.2", first, "7.2 is an island"),
            fails("7.2", "7.1|7.2.1|7.2.2", first, "7.2 is an island"),
            fails("7.1|7.2.2", "7.2.1", second, "the entry of 7.2.1 covers one class of two"),
            fails("7.2.1", "7.1|7.2.2", second, "the entry of 7.2.1 covers one class of two"),
        ])
        .octets_differ(&[
            differs("7.2", "0000:00:03.0/pci"),
            differs("7.2", "0000:00:04.0/pci"),
            differs("7.2.1", "0000:00:04.0/pci"),
        ])
}

#[test]
fn an_entry_must_cover_every_class_that_shows_the_device() {
    let report = lab().run();
    report.assert();
    assert!(report.figures.sticky_pairs > 0);
}
