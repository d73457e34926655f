//! R13: loading a form that no attribute can express.
//!
//! 1.0 sends seconds, 2.0 nanoseconds: nothing of the old layout is left. The version is raised (R5, with all that it
//! costs), and the old image stays as the one that old versions are decoded into; the new one is made from it
//! (`Upgrade`). For snapshots and streams of releases that one still moves guests from, never instead of R4, which
//! keeps the way back.
//!
//! | release | version | octets for 2 s |
//! |---|---|---|
//! | 1.0 | 1 | `00000002` |
//! | 2.0 | 2 | `0000000077359400` |

use vmstate_lab::{Failure, Lab, OctetDifference, Scenario};

mod v1_0 {
    use vmstate::VmState;
    use vmstate_lab::{Release, registers};

    use crate::plain::{Plain, machine_of};

    /// What 2.0 keeps of 1.0.
    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "clock", version = 1)]
    pub(super) struct ClockImageV1 {
        pub(super) seconds: u32,
    }

    registers!(ClockImageV1 { seconds });

    family! { "1.0": "1.0" }
    pub(super) const RELEASE: Release =
        Release::new("1.0", &FAMILY, &[], |_| machine_of("clock", Plain::new(ClockImageV1::default(), ())));
}

mod v2_0 {
    use vmstate::{Migrate, Refused, Upgrade, Versions, VmState};
    use vmstate_lab::{Guest, Observation, Release, Unsupported};

    use super::v1_0::ClockImageV1;
    use crate::plain::machine_of;

    const NS_PER_S: u64 = 1_000_000_000;

    #[derive(VmState, Clone, Default)]
    #[vmstate(name = "clock", version = 2, older = ClockImageV1)]
    struct ClockImage {
        ns: u64,
    }

    impl Upgrade<ClockImageV1> for ClockImage {
        fn older(&self) -> ClockImageV1 {
            ClockImageV1::default()
        }

        fn upgrade(&mut self, old: ClockImageV1, _version: u32) -> Result<(), Refused> {
            let ClockImageV1 { seconds } = old;
            *self = Self { ns: u64::from(seconds) * NS_PER_S };
            Ok(())
        }
    }

    #[derive(Default)]
    struct Clock {
        ns: u64,
    }

    impl Guest for Clock {
        fn act(&mut self, register: &str, value: u64) -> Result<(), Unsupported> {
            match register {
                "seconds" => self.ns = value * NS_PER_S,
                _ => return Err(Unsupported::register(register)),
            }
            Ok(())
        }

        fn observe(&self) -> Observation {
            Observation::new().with("seconds", self.ns / NS_PER_S)
        }
    }

    impl Migrate for Clock {
        type Image = ClockImage;
        type Props = ();

        fn props(&self) {}

        fn snapshot(&self) -> Result<ClockImage, Refused> {
            let Self { ns } = self;
            Ok(ClockImage { ns: *ns })
        }

        fn template(&self) -> Result<ClockImage, Refused> {
            self.snapshot()
        }

        fn restore(&mut self, image: ClockImage, _: &Versions) -> Result<(), Refused> {
            let ClockImage { ns } = image;
            *self = Self { ns };
            Ok(())
        }
    }

    family! { "2.0": "2.0", "1.0" }
    pub(super) const RELEASE: Release = Release::new("2.0", &FAMILY, &[], |_| machine_of("clock", Clock::default()));
}

const REASON: &str = "2.0 writes version 2 only";

pub(crate) fn lab() -> Lab {
    Lab::new(&[v1_0::RELEASE, v2_0::RELEASE])
        .scenario(Scenario::writes("clock set", &[("clock.seconds", 2)]))
        .fails(&[Failure {
            from: "2.0",
            to: "1.0",
            machine: "*",
            scenario: "*",
            text: "version 2 is too new: this release loads up to version 1",
            reason: REASON,
        }])
        .octets_differ(&[OctetDifference {
            release: "2.0",
            machine: "board-1.0",
            scenario: "*",
            section: "clock",
            reason: REASON,
        }])
}

#[test]
fn the_old_form_is_loaded_and_never_written() {
    lab().run().assert();
    let section = |release: vmstate_lab::Release| {
        let mut guest = release.start("board-1.0", &[]).unwrap();
        guest.act("clock.seconds", 2).unwrap();
        guest.save().unwrap().body_hex("clock", 0).unwrap()
    };
    assert_eq!((section(v1_0::RELEASE).as_str(), section(v2_0::RELEASE).as_str()), ("00000002", "0000000077359400"));
}
