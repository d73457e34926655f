//! State of the hart: section `riscv_hart`, version 1.
//!
//! | name | octets | sent |
//! |---|---|---|
//! | `riscv_hart` | 32 registers, pc, eight control and status registers, the hart's number (must be the same), halted | always |
//! | `riscv_hart/reservation` | u64 address, u64 value, bool double | while a load-reserved waits for its store |
//! | `riscv_hart/counters` | u64 mcycle, u64 minstret | with property `migrate-counters` |
//!
//! The property is off in ferry-virt-1.0. Counters that do not come stay what they are at the destination.
//!
//! `mip` is not in it: it shows the interrupt lines, which the hart reads again before its next instruction. Decoded
//! instructions are dropped at a load.
//!
//! `Differs from QEMU:` its `cpu` section holds the state of every extension that it knows, in a layout that changed
//! with nearly every release (`docs/spec/board-riscv-virt.md`); this hart has a section of its own.

use vmstate::{Migrate, Properties, Refused, Versions, VmState};

use super::csr::Csrs;
use super::hart::{Hart, Reservation};
use super::registers::Registers;

/// Properties of a hart.
#[derive(Properties, Debug, Clone, Copy, PartialEq, Eq)]
#[properties(device = "riscv_hart")]
pub struct HartProps {
    /// Whether the cycle and instruction counters are sent.
    #[property(name = "migrate-counters", default = true)]
    pub migrate_counters: bool,
}

/// Image of a hart.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "riscv_hart", version = 1, props = HartProps)]
pub struct HartImage {
    x: [u64; 32],
    pc: u64,
    mstatus: u64,
    mie: u64,
    mtvec: u64,
    mscratch: u64,
    mepc: u64,
    mcause: u64,
    mtval: u64,
    #[vmstate(equal, hint = "harts are loaded in their order")]
    mhartid: u64,
    halted: bool,
    #[vmstate(subsection)]
    reservation: Option<ReservationImage>,
    #[vmstate(subsection, gate = migrate_counters)]
    counters: Option<CountersImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "riscv_hart/reservation", version = 1)]
struct ReservationImage {
    address: u64,
    value: u64,
    is_double: bool,
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "riscv_hart/counters", version = 1)]
struct CountersImage {
    mcycle: u64,
    minstret: u64,
}

impl Migrate for Hart {
    type Image = HartImage;
    type Props = HartProps;

    fn props(&self) -> HartProps {
        self.props
    }

    fn snapshot(&self) -> Result<HartImage, Refused> {
        let Self { registers, pc, csrs, reservation, waiting, props: _, cache: _, look: _ } = self;
        let Csrs { mstatus, mie, mip: _, mtvec, mscratch, mepc, mcause, mtval, mcycle, minstret, mhartid } = *csrs;
        Ok(HartImage {
            x: *registers.as_array(),
            pc: *pc,
            mstatus,
            mie,
            mtvec,
            mscratch,
            mepc,
            mcause,
            mtval,
            mhartid,
            halted: *waiting,
            reservation: reservation.map(|Reservation { address, value, is_double }| ReservationImage {
                address,
                value,
                is_double,
            }),
            counters: Some(CountersImage { mcycle, minstret }),
        })
    }

    fn template(&self) -> Result<HartImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: HartImage, _: &Versions) -> Result<(), Refused> {
        let HartImage {
            x,
            pc,
            mstatus,
            mie,
            mtvec,
            mscratch,
            mepc,
            mcause,
            mtval,
            mhartid,
            halted,
            reservation,
            counters,
        } = image;
        let CountersImage { mcycle, minstret } =
            counters.unwrap_or(CountersImage { mcycle: self.csrs.mcycle, minstret: self.csrs.minstret });
        let csrs = Csrs { mstatus, mie, mip: 0, mtvec, mscratch, mepc, mcause, mtval, mcycle, minstret, mhartid };
        let legal = csrs.legalized();
        let pairs = [
            ("x[0]", x[0], 0),
            ("pc", pc, pc & !1),
            ("mstatus", mstatus, legal.mstatus),
            ("mie", mie, legal.mie),
            ("mtvec", mtvec, legal.mtvec),
            ("mepc", mepc, legal.mepc),
        ];
        if let Some((name, found, legal)) = pairs.into_iter().find(|(_, found, legal)| found != legal) {
            return Err(Refused::new(format!("{name} is {found:#x}; this hart can only hold {legal:#x} of it")));
        }
        self.registers = Registers::from(x);
        self.pc = pc;
        self.csrs = csrs;
        self.reservation =
            reservation.map(|ReservationImage { address, value, is_double }| Reservation { address, value, is_double });
        self.waiting = halted;
        self.drop_decoded();
        Ok(())
    }
}
