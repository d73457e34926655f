//! R1: new state for an existing device, tied to machine types.
//!
//! The clock's alarm was there in 1.0, and nobody sent it: a guest that moved lost its alarm. 1.1 sends it. What
//! release 1.1 sends of the machine type `board-1.0` must stay what 1.0 sends and loads, so a property decides:
//!
//! | step | where |
//! |---|---|
//! | 1. a property whose default is on | `RtcProps::migrate_alarm` |
//! | 2. an entry that turns it off, in the list of the previous version | `family!` |
//! | 3. a test: does the property say so, and is there something to say? | `gate`, and `snapshot` makes no `Some` for nothing |
//! | 4. a subsection, named for its parent | `AlarmImage`, `rtc/alarm` |
//! | 5. what a stream without it means | `None` in `restore`; `template` for fields |
//! | 6. tests: this file | |
//!
//! Octets of the section, with an alarm at 77:
//!
//! | machine type | release | octets |
//! |---|---|---|
//! | `board-1.0` | 1.0 and 1.1 | `0000000000000005` |
//! | `board-1.1` | 1.1 | `0000000000000005` `05 09 "rtc/alarm" 00000001 000000000000004d` |

use vmstate_lab::{Difference, Failure, Lab, OctetDifference, Scenario};

/// The release that forgot the alarm.
mod v1_0 {
    use vmstate::{Migrate, Place, Refused, Versions, VmState};
    use vmstate_lab::{Machine, Release, registers};

    #[derive(VmState)]
    #[vmstate(name = "rtc", version = 1)]
    struct RtcImage {
        seconds: u64,
    }

    #[derive(Default)]
    struct Rtc {
        seconds: u64,
        alarm: u64,
    }

    registers!(Rtc { seconds, alarm });

    impl Migrate for Rtc {
        type Image = RtcImage;
        type Props = ();

        fn props(&self) {}

        fn snapshot(&self) -> Result<RtcImage, Refused> {
            let Self { seconds, alarm: _ } = self;
            Ok(RtcImage { seconds: *seconds })
        }

        fn template(&self) -> Result<RtcImage, Refused> {
            self.snapshot()
        }

        fn restore(&mut self, image: RtcImage, _: &Versions) -> Result<(), Refused> {
            let RtcImage { seconds } = image;
            *self = Self { seconds, alarm: 0 };
            Ok(())
        }
    }

    family! { "1.0": "1.0" }
    pub(super) const RELEASE: Release = Release::new("1.0", &FAMILY, &[], |_| {
        let mut machine = Machine::new();
        machine.add("rtc", Place::default(), Rtc::default())?;
        Ok(machine)
    });
}

/// The device of 1.1, and what becomes of it without and with step 2.
mod v1_1 {
    use vmstate::{Migrate, Properties, Refused, Versions, VmState};

    #[derive(Properties, Clone)]
    #[properties(device = "rtc")]
    pub(super) struct RtcProps {
        #[property(default = true)]
        migrate_alarm: bool,
    }

    #[derive(VmState)]
    #[vmstate(name = "rtc", version = 1, props = RtcProps)]
    pub(super) struct RtcImage {
        seconds: u64,
        #[vmstate(subsection, gate = migrate_alarm)]
        alarm: Option<AlarmImage>,
    }

    #[derive(VmState, Default)]
    #[vmstate(name = "rtc/alarm", version = 1)]
    pub(super) struct AlarmImage {
        at: u64,
    }

    pub(super) struct Rtc {
        props: RtcProps,
        seconds: u64,
        alarm: u64,
    }

    vmstate_lab::registers!(Rtc { seconds, alarm });

    impl Rtc {
        pub(super) fn new(props: RtcProps) -> Self {
            Self { props, seconds: 0, alarm: 0 }
        }
    }

    impl Migrate for Rtc {
        type Image = RtcImage;
        type Props = RtcProps;

        fn props(&self) -> RtcProps {
            self.props.clone()
        }

