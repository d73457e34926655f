//! Break 1: a new register with a reset value, in every PCIe device.
//!
//! QEMU 8.0 let guests mask uncorrectable errors: a register that had been 0 and fixed got a reset value and became
//! writable. A destination compares what the guest cannot write. So guests of machine type 7.2 that were started on 8.0
//! could not go back, nor to 8.0.1, which has the register for machine types from 8.0 on only (list 7.2).
//!
//! | from \ to | 7.2 | 8.0 | 8.0.1 | 8.0.1 with `x-pcie-err-unc-mask=on` |
//! |---|---|---|---|---|
//! | 7.2, 8.0.1 | yes | yes: the register is writable there | yes | |
//! | 8.0 | no | yes | no | yes, and from then on always |

use vmstate::Properties;
use vmstate::machine::{DeviceType, Island};
use vmstate_lab::{Failure, Lab, OctetDifference, Release, Scenario};

use crate::pci::PciDevice;
use crate::plain::machine_of;

/// The mask's last octet, and what it has at reset where it is there.
const MASK: usize = 0x20;
const MASK_AT_RESET: u8 = 0x40;

mod old {
    use super::*;

    family! { "7.2": "7.2" }
    pub(super) const RELEASE: Release =
        Release::new("7.2", &FAMILY, &[], |_| machine_of("port", PciDevice::new(&[(0, 0x1b)], &[(4, 0)])));
}

mod broken {
    use super::*;

    family! { "8.0": "8.0", "7.2" }
    pub(super) const RELEASE: Release = Release::new("8.0", &FAMILY, &[], |_| {
        machine_of("port", PciDevice::new(&[(0, 0x1b)], &[(4, 0), (MASK, MASK_AT_RESET)]))
    });
}

mod fixed {
    use super::*;

    #[derive(Properties, Clone)]
    #[properties(device = "pci-device")]
    struct Props {
        #[property(default = true)]
        x_pcie_err_unc_mask: bool,
    }

    family! { "8.0.1": "8.0", "7.2" [("pci-device", "x-pcie-err-unc-mask", "off")];
        Island {
            release: "8.0",
            machine: "7.2",
            device: "pci-device",
            property: "x-pcie-err-unc-mask",
            value: "on",
            reason: "8.0 gave older machine types the register",
        },
    }
    pub(super) const RELEASE: Release = Release::new("8.0.1", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        let props: Props = settings.properties(&[])?;
        let mask: &[_] = if props.x_pcie_err_unc_mask { &[(4, 0), (MASK, MASK_AT_RESET)] } else { &[(4, 0)] };
        machine_of("port", PciDevice::new(&[(0, 0x1b)], mask))
    });
}

pub(crate) fn lab() -> Lab {
    Lab::new(&[old::RELEASE, broken::RELEASE, fixed::RELEASE])
        .scenario(Scenario::writes("memory on", &[("port.0x4", 2)]))
        .scenario(Scenario::writes("errors masked", &[("port.0x20", 0xff)]))
        .fails(&[Failure {
            from: "8.0",
            to: "7.2|8.0.1",
            machine: "board-7.2",
            scenario: "*",
            text: "section 'pci' instance 0: bad PCI config data at 0x20",
            reason: "8.0 has the register for older machine types too: an island",
        }])
        .octets_differ(&[OctetDifference {
            release: "8.0",
            machine: "board-7.2",
            scenario: "*",
            section: "pci",
            reason: "8.0 is an island",
        }])
}

#[test]
fn guests_of_the_island_need_the_setting_for_good() {
    let report = lab().run();
    report.assert();
    assert!(report.figures.sticky_pairs > 0);
}
