//! Arm CPUs: section `cpu` 22, the same for all profiles and for 32 and 64 bits.
//!
//! | image | what is other |
//! |---|---|
//! | [`qemu_5_2::CpuImage`] | `env.features` u64, `gt_timer[0]`; the destination's system registers bound their number |
//! | [`qemu_7_2::CpuImage`] | 8 unused in place of the features |
//! | [`qemu_10_0::CpuImage`] | `gt_timer[GTIMER_PHYS]`; `cpu/wfxt-timer` |
//! | [`qemu_11_1::CpuImage`] | the number is not bounded; `cpu/fpmr` |
//!
//! The octets are nearly the same under one version; what changed are names, a rule and subsections. Most of the state
//! is in the system registers, of which each has its index (by the numbering of KVM) and its value, both in lists of
//! equal length: so a destination that has other registers can tell which.
//!
//! | codec | octets | accepted |
//! |---|---|---|
//! | [`Cpsr`] | 4: processor state; AArch64 if bit 4 is clear | every value |
//! | [`Fpscr`] | 4 | every value |
//! | [`PoweredOff`] | 1 | every value |
//!
//! **Without an image**: the M profile's security extension (`mps2-an505`). It sends `cpu/m-security`, a name that the
//! loader of `cpu/m` takes for one of its own (`docs/spec/vmstate.md` section 7, H2); it loads only because, between
//! the two, the CPU sends what its regions of protection are. The derive refuses to declare that.
//!
//! Other extensions may have subsections that no recorded machine sent: they are refused by name. Source of the codecs:
//! `docs/spec/virtio-state.md` section 8.

pub mod extensions;
pub mod m_profile;
pub mod protection;
pub mod qemu_10_0;
pub mod qemu_11_1;
pub mod qemu_5_2;
pub mod qemu_7_2;

use vmstate::schema::Kind;
use vmstate::{Input, LoadError, SaveError, Sink, Wire};

/// Most system registers; 362 is the largest number seen.
pub const CPREGS_MAX: usize = 1 << 14;

macro_rules! codecs {
    ($($(#[$doc:meta])* $name:ident($number:ty) = $codec:literal, $octets:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name(pub $number);

        impl Wire for $name {
            const KIND: Kind = Kind::Codec { name: $codec, octets: Some($octets) };

            fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
                self.0.write_to(sink)
            }

            fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
                self.0.read_from(input)
            }
        }
    )*};
}

codecs! {
    /// Processor state.
    Cpsr(u32) = "cpsr", 4;
    /// Status and control of floating point.
    Fpscr(u32) = "fpscr", 4;
    /// Whether the CPU is off: 0 of the first, 1 of one that is not started yet.
    PoweredOff(u8) = "powered_off", 1;
}
