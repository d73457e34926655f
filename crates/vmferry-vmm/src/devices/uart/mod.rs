//! The serial port: a 16550A with 16-byte FIFOs.
//!
//! | offset | read | written | with DLAB |
//! |---|---|---|---|
//! | 0 | RBR | THR | divisor, low |
//! | 1 | IER | IER | divisor, high |
//! | 2 | IIR | FCR | |
//! | 3 | LCR | LCR | |
//! | 4 | MCR | MCR | |
//! | 5 | LSR | – | |
//! | 6 | MSR | – | |
//! | 7 | SCR | SCR | |
//!
//! Registers have 8 bits at every byte address; wider accesses see the low byte. The way of a byte out:
//!
//! ```text
//!   THR / transmit FIFO ──> shift register ──> sink        a sink that is busy leaves the byte in the shift register;
//!                                                          the machine calls `pump` when it takes bytes again
//! ```
//!
//! Interrupts in their order: line status, receive timeout, received data, transmitter empty, modem status. A receive
//! FIFO that nobody reads for four characters' time raises the timeout.
//! Sources: National Semiconductor PC16550D data sheet; `docs/spec/board-riscv-virt.md` (3.6864 MHz).

mod fifo;
mod image;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use super::clock::Clock;
use super::low8;
use crate::cpu::{BusFault, Width};
use fifo::Fifo;
pub use image::{SerialImage, SerialProps};

/// Input clock divided by 16: the rate at divisor 1.
const BAUD_BASE: u64 = 3_686_400 / 16;
/// Divisor out of reset: 19 200 baud.
const RESET_DIVISOR: u16 = 12;

const IER_RECEIVED: u8 = 0x01;
const IER_TRANSMIT: u8 = 0x02;
const IER_LINE: u8 = 0x04;
const IER_MODEM: u8 = 0x08;
const IER_MASK: u8 = 0x0f;

const IIR_NONE: u8 = 0x01;
const IIR_MODEM: u8 = 0x00;
const IIR_TRANSMIT: u8 = 0x02;
const IIR_RECEIVED: u8 = 0x04;
const IIR_LINE: u8 = 0x06;
const IIR_TIMEOUT: u8 = 0x0c;
const IIR_FIFOS: u8 = 0xc0;

const FCR_ENABLE: u8 = 0x01;
const FCR_RESET_RECEIVE: u8 = 0x02;
const FCR_RESET_TRANSMIT: u8 = 0x04;
/// Bits that stay: enable, DMA mode, trigger.
const FCR_MASK: u8 = 0xc9;

const LCR_DLAB: u8 = 0x80;
const MCR_LOOPBACK: u8 = 0x10;
const MCR_OUT2: u8 = 0x08;
const MCR_MASK: u8 = 0x1f;

const LSR_READY: u8 = 0x01;
const LSR_OVERRUN: u8 = 0x02;
const LSR_ERRORS: u8 = 0x1e;
const LSR_THR_EMPTY: u8 = 0x20;
const LSR_EMPTY: u8 = 0x40;

/// Carrier, data set ready, clear to send: the other side is always there.
const MSR_CONNECTED: u8 = 0xb0;
const MSR_CHANGES: u8 = 0x0f;

/// Where the guest's characters go.
pub trait CharSink: Send {
    /// Takes a character; `false` if there is no room now.
    fn accept(&mut self, byte: u8) -> bool;

    /// The guest stops: what was kept back goes out.
    fn flush(&mut self) {}
}

impl<F: FnMut(u8) -> bool + Send> CharSink for F {
    fn accept(&mut self, byte: u8) -> bool {
        self(byte)
    }
}

/// The serial port.
pub struct Uart {
    clock: Arc<dyn Clock>,
    sink: Box<dyn CharSink>,
    props: SerialProps,
    divider: u16,
    rbr: u8,
    thr: u8,
    ier: u8,
    fcr: u8,
    lcr: u8,
    mcr: u8,
    lsr: u8,
    msr: u8,
    scr: u8,
    /// The byte that the sink has not taken yet.
    shift: Option<u8>,
    /// The transmitter became empty and the guest has not seen it.
    transmit_pending: bool,
    timeout_pending: bool,
    /// When the receive timeout comes, in virtual time.
    timeout_at_ns: Option<u64>,
    receive: Fifo,
    transmit: Fifo,
}

impl fmt::Debug for Uart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uart").field("ier", &self.ier).field("lsr", &self.lsr).finish_non_exhaustive()
    }
}

impl Uart {
    /// Bytes of its registers.
    pub const BYTES: u64 = 0x100;

    /// Lets the sink put out what it kept back.
    pub fn flush(&mut self) {
        self.sink.flush();
    }

