//! Break 25: a released default that turned out harmful.
//!
//! Machine type 4.0 split the interrupt controller between kernel and program by default. 4.0.1 has the default of
//! before again, as a machine type of its own: `4.0` was released, guests were started with it, and what it does stays.
//! The bug-fix type has the entries of its base; older types inherit from the base, not from it. `broken` changes the
//! released type.

use vmstate::machine::DeviceType;
use vmstate::{Properties, VmState};
use vmstate_lab::{Failure, Lab, OctetDifference, Release, Scenario, registers};

use crate::plain::{Plain, machine_of};

#[derive(Properties, Clone)]
#[properties(device = "q35")]
struct Props {
    #[property(default = false)]
    split_irqchip: bool,
    #[property(default = true)]
    migrate_smi: bool,
}

/// Which controller there is changes what is sent.
#[derive(VmState, Clone, Default)]
#[vmstate(name = "ioapic", version = 3, props = Props)]
struct Ioapic {
    id: u8,
    #[vmstate(gate = split_irqchip)]
    routes: u32,
    #[vmstate(gate = migrate_smi)]
    smi: u8,
}
registers!(Ioapic { id, smi });

const DEVICES: &[DeviceType] = &[DeviceType::of::<Props>()];

/// What 4.0 had: its own default, which 3.1 did not have.
#[derive(Properties, Clone)]
#[properties(device = "q35")]
struct PropsOf40 {
    #[property(default = true)]
    split_irqchip: bool,
}

fn machine(settings: &vmstate::Settings) -> Result<vmstate_lab::Machine, vmstate_lab::BuildError> {
    machine_of("ioapic", Plain::new(Ioapic::default(), settings.properties::<Props>(&[])?))
}

mod old {
    use super::*;

    family! { "4.0": "4.0", "3.1" [("q35", "split-irqchip", "off")] }
    pub(super) const RELEASE: Release = Release::new("4.0", &FAMILY, &[DeviceType::of::<PropsOf40>()], |settings| {
        let PropsOf40 { split_irqchip } = settings.properties(&[])?;
        machine_of("ioapic", Plain::new(Ioapic::default(), Props { split_irqchip, migrate_smi: false }))
    });
}

mod broken {
    use super::*;

    family! { "4.1": "4.1", "4.0" [("q35", "migrate-smi", "off")], "3.1" }
    pub(super) const RELEASE: Release = Release::new("4.1", &FAMILY, DEVICES, machine);
}

mod fixed {
    use super::*;

    family! { "4.1.1": "4.1",
        "4.0.1" [("q35", "split-irqchip", "off")],
        "4.0" [("q35", "migrate-smi", "off"), ("q35", "split-irqchip", "on")],
        "3.1" [("q35", "split-irqchip", "off")]
    }
    const _: () = FAMILY.require(DEVICES);
    pub(super) const RELEASE: Release = Release::new("4.1.1", &FAMILY, DEVICES, machine);
}

pub(crate) fn lab() -> Lab {
    let fails = |from, to| Failure {
        from,
        to,
        machine: "board-4.0",
        scenario: "*",
        text: "missing section footer",
        reason: "4.1 changed a released machine type",
    };
    Lab::new(&[old::RELEASE, broken::RELEASE, fixed::RELEASE])
        .scenario(Scenario::writes("controller set up", &[("ioapic.id", 2)]))
        .fails(&[fails("4.0|4.1.1", "4.1"), fails("4.1", "4.0|4.1.1")])
        .octets_differ(&[OctetDifference {
            release: "4.1",
            machine: "board-4.0",
            scenario: "*",
            section: "ioapic",
            reason: "4.1 changed a released machine type",
        }])
}

#[test]
fn a_released_machine_type_stays_and_the_mended_one_is_another() {
    lab().run().assert();
    assert_eq!(fixed::RELEASE.machines(), ["board-3.1", "board-4.0", "board-4.0.1", "board-4.1"]);
}
