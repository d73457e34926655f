//! Break 21, which was none: a section for a device that had none.
//!
//! The PCI host's configuration address register was never sent; since QEMU 5.1 it is, in a section of its own (list
//! 5.0: off). A section that a destination does not know is refused, so the property is the section's gate. `broken` is
//! what would have been released without the entry: one direction fails.

use vmstate::machine::DeviceType;
use vmstate::{Properties, VmState};
use vmstate_lab::{Difference, Failure, Lab, Machine, OctetDifference, Release, Scenario, registers};

use crate::plain::{Plain, machine_of};

#[derive(Properties, Clone)]
#[properties(device = "pci-host-bridge")]
struct Props {
    #[property(name = "x-config-reg-migration-enabled", default = true)]
    config_reg_migration: bool,
}

#[derive(VmState, Clone, Default)]
#[vmstate(name = "PCIHost", version = 1, props = Props, gate = config_reg_migration)]
struct PciHost {
    config_reg: u32,
}
registers!(PciHost { config_reg });

mod old {
    use super::*;

    /// The register is there, and no part of the state.
    #[derive(Default)]
    struct Unsent {
        config_reg: u32,
    }
    registers!(Unsent { config_reg });

    family! { "5.0": "5.0" }
    pub(super) const RELEASE: Release = Release::new("5.0", &FAMILY, &[], |_| {
        let mut machine = Machine::new();
        machine.show("host", Unsent::default());
        Ok(machine)
    });
}

mod broken {
    use super::*;

    family! { "5.1": "5.1", "5.0" }
    pub(super) const RELEASE: Release = Release::new("5.1", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        machine_of("host", Plain::new(PciHost::default(), settings.properties(&[])?))
    });
}

mod fixed {
    use super::*;

    family! { "5.1": "5.1", "5.0" [("pci-host-bridge", "x-config-reg-migration-enabled", "off")] }
    pub(super) const RELEASE: Release = Release::new("5.1", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        machine_of("host", Plain::new(PciHost::default(), settings.properties(&[])?))
    });
}

const SELECTED: &str = "register selected";

fn selected() -> Scenario {
    Scenario::writes(SELECTED, &[("host.config_reg", 0x8000_1000)])
}

const fn lost(from: &'static str) -> Difference {
    let (to, machine, register, value) = ("*", "board-5.0", "host.config_reg", "0");
    let reason = "5.0 does not send it, so its machine type never does";
    Difference { from, to, machine, scenario: SELECTED, register, value, reason }
}

pub(crate) fn lab() -> Lab {
    Lab::new(&[old::RELEASE, fixed::RELEASE]).scenario(selected()).differs(&[lost("*")])
}

#[test]
fn a_new_section_is_sent_only_for_new_machine_types() {
    lab().run().assert();
}

#[test]
fn without_the_entry_older_releases_refuse_the_section() {
    Lab::new(&[old::RELEASE, broken::RELEASE])
        .scenario(selected())
        .differs(&[lost("5.0")])
        .fails(&[Failure {
            from: "5.1",
            to: "5.0",
            machine: "board-5.0",
            scenario: "*",
            text: "section 'PCIHost' instance 0: this machine has no such section",
            reason: "5.0 has no section of this name",
        }])
        .octets_differ(&[OctetDifference {
            release: "5.1",
            machine: "board-5.0",
            scenario: "*",
            section: "PCIHost",
            reason: "the same",
        }])
        .run()
        .assert();
}
