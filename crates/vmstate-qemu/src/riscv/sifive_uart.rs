//! SiFive's UART.
//!
//! | field | there |
//! |---|---|
//! | `rx_fifo` u8 × 8, `rx_fifo_len` u8, `ie` u32 | always |
//! | `ip` u32 | up to version 2 |
//! | `txctrl`, `rxctrl`, `div` u32 | always |
//! | `txfifo` u32, `tx_fifo` a FIFO of 8 octets, `fifo_trigger_handle` timer | since 2 |
//!
//! Source: streams of QEMU 7.2 (version 1), 10.0 (2) and 11.1 (3), `sifive_u`; 5.2 sends no such section. Each of them
//! loads its own version only.

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;
use vmstate::parts::Fifo8Image;

/// Octets that each FIFO has room for.
pub const FIFO_OCTETS: u32 = 8;

/// The UART.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "riscv.sifive.uart", version = 3, min = 1)]
pub struct SifiveUartImage {
    /// What was received.
    pub rx_fifo: [u8; 8],
    /// How much of it.
    pub rx_fifo_len: u8,
    /// Interrupts that are enabled.
    pub ie: u32,
    /// Interrupts that are pending: later releases compute them.
    #[vmstate(when = is_before_3)]
    pub ip: u32,
    /// Transmit control.
    pub txctrl: u32,
    /// Receive control.
    pub rxctrl: u32,
    /// Divisor of the clock.
    pub div: u32,
    /// Transmit register.
    #[vmstate(since = 2)]
    pub txfifo: u32,
    /// What is to be sent.
    #[vmstate(since = 2)]
    pub tx_fifo: Fifo8Image,
    /// When it is sent.
    #[vmstate(since = 2)]
    pub fifo_trigger_handle: TimerExpiry,
}

fn is_before_3(_: &SifiveUartImage, version: u32) -> bool {
    version < 3
}

impl SifiveUartImage {
    /// A template with room for what may arrive in the FIFO.
    #[must_use]
    pub fn template() -> Self {
        Self { tx_fifo: Fifo8Image::holding(&[], FIFO_OCTETS).unwrap_or_default(), ..Self::default() }
    }
}
