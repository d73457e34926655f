//! R8: what a guest sees of the hardware.
//!
//! Queues, vectors, capabilities, reset values of fixed registers: the guest looked when it booted, and its driver
//! counts on what it found. A destination compares such octets and takes no other. So an old machine type keeps the old
//! hardware, by a property that is set before the device is made; the description does not change at all.
//!
//! | change in 1.1 | 1.0 to 1.1 | 1.1 to 1.0 | property |
//! |---|---|---|---|
//! | a fixed octet has another value (a capability moved) | refused | refused | needed |
//! | a fixed octet becomes writable, and is 0 at reset | taken | taken until the guest writes it | needed, or going back depends on the guest |
//!
//! `breaks/b01` and `breaks/b26` are the real ones.

use vmstate::Properties;
use vmstate::machine::DeviceType;
use vmstate_lab::{Failure, Lab, OctetDifference, Release, Scenario};

use crate::pci::PciDevice;
use crate::plain::machine_of;

/// Pointer to the first capability.
const CAPABILITIES: usize = 0x34;
/// A mask that guests of 1.1 may write.
const MASK: usize = 0x20;

fn card(capabilities_at: u8, has_mask: bool) -> PciDevice {
    let writable: &[_] = if has_mask { &[(4, 0), (MASK, 0)] } else { &[(4, 0)] };
    PciDevice::new(&[(CAPABILITIES, capabilities_at)], writable)
}

mod v1_0 {
    use super::*;

    family! { "1.0": "1.0" }
    pub(super) const RELEASE: Release = Release::new("1.0", &FAMILY, &[], |_| machine_of("card", card(0x40, false)));
}

#[derive(Properties, Clone)]
#[properties(device = "card")]
struct CardProps {
    #[property(default = 2)]
    vectors: u32,
    #[property(default = true)]
    error_mask: bool,
}

impl CardProps {
    fn card(&self) -> PciDevice {
        card(if self.vectors == 0 { 0x40 } else { 0x98 }, self.error_mask)
    }
}

const DEVICES: &[DeviceType] = &[DeviceType::of::<CardProps>()];

mod v1_1 {
    use super::*;

    family! { "1.1": "1.1", "1.0" [("card", "vectors", "0"), ("card", "error-mask", "off")] }
    pub(super) const RELEASE: Release = Release::new("1.1", &FAMILY, DEVICES, |settings| {
        machine_of("card", settings.properties::<CardProps>(&[])?.card())
    });
}

/// 1.1 with one of the two entries forgotten.
mod v1_1_without {
    use super::*;

    pub(super) mod vectors {
        use super::*;

        family! { "1.1": "1.1", "1.0" [("card", "error-mask", "off")] }
        pub(in super::super) const RELEASE: Release = Release::new("1.1", &FAMILY, DEVICES, |settings| {
            machine_of("card", settings.properties::<CardProps>(&[])?.card())
        });
    }

    pub(super) mod error_mask {
        use super::*;

        family! { "1.1": "1.1", "1.0" [("card", "vectors", "0")] }
        pub(in super::super) const RELEASE: Release = Release::new("1.1", &FAMILY, DEVICES, |settings| {
            machine_of("card", settings.properties::<CardProps>(&[])?.card())
        });
    }
}

const MASKED: &str = "errors masked";

fn with(new: Release) -> Lab {
    Lab::new(&[v1_0::RELEASE, new])
        .scenario(Scenario::writes("memory on", &[("card.0x4", 2)]))
        .scenario(Scenario::writes(MASKED, &[("card.0x20", 0xff)]))
}

pub(crate) fn lab() -> Lab {
    with(v1_1::RELEASE)
}

const fn differs(scenario: &'static str) -> OctetDifference {
    let (release, machine, section) = ("1.1", "board-1.0", "pci");
    OctetDifference { release, machine, scenario, section, reason: "other hardware for an old machine type" }
}

#[test]
fn old_machine_types_keep_the_old_hardware() {
    lab().run().assert();
}

#[test]
fn a_fixed_octet_that_changes_breaks_both_ways() {
    let fails = |from, to, scenario| Failure {
        from,
        to,
        machine: "board-1.0",
        scenario,
        text: "bad PCI config data at 0x34",
        reason: "the capabilities are elsewhere",
    };
    with(v1_1_without::vectors::RELEASE)
        .fails(&[fails("1.0", "1.1", "*"), fails("1.1", "1.0", "*")])
        .octets_differ(&[differs("*")])
        .run()
        .assert();
}

#[test]
fn an_octet_that_becomes_writable_is_taken_one_way() {
    with(v1_1_without::error_mask::RELEASE)
        .fails(&[Failure {
            from: "1.1",
            to: "1.0",
            machine: "board-1.0",
            scenario: MASKED,
            text: "bad PCI config data at 0x20: 0xff, and 0x00 here",
            reason: "1.0 has the octet fixed",
        }])
        .run()
        .assert();
}
