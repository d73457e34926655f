//! The goldfish real-time clock: nanoseconds since the epoch, and an alarm.
//!
//! | offset | register | read | written |
//! |---|---|---|---|
//! | 0x00 | TIME_LOW | low half; latches the high one | sets the low half of the time |
//! | 0x04 | TIME_HIGH | high half as latched | sets the high half |
//! | 0x08 | ALARM_LOW | low half of the alarm | sets it and arms the alarm |
//! | 0x0c | ALARM_HIGH | high half of the alarm | sets it |
//! | 0x10 | IRQ_ENABLED | bit 0 | bit 0 |
//! | 0x14 | CLEAR_ALARM | 0 | disarms |
//! | 0x18 | ALARM_STATUS | 1 while armed | – |
//! | 0x1c | CLEAR_INTERRUPT | 0 | takes the interrupt away |
//!
//! All registers have 32 bits. The clock follows the host's real time, also while the guest stands still: the distance
//! of two readings tells a guest how long it did.
//! Sources: the goldfish RTC's description in the Linux devicetree bindings and Android's goldfish documentation;
//! `docs/spec/board-riscv-virt.md`.
//!
//! Image, section `goldfish_rtc` version 3: the fields are QEMU's. `tick_offset_vmstate` is what versions 1 and 2 had
//! instead of `tick_offset`; it is not used.

use std::sync::Arc;

use vmstate::{Migrate, Refused, Versions, VmState};

use super::clock::Clock;
use super::{half, low32, with_half, word_only};
use crate::cpu::{BusFault, Width};

/// The device.
#[derive(Debug)]
pub struct GoldfishRtc {
    clock: Arc<dyn Clock>,
    /// Time of the guest less that of the host.
    tick_offset: u64,
    alarm_next: u64,
    is_armed: bool,
    irq_pending: bool,
    irq_enabled: bool,
    time_high: u32,
}

impl GoldfishRtc {
    /// Bytes of its registers.
    pub const BYTES: u64 = 0x1000;

    /// A clock that shows the host's time.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            tick_offset: 0,
            alarm_next: 0,
            is_armed: false,
            irq_pending: false,
            irq_enabled: false,
            time_high: 0,
        }
    }

    /// Reads a register.
    ///
    /// # Errors
    ///
    /// Not a 32-bit access.
    pub fn read(&mut self, offset: u64, width: Width) -> Result<u64, BusFault> {
        word_only(width)?;
        Ok(match offset {
            0x00 => {
                let now = self.time();
                self.time_high = low32(now >> 32);
                half(now, false)
            }
            0x04 => u64::from(self.time_high),
            0x08 => half(self.alarm_next, false),
            0x0c => half(self.alarm_next, true),
            0x10 => u64::from(self.irq_enabled),
            0x18 => {
                self.poll();
                u64::from(self.is_armed)
            }
            _ => 0,
        })
    }

    /// Writes a register.
    ///
    /// # Errors
    ///
    /// Not a 32-bit access.
    pub fn write(&mut self, offset: u64, width: Width, value: u64) -> Result<(), BusFault> {
        word_only(width)?;
        match offset {
            0x00 | 0x04 => {
                let now = self.time();
                let new = with_half(now, offset == 4, value);
                self.tick_offset = self.tick_offset.wrapping_add(new.wrapping_sub(now));
            }
            0x08 => {
                self.alarm_next = with_half(self.alarm_next, false, value);
                self.is_armed = true;
                self.poll();
            }
            0x0c => self.alarm_next = with_half(self.alarm_next, true, value),
            0x10 => self.irq_enabled = value & 1 != 0,
            0x14 => self.is_armed = false,
            0x1c => self.irq_pending = false,
            _ => {}
        }
        Ok(())
    }

    /// Fires the alarm if it is due. Called before [`GoldfishRtc::level`] is looked at.
    pub fn poll(&mut self) {
        if self.is_armed && self.time() >= self.alarm_next {
            self.is_armed = false;
            self.irq_pending = true;
        }
    }

    /// The interrupt line.
    #[must_use]
    pub const fn level(&self) -> bool {
        self.irq_pending && self.irq_enabled
    }

    /// Nanoseconds until the alarm, if one is armed; for a machine that sleeps.
    #[must_use]
    pub fn due_in_ns(&self) -> Option<u64> {
        self.is_armed.then(|| self.alarm_next.saturating_sub(self.time()))
    }

    fn time(&self) -> u64 {
        self.clock.realtime_ns().wrapping_add(self.tick_offset)
    }
}

