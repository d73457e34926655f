//! The devices of the machine, and which of them an access goes to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::guest::layout;
use crate::cpu::{BusFault, Width};
use crate::devices::finisher::{Finish, Finisher};
use crate::devices::rtc::GoldfishRtc;
use crate::devices::uart::Uart;
use crate::run_control::Halt;

/// Bytes of a device's registers at most.
const DEVICE_BYTES: u64 = 0x1000;

/// The devices. Handles: a clone leads to the same devices.
#[derive(Debug, Clone)]
pub(crate) struct Devices {
    pub(crate) uart: Arc<Mutex<Uart>>,
    pub(crate) rtc: Arc<Mutex<GoldfishRtc>>,
    pub(crate) finisher: Arc<Mutex<Finisher>>,
}

pub(crate) fn lock<T>(device: &Mutex<T>) -> MutexGuard<'_, T> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}

fn width(bytes: usize) -> Option<Width> {
    [Width::Byte, Width::Half, Width::Word, Width::Double].into_iter().find(|width| width.bytes() == bytes as u64)
}

impl Devices {
    /// A load by the guest. Where there is nothing, all bits are 1.
    pub(crate) fn load(&self, address: u64, data: &mut [u8]) {
        let value = width(data.len()).ok_or(BusFault).and_then(|width| {
            let offset = address % DEVICE_BYTES;
            match address - offset {
                base if base == layout::UART.0 => {
                    let mut uart = lock(&self.uart);
                    uart.poll();
                    uart.pump();
                    uart.read(offset, width)
                }
                base if base == layout::RTC.0 => lock(&self.rtc).read(offset, width),
                base if base == layout::FINISHER.0 => lock(&self.finisher).read(offset, width),
                _ => Err(BusFault),
            }
        });
        let bytes = value.unwrap_or(u64::MAX).to_le_bytes();
        data.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    }

    /// A store by the guest; what it ends. Where there is nothing, nothing happens.
    pub(crate) fn store(&self, address: u64, data: &[u8]) -> Option<Halt> {
        let width = width(data.len())?;
        let value = data.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
        let offset = address % DEVICE_BYTES;
        let stored = match address - offset {
            base if base == layout::UART.0 => lock(&self.uart).write(offset, width, value),
            base if base == layout::RTC.0 => lock(&self.rtc).write(offset, width, value),
            base if base == layout::FINISHER.0 => {
                let mut finisher = lock(&self.finisher);
                let stored = finisher.write(offset, width, value);
                return stored.ok().and_then(|()| finisher.take_request()).map(|request| match request {
                    Finish::PowerOff { code } => Halt::PowerOff { code },
                    Finish::Reset => Halt::Reset,
                });
            }
            _ => Err(BusFault),
        };
        if stored.is_err() {
            tracing::debug!(address, ?data, "a store that no device takes");
        }
        None
    }
}
