//! R2: new state without a property, sent only when it is needed.
//!
//! A floppy controller may be between two octets of a command; 1.0 forgot that, and a guest that moved just then hung.
//! 1.1 sends the rest of the command, in a subsection that is there only while there is one. No property, no entry, and
//! the mend works for all machine types; the price: a guest in that state does not move back to 1.0. It is refused
//! there by name, the source goes on, and a moment later it works.
//!
//! | state | octets of 1.0 | octets of 1.1 |
//! |---|---|---|
//! | idle | `13` | `13` |
//! | `0a` is left of a command | `13` | `13` `05 08 "fdc/rest" 00000001 0a` |
//!
//! The default that an absent subsection stands for is the common case; choose it so.

use vmstate_lab::{Difference, Failure, Lab, OctetDifference, Scenario};

mod v1_0 {
    use vmstate::{Migrate, Refused, Versions, VmState};
    use vmstate_lab::{Release, registers};

    use crate::plain::machine_of;

    #[derive(VmState)]
    #[vmstate(name = "fdc", version = 1)]
    struct FdcImage {
        status: u8,
    }

    #[derive(Default)]
    struct Fdc {
        status: u8,
        rest: u8,
    }

    registers!(Fdc { status, rest });

    impl Migrate for Fdc {
        type Image = FdcImage;
        type Props = ();

        fn props(&self) {}

        fn snapshot(&self) -> Result<FdcImage, Refused> {
            let Self { status, rest: _ } = self;
            Ok(FdcImage { status: *status })
        }

        fn template(&self) -> Result<FdcImage, Refused> {
            self.snapshot()
        }

        fn restore(&mut self, image: FdcImage, _: &Versions) -> Result<(), Refused> {
            let FdcImage { status } = image;
            *self = Self { status, rest: 0 };
            Ok(())
        }
    }

    family! { "1.0": "1.0" }
    pub(super) const RELEASE: Release = Release::new("1.0", &FAMILY, &[], |_| machine_of("fdc", Fdc::default()));
}

mod v1_1 {
    use vmstate::{Migrate, Refused, Versions, VmState};
    use vmstate_lab::{Release, registers};

    use crate::plain::machine_of;

    #[derive(VmState)]
    #[vmstate(name = "fdc", version = 1)]
    struct FdcImage {
        status: u8,
        #[vmstate(subsection)]
        rest: Option<RestImage>,
    }

    #[derive(VmState, Default)]
    #[vmstate(name = "fdc/rest", version = 1)]
    struct RestImage {
        rest: u8,
    }

    #[derive(Default)]
    struct Fdc {
        status: u8,
        rest: u8,
    }

    registers!(Fdc { status, rest });

    impl Migrate for Fdc {
        type Image = FdcImage;
        type Props = ();

        fn props(&self) {}

        fn snapshot(&self) -> Result<FdcImage, Refused> {
            let Self { status, rest } = self;
            let is_needed = *rest != 0;
            Ok(FdcImage { status: *status, rest: is_needed.then_some(RestImage { rest: *rest }) })
        }

        fn template(&self) -> Result<FdcImage, Refused> {
            self.snapshot()
        }

        fn restore(&mut self, image: FdcImage, _: &Versions) -> Result<(), Refused> {
            let FdcImage { status, rest } = image;
            *self = Self { status, rest: rest.map_or(0, |RestImage { rest }| rest) };
            Ok(())
        }
    }

    family! { "1.1": "1.1", "1.0" }
    pub(super) const RELEASE: Release = Release::new("1.1", &FAMILY, &[], |_| machine_of("fdc", Fdc::default()));
}

const BUSY: &str = "in a command";

pub(crate) fn lab() -> Lab {
    Lab::new(&[v1_0::RELEASE, v1_1::RELEASE])
        .scenario(Scenario::writes("idle", &[("fdc.status", 0x13)]))
        .scenario(Scenario::writes(BUSY, &[("fdc.status", 0x13), ("fdc.rest", 10)]))
        .fails(&[Failure {
            from: "1.1",
            to: "1.0",
            machine: "board-1.0",
            scenario: BUSY,
            text: "subsection 'fdc/rest' is not known to this release",
            reason: "1.0 would lose it; refused, the guest goes on at the source",
        }])
        .differs(&[Difference {
            from: "1.0",
            to: "*",
            machine: "*",
            scenario: BUSY,
            register: "fdc.rest",
            value: "0",
            reason: "1.0 does not send it: the fault that 1.1 mends",
        }])
        .octets_differ(&[OctetDifference {
            release: "1.1",
            machine: "board-1.0",
            scenario: BUSY,
            section: "fdc",
            reason: "the mend is for all machine types",
        }])
}

#[test]
fn going_back_fails_only_while_the_state_is_there() {
    lab().run().assert();
}

#[test]
fn the_octets_are_those_of_the_table() {
    let section = |rest| {
        let mut guest = v1_1::RELEASE.start("board-1.0", &[]).unwrap();
        guest.act("fdc.status", 0x13).unwrap();
        guest.act("fdc.rest", rest).unwrap();
        guest.save().unwrap().body("fdc", 0).unwrap().to_vec()
    };
    assert_eq!(section(0), b"\x13");
    assert_eq!(section(10), b"\x13\x05\x08fdc/rest\0\0\0\x01\x0a");
}
