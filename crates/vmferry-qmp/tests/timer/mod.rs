//! The one device of QEMU's machine `none`.

use std::sync::{Arc, Mutex};

use vmferry::Machine as _;
use vmstate::{Migrate, Place, Refused, Versions, VmState};

use crate::machine::TestMachine;

/// QEMU's `timer` section, as `docs/spec/stream.md` section 12 has it.
#[derive(VmState, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[vmstate(name = "timer", version = 2)]
struct TimerImage {
    cpu_ticks_offset: i64,
    #[vmstate(unused = 8)]
    _reserved: (),
    cpu_clock_offset: i64,
}

#[derive(Debug, Default)]
struct Timer(TimerImage);

impl Migrate for Timer {
    type Image = TimerImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<TimerImage, Refused> {
        Ok(self.0)
    }

    fn template(&self) -> Result<TimerImage, Refused> {
        Ok(self.0)
    }

    fn restore(&mut self, image: TimerImage, _: &Versions) -> Result<(), Refused> {
        self.0 = image;
        Ok(())
    }
}

/// Gives a machine the device.
pub(crate) fn with_timer(machine: &TestMachine) {
    machine.registry().register(Place::default(), Arc::new(Mutex::new(Timer::default()))).unwrap();
}
