//! Images of parts that many of QEMU's devices have: clocks, timers that count down, FIFOs of octets.
//!
//! | image | fields, in the order of the wire |
//! |---|---|
//! | [`ClockImage`] | `period` u64; subsection `clock/muldiv` |
//! | [`ClockMuldivImage`] | `multiplier` u32, `divider` u32 |
//! | [`PtimerImage`] | `enabled` u8, `limit` u64, `delta` u64, `period_frac` u32, `period` i64, `last_event` i64, `next_event` i64, `timer` |
//! | [`Fifo8Image`] | `data` as many octets as it has room for, `head` u32, `num` u32 |
//!
//! Source: the descriptions in streams of QEMU 10.0 (`mps2-an385`, `raspi3b`, `xlnx-zcu102`) and, for `clock/muldiv`,
//! which none of them has, its schema dump.

use crate::codecs::TimerExpiry;
use crate::{Refused, VmState};

/// A clock that feeds a device.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "clock", version = 0)]
pub struct ClockImage {
    /// Its period, in units of 2^-32 ns (19.2 MHz of `raspi3b` are 223 696 213 333); 0 if it stands still.
    pub period: u64,
    /// What its input is multiplied and divided by; no board of those above sends it.
    #[vmstate(subsection)]
    pub muldiv: Option<ClockMuldivImage>,
}

/// The ratio of a clock to its input.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "clock/muldiv", version = 1)]
pub struct ClockMuldivImage {
    /// What the period is multiplied by.
    pub multiplier: u32,
    /// What the period is divided by.
    pub divider: u32,
}

/// A timer that counts down with a period of its own.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "ptimer", version = 1)]
#[expect(missing_docs, reason = "QEMU's names; what they mean is the business of the device that has the timer")]
pub struct PtimerImage {
    pub enabled: u8,
    pub limit: u64,
    pub delta: u64,
    pub period_frac: u32,
    pub period: i64,
    pub last_event: i64,
    pub next_event: i64,
    pub timer: TimerExpiry,
}

/// Largest room of a FIFO, in octets: far above that of any device (1024 is the largest seen).
pub const FIFO8_CAPACITY_MAX: usize = 1 << 16;

/// A FIFO of octets: a ring with room for a number that is the device's and not on the wire.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "Fifo8", version = 1)]
pub struct Fifo8Image {
    /// Octets that it has room for.
    #[vmstate(local)]
    pub capacity: u32,
    /// The ring.
    #[vmstate(since = 1, buffer, len = capacity, max = FIFO8_CAPACITY_MAX)]
    pub data: Vec<u8>,
    /// Position in the ring of the octet that leaves next.
    pub head: u32,
    /// Octets that are in it.
    pub num: u32,
}

impl Fifo8Image {
    /// A FIFO with these octets in it, the first of which leaves next.
    ///
    /// # Errors
    ///
    /// They do not fit.
    pub fn holding(octets: &[u8], capacity: u32) -> Result<Self, Refused> {
        match u32::try_from(octets.len()) {
            Ok(num) if num <= capacity => {
                let mut data = octets.to_vec();
                data.resize(capacity as usize, 0);
                Ok(Self { capacity, data, head: 0, num })
            }
            _ => Err(Refused::new(format!("FIFO holds {} octets, over its {capacity}", octets.len()))),
        }
    }

    /// What is in it, in the order in which it leaves.
    ///
    /// # Errors
    ///
    /// The image is none of a FIFO: it holds more than it has room for, or begins outside.
    pub fn octets(&self) -> Result<Vec<u8>, Refused> {
        let Self { capacity, data, head, num } = self;
        if num > capacity {
            return Err(Refused::new(format!("FIFO holds {num} octets, accepted are up to {capacity}")));
        }
        if head >= capacity && *head != 0 {
            return Err(Refused::new(format!("FIFO begins at {head}, accepted are positions below {capacity}")));
        }
        let ring = data.iter().cycle().skip(*head as usize).take(if data.is_empty() { 0 } else { *num as usize });
        Ok(ring.copied().collect())
    }
}
