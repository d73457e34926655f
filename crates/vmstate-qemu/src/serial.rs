//! The 16550 UART.
//!
//! | image | section, version | where |
//! |---|---|---|
//! | [`SerialMmImage`] | `serial` 3 | memory-mapped: `virt` of riscv64 and others |
//! | [`IsaSerialImage`] | `serial` 3 | on the ISA bus: PCs |
//!
//! Both hold a [`SerialImage`], under another name in each. Its subsections are sent for what a guest can seldom see:
//!
//! | subsection | fields | sent |
//! |---|---|---|
//! | `serial/thr_ipending` | `thr_ipending` i32 | the interrupt of the empty transmitter is not what `iir` says |
//! | `serial/tsr` | `tsr_retry` u32, `thr` u8, `tsr` u8 | an octet could not be written to the back end yet |
//! | `serial/recv_fifo`, `serial/xmit_fifo` | a FIFO of 16 octets | there is something in it |
//! | `serial/fifo_timeout_timer` | a timer | octets wait for the interrupt of the time-out |
//! | `serial/timeout_ipending` | `timeout_ipending` i32 | that interrupt is pending |
//! | `serial/poll` | `poll_msl` i32, a timer | the modem lines are looked at |
//!
//! Source: streams and schema dumps of QEMU 5.2, 7.2, 10.0 and 11.1.

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;
use vmstate::parts::Fifo8Image;

/// Octets that each FIFO has room for.
pub const FIFO_OCTETS: u32 = 16;

/// The UART of boards that have it in memory.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "serial", version = 3, min = 2)]
pub struct SerialMmImage {
    /// The UART.
    pub serial: SerialImage,
}

/// The UART on the ISA bus.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "serial", version = 3, min = 2)]
pub struct IsaSerialImage {
    /// The UART.
    pub state: SerialImage,
}

/// The UART's own state.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "serial", version = 3, min = 2)]
pub struct SerialImage {
    /// Divisor latch.
    #[vmstate(since = 2)]
    pub divider: u16,
    /// Receive buffer.
    pub rbr: u8,
    /// Interrupt enable.
    pub ier: u8,
    /// Interrupt identification.
    pub iir: u8,
    /// Line control.
    pub lcr: u8,
    /// Modem control.
    pub mcr: u8,
    /// Line status.
    pub lsr: u8,
    /// Modem status.
    pub msr: u8,
    /// Scratch.
    pub scr: u8,
    /// FIFO control.
    #[vmstate(since = 3, name = "fcr_vmstate")]
    pub fcr: u8,
    /// Interrupt of the empty transmitter.
    #[vmstate(subsection)]
    pub thr_ipending: Option<ThrIpendingImage>,
    /// Transmitter that waits for its back end.
    #[vmstate(subsection)]
    pub tsr: Option<TsrImage>,
    /// What was received.
    #[vmstate(subsection)]
    pub recv_fifo: Option<RecvFifoImage>,
    /// What is to be sent.
    #[vmstate(subsection)]
    pub xmit_fifo: Option<XmitFifoImage>,
    /// When waiting octets become an interrupt.
    #[vmstate(subsection)]
    pub fifo_timeout_timer: Option<FifoTimeoutTimerImage>,
    /// Interrupt of the time-out.
    #[vmstate(subsection)]
    pub timeout_ipending: Option<TimeoutIpendingImage>,
    /// Modem lines.
    #[vmstate(subsection)]
    pub poll: Option<PollImage>,
}

impl SerialImage {
    /// A template with room for what may arrive in the FIFOs.
    #[must_use]
    pub fn template() -> Self {
        let fifo = || Fifo8Image::holding(&[], FIFO_OCTETS).unwrap_or_default();
        Self {
            recv_fifo: Some(RecvFifoImage { recv_fifo: fifo() }),
            xmit_fifo: Some(XmitFifoImage { xmit_fifo: fifo() }),
            ..Self::default()
        }
    }
}

/// Whether the interrupt of the empty transmitter is pending.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "serial/thr_ipending", version = 1)]
pub struct ThrIpendingImage {
    /// 0 or 1.
    pub thr_ipending: i32,
}

/// An octet that the back end did not take yet.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "serial/tsr", version = 1)]
pub struct TsrImage {
    /// How often it was tried.
    pub tsr_retry: u32,
    /// Transmit holding register.
    pub thr: u8,
    /// Transmit shift register.
    pub tsr: u8,
}

/// The FIFO of received octets.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "serial/recv_fifo", version = 1)]
pub struct RecvFifoImage {
    /// The FIFO.
    #[vmstate(since = 1)]
    pub recv_fifo: Fifo8Image,
}

/// The FIFO of octets to be sent.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "serial/xmit_fifo", version = 1)]
pub struct XmitFifoImage {
    /// The FIFO.
    #[vmstate(since = 1)]
    pub xmit_fifo: Fifo8Image,
}

/// The timer that turns waiting octets into an interrupt.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "serial/fifo_timeout_timer", version = 1)]
pub struct FifoTimeoutTimerImage {
    /// On the virtual clock.
    pub fifo_timeout_timer: TimerExpiry,
}

/// Whether the interrupt of the time-out is pending.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "serial/timeout_ipending", version = 1)]
pub struct TimeoutIpendingImage {
    /// 0 or 1.
    pub timeout_ipending: i32,
}

/// The state of looking at the modem lines.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "serial/poll", version = 1)]
pub struct PollImage {
    /// −1: the back end has no such lines; 0: not now; 1: they are looked at.
    pub poll_msl: i32,
    /// When the next time is.
    pub modem_status_poll: TimerExpiry,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SerialImage {
        let fifo = Fifo8Image::holding(b"uart", FIFO_OCTETS).unwrap_or_default();
        SerialImage {
            divider: 12,
            fcr: 1,
            thr_ipending: Some(ThrIpendingImage { thr_ipending: 1 }),
            tsr: Some(TsrImage { tsr_retry: 2, thr: 3, tsr: 4 }),
            recv_fifo: Some(RecvFifoImage { recv_fifo: fifo.clone() }),
            xmit_fifo: Some(XmitFifoImage { xmit_fifo: fifo }),
            fifo_timeout_timer: Some(FifoTimeoutTimerImage { fifo_timeout_timer: TimerExpiry(Some(5)) }),
            timeout_ipending: Some(TimeoutIpendingImage { timeout_ipending: 1 }),
            poll: Some(PollImage { poll_msl: -1, modem_status_poll: TimerExpiry(None) }),
            ..SerialImage::default()
        }
    }

    vmstate::vmstate_tests! {
        mod serial_image: SerialImage {
            props: (),
            template: SerialImage::template(),
            samples: [sample(), SerialImage::default()],
        }
    }
}
