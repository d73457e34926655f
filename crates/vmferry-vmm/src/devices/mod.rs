//! The devices of the board, each alone: registers in, interrupt level out.
//!
//! A device knows neither the bus nor the interrupt controller. The machine calls `read` and `write` with offsets from
//! the device's base, looks at `level` afterwards, and polls what depends on time. State is declared beside each
//! device: an image of raw integers, with the names that QEMU's streams have for them where QEMU has the device.
//!
//! | file | device | address | section |
//! |---|---|---|---|
//! | `clock` | virtual and real time | – | `timer` |
//! | `finisher` | power off, reset | 0x0010_0000 | none: a write ends the machine |
//! | `rtc` | goldfish real-time clock | 0x0010_1000 | `goldfish_rtc` |
//! | `mswi` | software interrupt of hart 0 | 0x0200_0000 | `riscv_aclint_mswi` |
//! | `mtimer` | timer of hart 0 | 0x0200_4000 | `riscv_aclint_mtimer` |
//! | `plic` | interrupt controller | 0x0c00_0000 | `riscv_sifive_plic` |
//! | `uart` | 16550A | 0x1000_0000 | `serial` |
//! | `virtio` | entropy on virtio-mmio | 0x1000_8000 | `…/virtio-rng` |
//!
//! Source of the addresses: `docs/spec/board-riscv-virt.md`.

pub mod clock;
pub mod finisher;
pub mod mswi;
pub mod mtimer;
pub mod plic;
pub mod rtc;
pub mod uart;
pub mod virtio;

use crate::cpu::{BusFault, Width};

/// The value of an access to a 32-bit register block; other widths are faults.
fn word_only(width: Width) -> Result<(), BusFault> {
    if width == Width::Word { Ok(()) } else { Err(BusFault) }
}

/// The low 32 bits of what a guest wrote.
const fn low32(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

/// The low 8 bits of what a guest wrote.
const fn low8(value: u64) -> u8 {
    (value & 0xff) as u8
}

/// `old` with its low or high half replaced by `value`.
const fn with_half(old: u64, is_high: bool, value: u64) -> u64 {
    let value = value & 0xffff_ffff;
    if is_high { old & 0xffff_ffff | value << 32 } else { old & !0xffff_ffff | value }
}

/// The low or the high half of a register.
const fn half(value: u64, is_high: bool) -> u64 {
    if is_high { value >> 32 } else { value & 0xffff_ffff }
}
