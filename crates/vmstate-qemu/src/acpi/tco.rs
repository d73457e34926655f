//! The watchdog of Intel's chip sets (TCO).
//!
//! | field of `tco io device status` 1 | |
//! |---|---|
//! | `tco.rld` u16; `tco.din`, `tco.dout` u8; `tco.sts1`, `tco.sts2`, `tco.cnt1`, `tco.cnt2` u16; `tco.msg1`, `tco.msg2`, `tco.wdcnt` u8; `tco.tmr` u16 | registers |
//! | `sw_irq_gen` u8 | |
//! | `tco_timer` timer, `expire_time` i64 | ns of the virtual clock |
//! | `timeouts_no` u8 | how often it ran out |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`q35`).

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

/// The watchdog.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "tco io device status", version = 1)]
#[expect(missing_docs, reason = "registers, by their names in QEMU; the page has what they are")]
pub struct TcoImage {
    #[vmstate(name = "tco.rld")]
    pub rld: u16,
    #[vmstate(name = "tco.din")]
    pub din: u8,
    #[vmstate(name = "tco.dout")]
    pub dout: u8,
    #[vmstate(name = "tco.sts1")]
    pub sts1: u16,
    #[vmstate(name = "tco.sts2")]
    pub sts2: u16,
    #[vmstate(name = "tco.cnt1")]
    pub cnt1: u16,
    #[vmstate(name = "tco.cnt2")]
    pub cnt2: u16,
    #[vmstate(name = "tco.msg1")]
    pub msg1: u8,
    #[vmstate(name = "tco.msg2")]
    pub msg2: u8,
    #[vmstate(name = "tco.wdcnt")]
    pub wdcnt: u8,
    #[vmstate(name = "tco.tmr")]
    pub tmr: u16,
    pub sw_irq_gen: u8,
    pub tco_timer: TimerExpiry,
    pub expire_time: i64,
    pub timeouts_no: u8,
}
