//! State of the serial port: section `serial`, version 3, as QEMU has it.
//!
//! | name | octets | sent |
//! |---|---|---|
//! | `serial` | divider u16 (since 2), rbr, ier, iir, lcr, mcr, lsr, msr, scr, `fcr_vmstate` (since 3) u8 | always |
//! | `serial/thr_ipending` | i32 | if it does not follow from iir |
//! | `serial/tsr` | i32 retries, u8 thr, u8 tsr | while a byte waits for the sink |
//! | `serial/recv_fifo`, `serial/xmit_fifo` | `Fifo8`: 16 octets, u32 head, u32 num | if not empty |
//! | `serial/fifo_timeout_timer` | i64 virtual ns | while it runs, and property `migrate-fifo-timeout` |
//! | `serial/timeout_ipending` | i32 | if set |
//!
//! The property is off in machine types before 2.0; a receiver that gets no running timeout starts a new one, so that
//! bytes below the trigger are noticed, only later.
//! Sources: the field lists of `-dump-vmstate` and of recorded streams of QEMU 10.0.

use vmstate::{Migrate, Properties, Refused, Versions, VmState};

use super::fifo::{FIFO_BYTES, Fifo};
use super::{FCR_ENABLE, FCR_MASK, IER_MASK, IIR_TRANSMIT, LSR_EMPTY, LSR_READY, LSR_THR_EMPTY, MCR_MASK, Uart};

/// Properties of the serial port.
#[derive(Properties, Debug, Clone)]
#[properties(device = "serial")]
pub struct SerialProps {
    /// Whether a running receive timeout is sent.
    #[property(name = "migrate-fifo-timeout", default = true)]
    pub migrate_fifo_timeout: bool,
}

/// Image of the serial port.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "serial", version = 3, min = 2, props = SerialProps)]
pub struct SerialImage {
    #[vmstate(since = 2)]
    divider: u16,
    rbr: u8,
    ier: u8,
    iir: u8,
    lcr: u8,
    mcr: u8,
    lsr: u8,
    msr: u8,
    scr: u8,
    #[vmstate(since = 3, name = "fcr_vmstate")]
    fcr: u8,
    #[vmstate(subsection)]
    thr_ipending: Option<ThrPendingImage>,
    #[vmstate(subsection)]
    tsr: Option<TsrImage>,
    #[vmstate(subsection)]
    recv_fifo: Option<ReceiveFifoImage>,
    #[vmstate(subsection)]
    xmit_fifo: Option<TransmitFifoImage>,
    #[vmstate(subsection, gate = migrate_fifo_timeout)]
    fifo_timeout_timer: Option<TimeoutTimerImage>,
    #[vmstate(subsection)]
    timeout_ipending: Option<TimeoutPendingImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "serial/thr_ipending", version = 1)]
struct ThrPendingImage {
    thr_ipending: i32,
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "serial/tsr", version = 1)]
struct TsrImage {
    tsr_retry: i32,
    thr: u8,
    tsr: u8,
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "Fifo8", version = 1)]
struct FifoImage {
    #[vmstate(buffer)]
    data: [u8; FIFO_BYTES],
    head: u32,
    num: u32,
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "serial/recv_fifo", version = 1)]
struct ReceiveFifoImage {
    recv_fifo: FifoImage,
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "serial/xmit_fifo", version = 1)]
struct TransmitFifoImage {
    xmit_fifo: FifoImage,
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "serial/fifo_timeout_timer", version = 1)]
struct TimeoutTimerImage {
    fifo_timeout_timer: i64,
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "serial/timeout_ipending", version = 1)]
struct TimeoutPendingImage {
    timeout_ipending: i32,
}

impl FifoImage {
    fn of(fifo: &Fifo) -> Result<Self, Refused> {
        let (data, head, len) = fifo.parts();
        let number = |value| u32::try_from(value).map_err(|_| Refused::new("a FIFO is longer than 2^32 octets"));
        Ok(Self { data, head: number(head)?, num: number(len)? })
    }

    fn check(self, name: &str) -> Result<Fifo, Refused> {
        let Self { data, head, num } = self;
        let index = |value| usize::try_from(value).unwrap_or(usize::MAX);
        Fifo::from_parts(data, index(head), index(num))
            .ok_or_else(|| Refused::new(format!("{name} has head {head} and {num} octets, of {FIFO_BYTES}")))
    }
}

impl Migrate for Uart {
    type Image = SerialImage;
    type Props = SerialProps;

    fn props(&self) -> SerialProps {
        self.props.clone()
    }