    /// A port out of reset that transmits to `sink`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, sink: Box<dyn CharSink>, props: SerialProps) -> Self {
        Self {
            clock,
            sink,
            props,
            divider: RESET_DIVISOR,
            rbr: 0,
            thr: 0,
            ier: 0,
            fcr: 0,
            lcr: 0,
            mcr: MCR_OUT2,
            lsr: LSR_EMPTY | LSR_THR_EMPTY,
            msr: MSR_CONNECTED,
            scr: 0,
            shift: None,
            transmit_pending: false,
            timeout_pending: false,
            timeout_at_ns: None,
            receive: Fifo::default(),
            transmit: Fifo::default(),
        }
    }

    /// Reads a register.
    ///
    /// # Errors
    ///
    /// None; the result is that of every device.
    pub fn read(&mut self, offset: u64, _width: Width) -> Result<u64, BusFault> {
        let [divider_low, divider_high] = self.divider.to_le_bytes();
        let value = match offset {
            0 if self.has_dlab() => divider_low,
            0 => self.read_rbr(),
            1 if self.has_dlab() => divider_high,
            1 => self.ier,
            2 => self.read_iir(),
            3 => self.lcr,
            4 => self.mcr,
            5 => {
                let lsr = self.lsr;
                self.lsr &= !LSR_ERRORS;
                lsr
            }
            6 => self.read_msr(),
            7 => self.scr,
            _ => 0,
        };
        Ok(u64::from(value))
    }

    /// Writes a register.
    ///
    /// # Errors
    ///
    /// None; the result is that of every device.
    pub fn write(&mut self, offset: u64, _width: Width, value: u64) -> Result<(), BusFault> {
        let value = low8(value);
        match offset {
            0 if self.has_dlab() => self.divider = self.divider & 0xff00 | u16::from(value),
            0 => self.write_thr(value),
            1 if self.has_dlab() => self.divider = self.divider & 0x00ff | u16::from(value) << 8,
            1 => self.write_ier(value),
            2 => self.write_fcr(value),
            3 => self.lcr = value,
            4 => self.mcr = value & MCR_MASK,
            7 => self.scr = value,
            _ => {}
        }
        Ok(())
    }

    /// The interrupt line.
    #[must_use]
    pub fn level(&self) -> bool {
        self.interrupt() != IIR_NONE
    }

    /// Whether a received byte would find room.
    #[must_use]
    pub fn can_receive(&self) -> bool {
        if self.has_fifos() { !self.receive.is_full() } else { self.lsr & LSR_READY == 0 }
    }

    /// A byte arrives on the line. Without room it is lost, or the one before it, and the guest sees an overrun.
    pub fn receive(&mut self, byte: u8) {
        if self.has_fifos() {
            if !self.receive.push(byte) {
                self.lsr |= LSR_OVERRUN;
            }
            self.start_timeout();
        } else {
            if self.lsr & LSR_READY != 0 {
                self.lsr |= LSR_OVERRUN;
            }
            self.rbr = byte;
        }
        self.lsr |= LSR_READY;
    }

    /// Raises the receive timeout if it is due. Called before [`Uart::level`] is looked at.
    pub fn poll(&mut self) {
        if self.timeout_at_ns.is_some_and(|at| self.clock.virtual_ns() >= at) {
            self.timeout_at_ns = None;
            self.timeout_pending = !self.receive.is_empty();
        }
    }

    /// Virtual nanoseconds until the receive timeout, if one is coming; for a machine that sleeps.
    #[must_use]
    pub fn due_in_ns(&self) -> Option<u64> {
        self.timeout_at_ns.map(|at| at.saturating_sub(self.clock.virtual_ns()))
    }

    /// Whether bytes wait for the sink.
    #[must_use]
    pub const fn is_blocked(&self) -> bool {
        self.shift.is_some()
    }

    /// Offers waiting bytes to the sink again.
    pub fn pump(&mut self) {
        if self.shift.is_some() {
            self.transmit();
        }
    }

    fn has_dlab(&self) -> bool {
        self.lcr & LCR_DLAB != 0
    }

    fn has_fifos(&self) -> bool {
        self.fcr & FCR_ENABLE != 0
    }

    /// Bytes in the receive FIFO at which received data interrupts.
    fn trigger(&self) -> usize {
        match self.fcr >> 6 {
            0 => 1,
            1 => 4,
            2 => 8,
            _ => 14,
        }
    }

    /// The interrupt of the highest rank, without the FIFO bits.
    fn interrupt(&self) -> u8 {
        let is_received = self.lsr & LSR_READY != 0 && (!self.has_fifos() || self.receive.len() >= self.trigger());
        if self.ier & IER_LINE != 0 && self.lsr & LSR_ERRORS != 0 {
            IIR_LINE
        } else if self.ier & IER_RECEIVED != 0 && self.timeout_pending {
            IIR_TIMEOUT
        } else if self.ier & IER_RECEIVED != 0 && is_received {
            IIR_RECEIVED
        } else if self.ier & IER_TRANSMIT != 0 && self.transmit_pending {
            IIR_TRANSMIT
        } else if self.ier & IER_MODEM != 0 && self.msr & MSR_CHANGES != 0 {
            IIR_MODEM
        } else {
            IIR_NONE
        }
    }

    /// What IIR shows.
    fn iir(&self) -> u8 {
        self.interrupt() | if self.has_fifos() { IIR_FIFOS } else { 0 }
    }

    fn read_iir(&mut self) -> u8 {
        let iir = self.iir();
        if self.interrupt() == IIR_TRANSMIT {
            self.transmit_pending = false;
        }
        iir
    }

    fn read_rbr(&mut self) -> u8 {
        if !self.has_fifos() {
            self.lsr &= !LSR_READY;
            return self.rbr;
        }
        let byte = self.receive.pop().unwrap_or(0);
        self.timeout_pending = false;
        if self.receive.is_empty() {
            self.lsr &= !LSR_READY;
            self.timeout_at_ns = None;
        } else {
            self.start_timeout();
        }
        byte
    }

    fn read_msr(&mut self) -> u8 {
        if self.mcr & MCR_LOOPBACK != 0 {
            // DTR, RTS, OUT1 and OUT2 come back as DSR, CTS, RI and DCD.
            let mcr = self.mcr;
            return (mcr & 0x0c) << 4 | (mcr & 0x02) << 3 | (mcr & 0x01) << 5;
        }
        let msr = self.msr;
        self.msr &= !MSR_CHANGES;
        msr
    }

    fn write_ier(&mut self, value: u8) {
        let enabled = value & !self.ier;
        self.ier = value & IER_MASK;
        if enabled & IER_TRANSMIT != 0 && self.lsr & LSR_THR_EMPTY != 0 {
            self.transmit_pending = true;
        }
    }

    fn write_fcr(&mut self, value: u8) {
        let turned = (value ^ self.fcr) & FCR_ENABLE != 0;
        if turned || value & FCR_RESET_RECEIVE != 0 {
            self.receive.clear();
            self.lsr &= !LSR_READY;
            self.timeout_pending = false;
            self.timeout_at_ns = None;
        }
        if turned || value & FCR_RESET_TRANSMIT != 0 {
            self.transmit.clear();
            self.lsr |= LSR_THR_EMPTY;
            self.transmit_pending = true;
        }
        self.fcr = value & FCR_MASK;
    }

    fn write_thr(&mut self, value: u8) {
        if self.has_fifos() {
            if !self.transmit.push(value) {
                // A guest that does not wait loses the oldest byte.
                self.transmit.pop();
                self.transmit.push(value);
            }
        } else {
            self.thr = value;
        }
        self.transmit_pending = false;
        self.lsr &= !(LSR_THR_EMPTY | LSR_EMPTY);
        if self.shift.is_none() {
            self.transmit();
        }
    }

    /// Moves bytes to the sink until there is none left or it takes none.
    fn transmit(&mut self) {
        loop {
            let byte = match self.shift.take() {
                Some(byte) => byte,
                None if self.lsr & LSR_THR_EMPTY != 0 => {
                    self.lsr |= LSR_EMPTY;
                    return;
                }
                None => self.next_byte(),
            };
            if self.mcr & MCR_LOOPBACK != 0 {
                self.receive(byte);
            } else if !self.sink.accept(byte) {
                self.shift = Some(byte);
                return;
            }
        }
    }

    /// Takes the next byte out of the transmit register or FIFO, which is not empty.
    fn next_byte(&mut self) -> u8 {
        let byte = if self.has_fifos() { self.transmit.pop().unwrap_or(0) } else { self.thr };
        if self.transmit.is_empty() {
            self.lsr |= LSR_THR_EMPTY;
            self.transmit_pending = true;
        }
        byte
    }

    fn start_timeout(&mut self) {
        self.timeout_at_ns = Some(self.clock.virtual_ns().saturating_add(4 * self.character_ns()));
    }

    /// How long a character takes: start, 5 to 8 data, parity and stop bits at the rate of the divisor.
    fn character_ns(&self) -> u64 {
        let lcr = u64::from(self.lcr);
        let bits = 1 + 5 + (lcr & 3) + (lcr >> 3 & 1) + 1 + (lcr >> 2 & 1);
        bits * 1_000_000_000 * u64::from(self.divider.max(1)) / BAUD_BASE
    }
}
