//! Break 8, which was none: the change of break 7, done right.
//!
//! virtio-balloon got MSI-X vectors in QEMU 10.0, with entries for all its classes from the start (list 9.2). An entry
//! of a type covers the types that derive from it, so that one for the common parent cannot forget a class.

use vmstate::machine::DeviceType;
use vmstate::{Place, Properties};
use vmstate_lab::{Lab, Machine, Release, Scenario};

use crate::pci::PciDevice;

#[derive(Properties, Clone)]
#[properties(device = "virtio-balloon-pci", parents = ["virtio-balloon-pci-base"])]
struct Props {
    #[property(default = 2)]
    vectors: u32,
}

#[derive(Properties, Clone)]
#[properties(device = "virtio-balloon-pci-transitional", parents = ["virtio-balloon-pci-base"])]
struct TransitionalProps {
    #[property(default = 2)]
    vectors: u32,
}

const DEVICES: &[DeviceType] = &[DeviceType::of::<Props>(), DeviceType::of::<TransitionalProps>()];

fn balloon(vectors: u32) -> PciDevice {
    PciDevice::new(&[(0x34, if vectors == 0 { 0x40 } else { 0x98 })], &[(4, 0)])
}

mod old {
    use super::*;

    family! { "9.2": "9.2" }
    pub(super) const RELEASE: Release = Release::new("9.2", &FAMILY, &[], |_| {
        let mut machine = Machine::new();
        machine.add("balloon", Place::at("0000:00:03.0"), balloon(0))?;
        machine.add("transitional", Place::at("0000:00:04.0"), balloon(0))?;
        Ok(machine)
    });
}

mod new {
    use super::*;

    family! { "10.0": "10.0", "9.2" [("virtio-balloon-pci-base", "vectors", "0")] }
    const _: () = FAMILY.require(DEVICES);
    pub(super) const RELEASE: Release = Release::new("10.0", &FAMILY, DEVICES, |settings| {
        let Props { vectors } = settings.properties(&[])?;
        let TransitionalProps { vectors: transitional } = settings.properties(&[])?;
        let mut machine = Machine::new();
        machine.add("balloon", Place::at("0000:00:03.0"), balloon(vectors))?;
        machine.add("transitional", Place::at("0000:00:04.0"), balloon(transitional))?;
        Ok(machine)
    });
}

pub(crate) fn lab() -> Lab {
    Lab::new(&[old::RELEASE, new::RELEASE]).scenario(Scenario::writes("memory on", &[("balloon.0x4", 2)]))
}

#[test]
fn done_right_nothing_fails() {
    let report = lab().run();
    report.assert();
    assert_eq!(report.figures.expected_failures, 0);
}
