//! Break 12: a fallback that is used where it should not be.
//!
//! Up to QEMU 2.11 the HPET's offset was computed anew on load, and drifted a little each time; 2.12 sends it in a
//! subsection (list 2.11: off). A destination computes it only where the machine type has no subsection; with one, its
//! absence would be a damaged stream, and computing would hide that. `broken` computes whenever it finds the offset
//! zero, also where zero came.
//!
//! The host's clock is 1000 in these machines; a load takes 1.

use vmstate::machine::DeviceType;
use vmstate::{Migrate, Properties, Refused, Versions, VmState};
use vmstate_lab::{BuildError, Difference, Lab, Machine, Release, Scenario, registers};

use crate::plain::machine_of;

const HOST_CLOCK: u64 = 1000;
const DRIFT: u64 = 1;

/// The offset that a destination works out, if none is sent.
fn computed(counter: u64) -> u64 {
    counter.saturating_sub(HOST_CLOCK) + DRIFT
}

#[derive(Properties, Clone)]
#[properties(device = "hpet")]
struct Props {
    #[property(default = true)]
    hpet_offset_saved: bool,
}

#[derive(VmState, Clone)]
#[vmstate(name = "hpet", version = 1, props = Props)]
struct HpetImage {
    counter: u64,
    #[vmstate(subsection, gate = hpet_offset_saved)]
    offset: Option<OffsetImage>,
}

#[derive(VmState, Clone, Default)]
#[vmstate(name = "hpet/offset", version = 1)]
struct OffsetImage {
    offset: u64,
}

struct Hpet {
    props: Props,
    /// Whether a zero that came is taken for nothing that came.
    mistakes_zero: bool,
    counter: u64,
    offset: u64,
}
registers!(Hpet { counter, offset });

impl Migrate for Hpet {
    type Image = HpetImage;
    type Props = Props;

    fn props(&self) -> Props {
        self.props.clone()
    }

    fn snapshot(&self) -> Result<HpetImage, Refused> {
        let Self { props: _, mistakes_zero: _, counter, offset } = self;
        Ok(HpetImage { counter: *counter, offset: Some(OffsetImage { offset: *offset }) })
    }

    fn template(&self) -> Result<HpetImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: HpetImage, _: &Versions) -> Result<(), Refused> {
        let HpetImage { counter, offset } = image;
        let offset = match offset {
            Some(OffsetImage { offset: 0 }) if self.mistakes_zero => computed(counter),
            Some(OffsetImage { offset }) => offset,
            None if self.props.hpet_offset_saved => return Err(Refused::new("the offset is missing")),
            None => computed(counter),
        };
        (self.counter, self.offset) = (counter, offset);
        Ok(())
    }
}

fn hpet(props: Props, mistakes_zero: bool) -> Result<Machine, BuildError> {
    machine_of("hpet", Hpet { props, mistakes_zero, counter: 0, offset: 0 })
}

mod old {
    use super::*;

    #[derive(VmState)]
    #[vmstate(name = "hpet", version = 1)]
    struct OldHpetImage {
        counter: u64,
    }

    #[derive(Default)]
    struct OldHpet {
        counter: u64,
        offset: u64,
    }
    registers!(OldHpet { counter, offset });

    impl Migrate for OldHpet {
        type Image = OldHpetImage;
        type Props = ();

        fn props(&self) {}

        fn snapshot(&self) -> Result<OldHpetImage, Refused> {
            let Self { counter, offset: _ } = self;
            Ok(OldHpetImage { counter: *counter })
        }

        fn template(&self) -> Result<OldHpetImage, Refused> {
            self.snapshot()
        }

        fn restore(&mut self, image: OldHpetImage, _: &Versions) -> Result<(), Refused> {
            let OldHpetImage { counter } = image;
            *self = Self { counter, offset: computed(counter) };
            Ok(())
        }
    }

    family! { "2.11": "2.11" }
    pub(super) const RELEASE: Release = Release::new("2.11", &FAMILY, &[], |_| machine_of("hpet", OldHpet::default()));
}

mod broken {
    use super::*;

    family! { "2.12": "2.12", "2.11" [("hpet", "hpet-offset-saved", "off")] }
    pub(super) const RELEASE: Release =
        Release::new("2.12", &FAMILY, &[DeviceType::of::<Props>()], |settings| hpet(settings.properties(&[])?, true));
}

mod fixed {
    use super::*;

    family! { "2.12.1": "2.12", "2.11" [("hpet", "hpet-offset-saved", "off")] }
    pub(super) const RELEASE: Release = Release::new("2.12.1", &FAMILY, &[DeviceType::of::<Props>()], |settings| {
        hpet(settings.properties(&[])?, false)
    });
}

pub(crate) fn lab() -> Lab {
    let drifts = |scenario, value| Difference {
        from: "*",
        to: "*",
        machine: "board-2.11",
        scenario,
        register: "hpet.offset",
        value,
        reason: "the offset of this machine type is computed on load, and drifts",
    };
    Lab::new(&[old::RELEASE, broken::RELEASE, fixed::RELEASE])
        .scenario(Scenario::writes("counting", &[("hpet.counter", 1500), ("hpet.offset", 500)]))
        .differs(&[
            drifts(Scenario::AT_RESET, "1"),
            drifts("counting", "501"),
            Difference {
                from: "*",
                to: "2.12",
                machine: "board-2.12",
                scenario: Scenario::AT_RESET,
                register: "hpet.offset",
                value: "1",
                reason: "2.12 takes a zero for nothing",
            },
        ])
        .chains_differ(&[
            via_the_broken("* > 2.12 > 2.12.1"),
            via_the_broken("* > 2.12 > * > 2.12.1"),
            via_the_broken("* > * > 2.12 > 2.12.1"),
        ])
}

fn via_the_broken(chain: &'static str) -> vmstate_lab::ChainDifference {
    vmstate_lab::ChainDifference {
        chain,
        machine: "board-2.12",
        scenario: Scenario::AT_RESET,
        text: "hpet.offset 1, was 0",
        reason: "what 2.12 made of the zero goes on",
    }
}

#[test]
fn what_is_missing_is_computed_only_where_the_machine_type_says_so() {
    lab().run().assert();
}

#[test]
fn a_subsection_that_must_come_is_missed() {
    // An old sender that calls itself 2.12: its stream has no subsection.
    let mut destination = fixed::RELEASE.start("board-2.12", &[]).unwrap();
    let source = fixed::RELEASE.start("board-2.12", &["hpet.hpet-offset-saved=off".parse().unwrap()]).unwrap();
    let refusal = destination.load(&source.save().unwrap()).unwrap_err();
    assert_eq!(refusal.to_string(), "destination: section 'hpet' instance 0: the offset is missing");
}
