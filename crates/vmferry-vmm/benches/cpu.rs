//! Speed of the CPU in a loop over RAM: `cargo bench -p vmferry-vmm --bench cpu`.
//!
//! The loop is that of the survey in the design (load, add, multiply, add, store, step, branch) over 128 KiB, with a
//! dirty bitmap in the store path as a machine has it.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a measurement"
)]

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use vm_memory::GuestAddress;
use vmferry_vmm::cpu::{Bus, BusFault, Hart, Lines, Width};

const BASE: u64 = 0x8000_0000;
const RAM_BYTES: usize = 1 << 20;
const INSTRUCTIONS: u64 = 300_000_000;

struct Machine {
    ram: Box<[AtomicU64]>,
    dirty: Box<[AtomicU64]>,
}

impl Machine {
    /// Aligned doublewords and words only: all that the loop needs.
    fn word(&self, address: u64, width: Width) -> Option<(&AtomicU64, u64)> {
        let offset = address.wrapping_sub(BASE);
        let word = self.ram.get(usize::try_from(offset / 8).ok()?)?;
        (offset & (width.bytes() - 1) == 0).then_some((word, 8 * (offset & 7)))
    }
}

impl Bus for Machine {
    #[inline(always)]
    fn ram_load(&mut self, address: GuestAddress, width: Width) -> Option<u64> {
        let (word, shift) = self.word(address.0, width)?;
        Some(word.load(Ordering::Relaxed) >> shift & width.mask())
    }

    #[inline(always)]
    fn ram_store(&mut self, address: GuestAddress, width: Width, value: u64) -> bool {
        let Some((word, shift)) = self.word(address.0, width) else { return false };
        let old = word.load(Ordering::Relaxed);
        word.store(old & !(width.mask() << shift) | (value & width.mask()) << shift, Ordering::Relaxed);
        let page = (address.0 - BASE) >> 12;
        if let Some(bits) = usize::try_from(page / 64).ok().and_then(|index| self.dirty.get(index)) {
            let bit = 1 << (page & 63);
            if bits.load(Ordering::Relaxed) & bit == 0 {
                bits.fetch_or(bit, Ordering::Relaxed);
            }
        }
        true
    }

    fn device_load(&mut self, _: GuestAddress, _: Width) -> Result<u64, BusFault> {
        Err(BusFault)
    }

    fn device_store(&mut self, _: GuestAddress, _: Width, _: u64) -> Result<(), BusFault> {
        Err(BusFault)
    }

    fn fetch(&mut self, address: GuestAddress) -> Option<u16> {
        self.ram_load(address, Width::Half).and_then(|parcel| u16::try_from(parcel).ok())
    }

    fn lines(&mut self) -> Lines {
        Lines::default()
    }
}

fn main() {
    // x5 start of the data, x6 its bytes, x10 a factor.
    let program: [u32; 10] = [
        0x0002_8413, // outer: addi x8, x5, 0
        0x0062_84b3, //        add  x9, x5, x6
        0x0004_3583, // inner: ld   x11, 0(x8)
        0x00b3_83b3, //        add  x7, x7, x11
        0x02a3_8633, //        mul  x12, x7, x10
        0x00a6_03b3, //        add  x7, x12, x10
        0x0074_3023, //        sd   x7, 0(x8)
        0x0084_0413, //        addi x8, x8, 8
        0xfe94_14e3, //        bne  x8, x9, inner
        0xfddf_f06f, //        jal  x0, outer
    ];
    let machine = Machine {
        ram: (0..RAM_BYTES / 8).map(|_| AtomicU64::new(0)).collect(),
        dirty: (0..RAM_BYTES / 4096 / 64 + 1).map(|_| AtomicU64::new(0)).collect(),
    };
    let mut machine = machine;
    for (at, word) in (BASE..).step_by(4).zip(program) {
        assert!(machine.ram_store(GuestAddress(at), Width::Word, u64::from(word)));
    }
    let mut hart = Hart::new(0, GuestAddress(BASE), GuestAddress(0));
    for (register, value) in [(5, BASE + 0x1_0000), (6, 0x2_0000), (7, 1), (10, 3)] {
        hart.registers_mut().write(register, value);
    }
    for round in 1..=5 {
        let start = Instant::now();
        black_box(hart.run(&mut machine, INSTRUCTIONS));
        let rate = INSTRUCTIONS as f64 / start.elapsed().as_secs_f64() / 1e6;
        println!("round {round}: {rate:.0} M instructions/s");
    }
    assert_eq!(hart.csrs().mcause, 0, "the loop trapped");
}