    fn snapshot(&self) -> Result<SerialImage, Refused> {
        let iir = self.iir();
        let Self {
            clock: _,
            sink: _,
            props: _,
            divider,
            rbr,
            thr,
            ier,
            fcr,
            lcr,
            mcr,
            lsr,
            msr,
            scr,
            shift,
            transmit_pending,
            timeout_pending,
            timeout_at_ns,
            receive,
            transmit,
        } = self;
        let follows_from_iir = *transmit_pending == is_transmit(iir);
        let timeout = timeout_at_ns.map(|at| i64::try_from(at).unwrap_or(i64::MAX));
        Ok(SerialImage {
            divider: *divider,
            rbr: *rbr,
            ier: *ier,
            iir,
            lcr: *lcr,
            mcr: *mcr,
            lsr: *lsr,
            msr: *msr,
            scr: *scr,
            fcr: *fcr,
            thr_ipending: (!follows_from_iir).then(|| ThrPendingImage { thr_ipending: i32::from(*transmit_pending) }),
            tsr: shift.map(|tsr| TsrImage { tsr_retry: 1, thr: *thr, tsr }),
            recv_fifo: match receive.is_empty() {
                true => None,
                false => Some(ReceiveFifoImage { recv_fifo: FifoImage::of(receive)? }),
            },
            xmit_fifo: match transmit.is_empty() {
                true => None,
                false => Some(TransmitFifoImage { xmit_fifo: FifoImage::of(transmit)? }),
            },
            fifo_timeout_timer: timeout.map(|fifo_timeout_timer| TimeoutTimerImage { fifo_timeout_timer }),
            timeout_ipending: timeout_pending.then_some(TimeoutPendingImage { timeout_ipending: 1 }),
        })
    }

    fn template(&self) -> Result<SerialImage, Refused> {
        // No subsection needs a shape, and a version 2 sender has no FIFOs.
        Ok(SerialImage { fcr: 0, ..self.snapshot()? })
    }

    fn restore(&mut self, image: SerialImage, _: &Versions) -> Result<(), Refused> {
        let SerialImage {
            divider,
            rbr,
            ier,
            iir,
            lcr,
            mcr,
            lsr,
            msr,
            scr,
            fcr,
            thr_ipending,
            tsr,
            recv_fifo,
            xmit_fifo,
            fifo_timeout_timer,
            timeout_ipending,
        } = image;
        for (name, value, mask) in [("ier", ier, IER_MASK), ("mcr", mcr, MCR_MASK), ("fcr_vmstate", fcr, FCR_MASK)] {
            if value & !mask != 0 {
                return Err(Refused::new(format!("{name} is {value:#04x}, with bits outside of {mask:#04x}")));
            }
        }
        let receive = recv_fifo.map(|image| image.recv_fifo.check("recv_fifo")).transpose()?.unwrap_or_default();
        let transmit = xmit_fifo.map(|image| image.xmit_fifo.check("xmit_fifo")).transpose()?.unwrap_or_default();
        let transmit_pending = match &thr_ipending {
            Some(image) => flag("thr_ipending", image.thr_ipending)?,
            None => is_transmit(iir),
        };
        let timeout_pending = match &timeout_ipending {
            Some(image) => flag("timeout_ipending", image.timeout_ipending)?,
            None => false,
        };
        let timeout_at_ns = fifo_timeout_timer.map(|image| expiry(image.fifo_timeout_timer)).transpose()?;
        consistent(fcr, lsr, tsr.as_ref(), &receive, &transmit)?;

        self.divider = divider;
        self.rbr = rbr;
        self.ier = ier;
        self.lcr = lcr;
        self.mcr = mcr;
        self.lsr = lsr;
        self.msr = msr;
        self.scr = scr;
        self.fcr = fcr;
        self.thr = tsr.as_ref().map_or(0, |image| image.thr);
        self.shift = tsr.map(|image| image.tsr);
        self.transmit_pending = transmit_pending;
        self.timeout_pending = timeout_pending;
        self.receive = receive;
        self.transmit = transmit;
        self.timeout_at_ns = timeout_at_ns;
        if timeout_at_ns.is_none() && !self.timeout_pending && !self.receive.is_empty() {
            self.start_timeout();
        }
        Ok(())
    }
}

const fn is_transmit(iir: u8) -> bool {
    iir & 0x0f == IIR_TRANSMIT
}

fn flag(name: &str, value: i32) -> Result<bool, Refused> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Refused::new(format!("{name} is {value}, not 0 or 1"))),
    }
}

fn expiry(ns: i64) -> Result<u64, Refused> {
    u64::try_from(ns)
        .map_err(|_| Refused::new(format!("fifo_timeout_timer expires at {ns} ns, before the start of time")))
}

/// What several registers say of one thing must be the same.
fn consistent(fcr: u8, lsr: u8, tsr: Option<&TsrImage>, receive: &Fifo, transmit: &Fifo) -> Result<(), Refused> {
    let refuse = |text: &'static str| Err(Refused::new(text));
    let has_fifos = fcr & FCR_ENABLE != 0;
    if tsr.is_some() == (lsr & LSR_EMPTY != 0) {
        return refuse("lsr says that the transmitter is empty and there is a byte in tsr, or neither");
    }
    if tsr.is_some_and(|image| image.tsr_retry < 1) {
        return refuse("tsr is sent with tsr_retry below 1");
    }
    let are_empty = receive.is_empty() && transmit.is_empty();
    if !has_fifos && !are_empty {
        return refuse("there are octets in a FIFO and fcr_vmstate says that FIFOs are off");
    }
    if has_fifos && receive.is_empty() == (lsr & LSR_READY != 0) {
        return refuse("lsr says that there is a received byte and recv_fifo has none, or the other way round");
    }
    if has_fifos && transmit.is_empty() != (lsr & LSR_THR_EMPTY != 0) {
        return refuse("lsr says that the transmit FIFO is empty and xmit_fifo is not, or the other way round");
    }
    if lsr & LSR_EMPTY != 0 && lsr & LSR_THR_EMPTY == 0 {
        return refuse("lsr says that the transmitter is empty but its holding register is not");
    }
    Ok(())
}
