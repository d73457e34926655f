//! Break 26: a capability bit that is always set.
//!
//! A change set the bit "page aligned request" of the ATS capability for every virtio device; the property that leaves
//! it clear for machine types up to 5.1 came later. The bit is fixed at both ends, so unlike break 1 both directions
//! fail.

use vmstate::Properties;
use vmstate::machine::{DeviceType, Island};
use vmstate_lab::{Failure, Lab, OctetDifference, Release, Scenario};

use crate::pci::PciDevice;
use crate::plain::machine_of;

const ATS: usize = 0x28;
const PAGE_ALIGNED: u8 = 0x20;

fn device(page_aligned: bool) -> PciDevice {
    PciDevice::new(&[(ATS, if page_aligned { PAGE_ALIGNED } else { 0 })], &[(4, 0)])
}

mod old {
    use super::*;

    family! { "5.1": "5.1" }
    pub(super) const RELEASE: Release = Release::new("5.1", &FAMILY, &[], |_| machine_of("net", device(false)));
}

mod broken {
    use super::*;

    family! { "5.2": "5.2", "5.1" }
    pub(super) const RELEASE: Release = Release::new("5.2", &FAMILY, &[], |_| machine_of("net", device(true)));
}

mod fixed {
    use super::*;

    #[derive(Properties, Clone)]
    #[properties(device = "virtio-pci")]
    struct Props {
        #[property(default = true)]
        x_ats_page_aligned: bool,
    }

    family! { "6.0": "6.0", "5.2", "5.1" [("virtio-pci", "x-ats-page-aligned", "off")];
        Island {
            release: "5.2",
            machine: "5.1",
            device: "virtio-pci",
            property: "x-ats-page-aligned",
            value: "on",
            reason: "5.2 set the bit for every machine type",
        },
    }
    pub(super) const RELEASE: Release = Release::new("6.0", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        let Props { x_ats_page_aligned } = settings.properties(&[])?;
        machine_of("net", device(x_ats_page_aligned))
    });
}

pub(crate) fn lab() -> Lab {
    let fails = |from, to| Failure {
        from,
        to,
        machine: "board-5.1",
        scenario: "*",
        text: "bad PCI config data at 0x28",
        reason: "5.2 has the bit for machine type 5.1",
    };
    Lab::new(&[old::RELEASE, broken::RELEASE, fixed::RELEASE])
        .scenario(Scenario::writes("memory on", &[("net.0x4", 2)]))
        .fails(&[fails("5.1|6.0", "5.2"), fails("5.2", "5.1|6.0")])
        .octets_differ(&[OctetDifference {
            release: "5.2",
            machine: "board-5.1",
            scenario: "*",
            section: "pci",
            reason: "an island",
        }])
}

#[test]
fn a_fixed_bit_breaks_both_ways_and_the_islands_guests_need_the_setting() {
    let report = lab().run();
    report.assert();
    assert!(report.figures.sticky_pairs > 0);
}
