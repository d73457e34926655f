//! Break 23, which was none: a part with a subsection of its own, in a subsection.
//!
//! QEMU 5.2 gave the PL011 a clock, sent in `pl011/clock` (list 5.1: off); the clock's ratio is a subsection inside
//! that, sent only if it is not 1:1.

use vmstate::machine::DeviceType;
use vmstate::parts::{ClockImage, ClockMuldivImage};
use vmstate::{Migrate, Properties, Refused, Versions, VmState};
use vmstate_lab::{BuildError, Difference, Failure, Lab, Machine, OctetDifference, Release, Scenario, registers};

use crate::plain::{Plain, machine_of};

#[derive(Properties, Clone)]
#[properties(device = "pl011")]
struct Props {
    #[property(default = true)]
    migrate_clk: bool,
}

#[derive(VmState)]
#[vmstate(name = "pl011", version = 2, props = Props)]
struct Pl011Image {
    flags: u32,
    #[vmstate(subsection, gate = migrate_clk)]
    clock: Option<Pl011ClockImage>,
}

#[derive(VmState, Default)]
#[vmstate(name = "pl011/clock", version = 1)]
struct Pl011ClockImage {
    clk: ClockImage,
}

struct Pl011 {
    props: Props,
    flags: u32,
    period: u64,
    divider: u32,
}
registers!(Pl011 { flags, period, divider });

impl Migrate for Pl011 {
    type Image = Pl011Image;
    type Props = Props;

    fn props(&self) -> Props {
        self.props.clone()
    }

    fn snapshot(&self) -> Result<Pl011Image, Refused> {
        let Self { props: _, flags, period, divider } = self;
        let muldiv = (*divider != 1).then_some(ClockMuldivImage { multiplier: 1, divider: *divider });
        let clock = Pl011ClockImage { clk: ClockImage { period: *period, muldiv } };
        Ok(Pl011Image { flags: *flags, clock: Some(clock) })
    }

    fn template(&self) -> Result<Pl011Image, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: Pl011Image, _: &Versions) -> Result<(), Refused> {
        let Pl011Image { flags, clock } = image;
        let (period, divider) = match clock {
            Some(Pl011ClockImage { clk: ClockImage { period, muldiv } }) => {
                (period, muldiv.map_or(1, |ClockMuldivImage { multiplier: _, divider }| divider))
            }
            // An old sender has the clock that the board gives it, as this side has.
            None => (self.period, self.divider),
        };
        if divider == 0 {
            return Err(Refused::new("the clock's divider is 0, accepted are 1 and above"));
        }
        (self.flags, self.period, self.divider) = (flags, period, divider);
        Ok(())
    }
}

fn uart(props: Props) -> Result<Machine, BuildError> {
    machine_of("uart", Pl011 { props, flags: 0x90, period: 100, divider: 1 })
}

mod old {
    use super::*;

    #[derive(VmState, Clone)]
    #[vmstate(name = "pl011", version = 2)]
    struct OldPl011 {
        flags: u32,
    }
    registers!(OldPl011 { flags });

    family! { "5.1": "5.1" }
    pub(super) const RELEASE: Release =
        Release::new("5.1", &FAMILY, &[], |_| machine_of("uart", Plain::new(OldPl011 { flags: 0x90 }, ())));
}

mod new {
    use super::*;

    family! { "5.2": "5.2", "5.1" [("pl011", "migrate-clk", "off")] }
    pub(super) const RELEASE: Release =
        Release::new("5.2", &FAMILY, &[DeviceType::of::<Props>()], |settings| uart(settings.properties(&[])?));
}

/// What would have come of it without the entry.
mod broken {
    use super::*;

    family! { "5.2": "5.2", "5.1" }
    pub(super) const RELEASE: Release =
        Release::new("5.2", &FAMILY, &[DeviceType::of::<Props>()], |settings| uart(settings.properties(&[])?));
}

pub(crate) fn lab() -> Lab {
    let reset = |scenario, register, value| Difference {
        from: "5.2",
        to: "5.2",
        machine: "board-5.1",
        scenario,
        register,
        value,
        reason: "the clock is not sent for this machine type",
    };
    Lab::new(&[old::RELEASE, new::RELEASE])
        .scenario(Scenario::writes("receiving", &[("uart.flags", 0x80)]))
        .scenario(Scenario::writes("clock slowed", &[("uart.period", 200)]))
        .scenario(Scenario::writes("clock divided", &[("uart.divider", 3)]))
        .differs(&[reset("clock slowed", "uart.period", "100"), reset("clock divided", "uart.divider", "1")])
}

#[test]
fn a_subsection_in_a_subsection_is_sent_when_both_say_so() {
    lab().run().assert();
    let mut guest = new::RELEASE.start("board", &[]).unwrap();
    guest.act("uart.divider", 3).unwrap();
    let body = guest.save().unwrap().body("pl011", 0).unwrap().to_vec();
    let expected = [
        &b"\0\0\0\x90\x05\x0bpl011/clock\0\0\0\x01\0\0\0\0\0\0\0\x64"[..],
        b"\x05\x0cclock/muldiv\0\0\0\x01\0\0\0\x01\0\0\0\x03",
    ];
    assert_eq!(body, expected.concat());
}

#[test]
fn without_the_entry_no_guest_goes_back() {
    Lab::new(&[old::RELEASE, broken::RELEASE])
        .scenario(Scenario::writes("receiving", &[("uart.flags", 0x80)]))
        .fails(&[Failure {
            from: "5.2",
            to: "5.1",
            machine: "board-5.1",
            scenario: "*",
            text: "subsection 'pl011/clock' is not known to this release",
            reason: "5.2 sends it for older machine types too",
        }])
        .octets_differ(&[OctetDifference {
            release: "5.2",
            machine: "board-5.1",
            scenario: "*",
            section: "pl011",
            reason: "the same",
        }])
        .run()
        .assert();
}