        fn snapshot(&self) -> Result<RtcImage, Refused> {
            let Self { props: _, seconds, alarm } = self;
            let alarm = (*alarm != 0).then_some(AlarmImage { at: *alarm });
            Ok(RtcImage { seconds: *seconds, alarm })
        }

        fn template(&self) -> Result<RtcImage, Refused> {
            self.snapshot()
        }

        fn restore(&mut self, image: RtcImage, _: &Versions) -> Result<(), Refused> {
            let RtcImage { seconds, alarm } = image;
            // No subsection: the sender had no alarm, or it was one that sends none.
            let alarm = alarm.map_or(0, |AlarmImage { at }| at);
            *self = Self { props: self.props.clone(), seconds, alarm };
            Ok(())
        }
    }

    /// Step 2 was forgotten.
    pub(super) mod incomplete {
        use super::{Rtc, RtcProps};
        use crate::plain::machine_of;
        use vmstate::machine::DeviceType;
        use vmstate_lab::Release;

        family! { "1.1": "1.1", "1.0" }
        pub(in super::super) const RELEASE: Release =
            Release::new("1.1", &FAMILY, &[DeviceType::of::<RtcProps>()], |settings| {
                machine_of("rtc", Rtc::new(settings.properties(&[])?))
            });
    }

    /// As it should be.
    pub(super) mod complete {
        use super::{Rtc, RtcProps};
        use crate::plain::machine_of;
        use vmstate::machine::DeviceType;
        use vmstate_lab::Release;

        family! { "1.1": "1.1", "1.0" [("rtc", "migrate-alarm", "off")] }
        pub(in super::super) const RELEASE: Release =
            Release::new("1.1", &FAMILY, &[DeviceType::of::<RtcProps>()], |settings| {
                machine_of("rtc", Rtc::new(settings.properties(&[])?))
            });
    }
}

const ARMED: &[(&str, u64)] = &[("rtc.seconds", 5), ("rtc.alarm", 77)];

/// What 1.0 forgot stays forgotten for its machine type.
const LOST: Difference = Difference {
    from: "*",
    to: "*",
    machine: "board-1.0",
    scenario: "alarm armed",
    register: "rtc.alarm",
    value: "0",
    reason: "1.0 does not send the alarm, so its machine type never does",
};

pub(crate) fn lab() -> Lab {
    Lab::new(&[v1_0::RELEASE, v1_1::complete::RELEASE])
        .scenario(Scenario::writes("clock set", &[("rtc.seconds", 5)]))
        .scenario(Scenario::writes("alarm armed", ARMED))
        .differs(&[LOST])
}

#[test]
fn every_pair_of_releases_moves_every_machine_type() {
    lab().run().assert();
}

#[test]
fn without_the_entry_a_guest_cannot_go_back() {
    let armed = "alarm armed";
    Lab::new(&[v1_0::RELEASE, v1_1::incomplete::RELEASE])
        .scenario(Scenario::writes(armed, ARMED))
        .fails(&[Failure {
            from: "1.1",
            to: "1.0",
            machine: "board-1.0",
            scenario: armed,
            text: "subsection 'rtc/alarm' is not known to this release",
            reason: "1.1 sends what it should not for this machine type",
        }])
        .differs(&[Difference { from: "1.0", ..LOST }])
        .octets_differ(&[OctetDifference {
            release: "1.1",
            machine: "board-1.0",
            scenario: armed,
            section: "rtc",
            reason: "the same",
        }])
        .run()
        .assert();
}

#[test]
fn the_octets_are_those_of_the_table() {
    let section = |machine: &str| {
        let mut guest = v1_1::complete::RELEASE.start(machine, &[]).unwrap();
        ARMED.iter().for_each(|(register, value)| guest.act(register, *value).unwrap());
        guest.save().unwrap().body("rtc", 0).unwrap().to_vec()
    };
    assert_eq!(section("board-1.0"), b"\0\0\0\0\0\0\0\x05");
    assert_eq!(section("board-1.1"), b"\0\0\0\0\0\0\0\x05\x05\x09rtc/alarm\0\0\0\x01\0\0\0\0\0\0\0\x4d");
}
