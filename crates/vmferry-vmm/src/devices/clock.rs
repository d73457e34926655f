//! Time: the virtual clock, which stands still while the guest does, and the host's real time.
//!
//! ```text
//!  virtual_ns   ──┐ stop      start ┌──      advances only between start and stop; moves with the guest (section `timer`)
//!                 └─────────────────┘
//!  realtime_ns  ────────────────────────     nanoseconds since the epoch, never stopped, never moved
//! ```
//!
//! The section `timer` is QEMU's (`docs/spec/virtio-state.md` section 8): with the virtual clock in it, devices can
//! send points in virtual time as they are.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use vmstate::{Migrate, Refused, Versions, VmState};

/// Where devices take the time from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Nanoseconds for which the guest has run.
    fn virtual_ns(&self) -> u64;

    /// Nanoseconds since the epoch.
    fn realtime_ns(&self) -> u64;
}

/// The clock of a real machine. It is made standing at 0.
#[derive(Debug, Default)]
pub struct HostClock {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    /// Virtual time at `since`, or where the clock stands.
    virtual_ns: u64,
    /// Since when it runs.
    since: Option<Instant>,
}

impl State {
    fn now(&self) -> u64 {
        let passed = self.since.map_or(0, |since| since.elapsed().as_nanos());
        self.virtual_ns.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}

impl HostClock {
    /// Lets virtual time go on; nothing happens if it does already.
    pub fn start(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.since.get_or_insert_with(Instant::now);
    }

    /// Stops virtual time; nothing happens if it stands already.
    pub fn stop(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { virtual_ns: state.now(), since: None };
    }

    /// Sets virtual time; whether the clock runs does not change.
    pub fn set_virtual_ns(&self, virtual_ns: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { virtual_ns, since: state.since.map(|_| Instant::now()) };
    }
}

impl Clock for HostClock {
    fn virtual_ns(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).now()
    }

    fn realtime_ns(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Image of the virtual clock.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "timer", version = 2)]
pub struct TimerImage {
    cpu_ticks_offset: i64,
    #[vmstate(unused = 8)]
    unused: (),
    cpu_clock_offset: i64,
}

/// The virtual clock as a section.
#[derive(Debug, Clone)]
pub struct ClockSection(pub Arc<HostClock>);

impl Migrate for ClockSection {
    type Image = TimerImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<TimerImage, Refused> {
        let Self(clock) = self;
        let cpu_clock_offset = i64::try_from(clock.virtual_ns())
            .map_err(|_| Refused::new("virtual time is beyond 2^63 - 1 ns, which no stream can hold"))?;
        // The host's cycle counter, which QEMU sends too, is nothing that this CPU shows to its guest.
        Ok(TimerImage { cpu_ticks_offset: 0, unused: (), cpu_clock_offset })
    }

    fn template(&self) -> Result<TimerImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: TimerImage, _: &Versions) -> Result<(), Refused> {
        let TimerImage { cpu_ticks_offset: _, unused: (), cpu_clock_offset } = image;
        let virtual_ns = u64::try_from(cpu_clock_offset)
            .map_err(|_| Refused::new(format!("cpu_clock_offset is {cpu_clock_offset}, before the start of time")))?;
        self.0.set_virtual_ns(virtual_ns);
        Ok(())
    }
}

/// A clock that a test sets.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct ManualClock {
    pub(crate) virtual_ns: std::sync::atomic::AtomicU64,
    pub(crate) realtime_ns: std::sync::atomic::AtomicU64,
}

#[cfg(test)]
impl ManualClock {
    pub(crate) fn advance(&self, ns: u64) {
        self.virtual_ns.fetch_add(ns, std::sync::atomic::Ordering::Relaxed);
        self.realtime_ns.fetch_add(ns, std::sync::atomic::Ordering::Relaxed);
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn virtual_ns(&self) -> u64 {
        self.virtual_ns.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn realtime_ns(&self) -> u64 {
        self.realtime_ns.load(std::sync::atomic::Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    vmstate::vmstate_tests!(TimerImage);
    vmstate::device_tests!(mod clock_section: || ClockSection(Arc::default()), || {
        let section = ClockSection(Arc::default());
        section.0.set_virtual_ns(123_456_789);
        section
    });

    #[test]
    fn virtual_time_stands_while_stopped_and_goes_on_from_there() {
        let clock = HostClock::default();
        assert_eq!(clock.virtual_ns(), 0);
        clock.start();
        while clock.virtual_ns() == 0 {}
        clock.stop();
        let stopped = clock.virtual_ns();
        assert_eq!(clock.virtual_ns(), stopped);
        clock.start();
        while clock.virtual_ns() == stopped {}
        assert!(clock.virtual_ns() > stopped);
    }

    #[test]
    fn virtual_time_moves_with_the_guest() {
        let source = ClockSection(Arc::new(HostClock::default()));
        source.0.set_virtual_ns(123_456_789);
        let mut destination = ClockSection(Arc::new(HostClock::default()));
        destination.restore(source.snapshot().unwrap(), &Versions::new(2)).unwrap();
        assert_eq!(destination.0.virtual_ns(), 123_456_789);
    }

    #[test]
    fn a_negative_virtual_time_is_refused() {
        let mut section = ClockSection(Arc::new(HostClock::default()));
        section.0.set_virtual_ns(5);
        let image = TimerImage { cpu_ticks_offset: 0, unused: (), cpu_clock_offset: -1 };
        section.restore(image, &Versions::new(2)).unwrap_err();
        assert_eq!(section.0.virtual_ns(), 5);
    }
}
