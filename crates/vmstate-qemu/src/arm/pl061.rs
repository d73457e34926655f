//! PrimeCell general-purpose pins PL061, and the key that is behind one of them.
//!
//! | image | section, version | fields |
//! |---|---|---|
//! | [`Pl061Image`] | `pl061` 4 | `locked`, `data`, `old_out_data`, `old_in_data`, `dir`, `isense`, `ibe`, `iev`, `im`, `istate`, `afsel`, `dr2r`, `dr4r`, `dr8r`, `odr`, `pur`, `pdr`, `slr`, `den`, `cr`, `amsel` u32 |
//! | [`GpioKeyImage`] | `gpio-key` 1 | `timer` timer |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt` of aarch64).

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

/// The pins.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "pl061", version = 4)]
#[expect(missing_docs, reason = "registers, by their names in the manual or in QEMU")]
pub struct Pl061Image {
    pub locked: u32,
    pub data: u32,
    pub old_out_data: u32,
    pub old_in_data: u32,
    pub dir: u32,
    pub isense: u32,
    pub ibe: u32,
    pub iev: u32,
    pub im: u32,
    pub istate: u32,
    pub afsel: u32,
    pub dr2r: u32,
    pub dr4r: u32,
    pub dr8r: u32,
    pub odr: u32,
    pub pur: u32,
    pub pdr: u32,
    pub slr: u32,
    pub den: u32,
    pub cr: u32,
    pub amsel: u32,
}

/// A key that is pressed for a moment.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "gpio-key", version = 1)]
pub struct GpioKeyImage {
    /// When it is released.
    pub timer: TimerExpiry,
}
