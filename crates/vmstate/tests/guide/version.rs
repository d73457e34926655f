//! A version is raised, and nobody can go back.

use super::{load, save};
use vmstate::{Migrate, Refused, Upgrade, Versions, VmState};

#[derive(VmState, Default)]
#[vmstate(name = "timer", version = 1)]
struct TimerImageV1 {
    ticks: u32,
}

#[derive(VmState, Default)]
#[vmstate(name = "timer", version = 3, min = 2, older = TimerImageV1)]
struct TimerImage {
    ns: u64, // version 1 had ticks: another form, so an older image
    #[vmstate(since = 3)] // version 2 lacks it: the template's value stays
    is_periodic: bool,
}

impl Upgrade<TimerImageV1> for TimerImage {
    fn older(&self) -> TimerImageV1 {
        TimerImageV1::default()
    }

    fn upgrade(&mut self, old: TimerImageV1, _version: u32) -> Result<(), Refused> {
        let TimerImageV1 { ticks } = old;
        self.ns = u64::from(ticks) * 100;
        Ok(())
    }
}

#[derive(Debug, PartialEq)]
struct Timer {
    ns: u64,
    is_periodic: bool,
}

impl Migrate for Timer {
    type Image = TimerImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<TimerImage, Refused> {
        let Self { ns, is_periodic } = self;
        Ok(TimerImage { ns: *ns, is_periodic: *is_periodic })
    }

    fn template(&self) -> Result<TimerImage, Refused> {
        Ok(TimerImage { ns: 0, is_periodic: true })
    }

    fn restore(&mut self, image: TimerImage, _: &Versions) -> Result<(), Refused> {
        let TimerImage { ns, is_periodic } = image;
        *self = Self { ns, is_periodic };
        Ok(())
    }
}

#[test]
fn all_old_versions_load_and_none_is_written() {
    let mut timer = Timer { ns: 0, is_periodic: false };
    load(&mut timer, 1, &[0, 0, 0, 5]).unwrap();
    assert_eq!(timer, Timer { ns: 500, is_periodic: true });
    load(&mut timer, 2, &[0, 0, 0, 0, 0, 0, 0, 9]).unwrap();
    assert_eq!(timer, Timer { ns: 9, is_periodic: true });
    let after = save(&timer);
    assert_eq!(after, [0, 0, 0, 0, 0, 0, 0, 9, 1]);
    // What a release at version 1 says of every stream of this one, whatever the machine type:
    let refused = TimerImageV1::default().decode(&(), 3, &mut vmstate::Input::from_slice(&after, 0)).unwrap_err();
    assert_eq!(refused.to_string(), "at byte 0x0: version 3 is too new: this release loads up to version 1");
}