/// Image of the clock.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "goldfish_rtc", version = 3)]
pub struct GoldfishRtcImage {
    #[vmstate(unused = 8)]
    tick_offset_vmstate: (),
    alarm_next: u64,
    alarm_running: u32,
    irq_pending: u32,
    irq_enabled: u32,
    time_high: u32,
    tick_offset: u64,
}

impl Migrate for GoldfishRtc {
    type Image = GoldfishRtcImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<GoldfishRtcImage, Refused> {
        let Self { clock: _, tick_offset, alarm_next, is_armed, irq_pending, irq_enabled, time_high } = self;
        Ok(GoldfishRtcImage {
            tick_offset_vmstate: (),
            alarm_next: *alarm_next,
            alarm_running: u32::from(*is_armed),
            irq_pending: u32::from(*irq_pending),
            irq_enabled: u32::from(*irq_enabled),
            time_high: *time_high,
            tick_offset: *tick_offset,
        })
    }

    fn template(&self) -> Result<GoldfishRtcImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: GoldfishRtcImage, _: &Versions) -> Result<(), Refused> {
        let GoldfishRtcImage {
            tick_offset_vmstate: (),
            alarm_next,
            alarm_running,
            irq_pending,
            irq_enabled,
            time_high,
            tick_offset,
        } = image;
        let flags = [("alarm_running", alarm_running), ("irq_pending", irq_pending), ("irq_enabled", irq_enabled)];
        if let Some((name, value)) = flags.iter().find(|(_, value)| *value > 1) {
            return Err(Refused::new(format!("{name} is {value:#x}, not 0 or 1")));
        }
        self.tick_offset = tick_offset;
        self.alarm_next = alarm_next;
        self.is_armed = alarm_running != 0;
        self.irq_pending = irq_pending != 0;
        self.irq_enabled = irq_enabled != 0;
        self.time_high = time_high;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::ManualClock;
    use super::*;

    vmstate::vmstate_tests!(GoldfishRtcImage);
    vmstate::device_tests!(mod rtc_device: || rtc().1, || GoldfishRtc { alarm_next: START, is_armed: true, ..rtc().1 });

    const START: u64 = 0x18ab_cdef_0123_4567;

    fn rtc() -> (Arc<ManualClock>, GoldfishRtc) {
        let clock = Arc::new(ManualClock::default());
        clock.advance(START);
        (clock.clone(), GoldfishRtc::new(clock))
    }

    fn read(rtc: &mut GoldfishRtc, offset: u64) -> u64 {
        rtc.read(offset, Width::Word).unwrap()
    }

    #[test]
    fn the_high_half_is_that_of_the_last_reading_of_the_low_half() {
        let (clock, mut rtc) = rtc();
        assert_eq!(read(&mut rtc, 0), START & 0xffff_ffff);
        clock.advance(1 << 32);
        assert_eq!(read(&mut rtc, 4), START >> 32);
        read(&mut rtc, 0);
        assert_eq!(read(&mut rtc, 4), (START >> 32) + 1);
    }

    #[test]
    fn an_alarm_fires_once_when_it_is_due() {
        let (clock, mut rtc) = rtc();
        let alarm = START + 1000;
        rtc.write(0x10, Width::Word, 1).unwrap();
        rtc.write(0x0c, Width::Word, alarm >> 32).unwrap();
        rtc.write(0x08, Width::Word, alarm & 0xffff_ffff).unwrap();
        assert_eq!((read(&mut rtc, 0x18), rtc.level(), rtc.due_in_ns()), (1, false, Some(1000)));
        clock.advance(1000);
        rtc.poll();
        assert!(rtc.level());
        assert_eq!((read(&mut rtc, 0x18), rtc.due_in_ns()), (0, None));
        rtc.write(0x1c, Width::Word, 0).unwrap();
        rtc.poll();
        assert!(!rtc.level());
    }

    #[test]
    fn a_time_that_the_guest_set_moves_with_it() {
        let (clock, mut rtc) = rtc();
        rtc.write(4, Width::Word, 1).unwrap();
        rtc.write(0, Width::Word, 2).unwrap();
        let mut other = GoldfishRtc::new(clock.clone());
        other.restore(rtc.snapshot().unwrap(), &Versions::new(3)).unwrap();
        clock.advance(5);
        assert_eq!((read(&mut other, 0), read(&mut other, 4)), (7, 1));
    }

    #[test]
    fn flags_that_are_neither_0_nor_1_are_refused() {
        let (_, mut rtc) = rtc();
        let before = rtc.snapshot().unwrap();
        rtc.restore(GoldfishRtcImage { irq_pending: 2, alarm_next: 9, ..before.clone() }, &Versions::new(3))
            .unwrap_err();
        assert_eq!(rtc.snapshot().unwrap(), before);
    }
}
