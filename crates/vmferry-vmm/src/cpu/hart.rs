//! The hart: its state, and the loop that runs it.

use vm_memory::GuestAddress;

use super::bus::{Bus, Width};
use super::cache::DecodeCache;
use super::csr::{Csrs, MIP_MEIP, MIP_MSIP, MIP_MTIP};
use super::decode::decode;
use super::decompress::decompress;
use super::image::HartProps;
use super::instruction::Instruction;
use super::registers::Registers;
use super::trap::{CAUSE_FETCH_ACCESS, CAUSE_ILLEGAL, Exception};

/// Why [`Hart::run`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The budget is used up.
    Budget,
    /// The hart waits for an interrupt (`wfi`) and none is pending.
    Wfi,
    /// A device asked for it ([`super::Lines::leave`]).
    Requested,
    /// The trap handler itself cannot be fetched: the hart would trap for ever.
    Stuck,
}

/// What a load-reserved holds for the store-conditional that follows.
///
/// The store succeeds if address and width are the same and memory still holds the value: with one hart that is enough,
/// it needs no hook in stores, and it is what QEMU does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// Address of the load.
    pub address: u64,
    /// Value that was loaded, as it came into the register.
    pub value: u64,
    /// Whether it was `lr.d`.
    pub is_double: bool,
}

/// One RV64IMAC hart in machine mode.
///
/// All of its state is in these fields; the cache holds only what can be decoded again.
#[derive(Debug, Clone)]
pub struct Hart {
    /// Integer registers.
    pub(crate) registers: Registers,
    /// Address of the next instruction, even.
    pub(crate) pc: u64,
    /// Control and status registers.
    pub(crate) csrs: Csrs,
    /// Reservation of the last load-reserved.
    pub(crate) reservation: Option<Reservation>,
    /// Whether a `wfi` has not ended yet.
    pub(crate) waiting: bool,
    /// What of it is sent.
    pub(crate) props: HartProps,
    /// Decoded instructions.
    pub(super) cache: DecodeCache,
    /// Whether the interrupt lines must be looked at before the next instruction. Always set at the start of a run, so
    /// it is no state.
    pub(super) look: bool,
}

impl Hart {
    /// A hart as the board's reset code leaves it: at `pc`, `a0` = hart id, `a1` = address of the device tree.
    #[must_use]
    pub fn new(hart_id: u64, pc: GuestAddress, device_tree: GuestAddress) -> Self {
        let mut registers = Registers::default();
        registers.write(10, hart_id);
        registers.write(11, device_tree.0);
        Self {
            registers,
            pc: pc.0 & !1,
            csrs: Csrs { mhartid: hart_id, ..Csrs::default() },
            reservation: None,
            waiting: false,
            props: HartProps { migrate_counters: true },
            cache: DecodeCache::new(),
            look: true,
        }
    }

    /// The same hart with other properties.
    #[must_use]
    pub fn with_props(mut self, props: HartProps) -> Self {
        self.props = props;
        self
    }

    /// Address of the next instruction.
    #[must_use]
    pub const fn pc(&self) -> GuestAddress {
        GuestAddress(self.pc)
    }

    /// Sets the address of the next instruction; bit 0 is dropped.
    pub const fn set_pc(&mut self, pc: GuestAddress) {
        self.pc = pc.0 & !1;
    }

    /// The integer registers.
    #[must_use]
    pub const fn registers(&self) -> &Registers {
        &self.registers
    }

    /// The integer registers, to be changed.
    pub const fn registers_mut(&mut self) -> &mut Registers {
        &mut self.registers
    }

    /// The control and status registers.
    #[must_use]
    pub const fn csrs(&self) -> &Csrs {
        &self.csrs
    }

    /// Whether the hart is in `wfi`.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Forgets decoded instructions. Needed when something other than the hart has replaced code: a restore, a loader.
    pub fn drop_decoded(&mut self) {
        self.cache.clear();
    }

    /// Runs at most `budget` instructions. Between two calls the state is that between two instructions.
    ///
    /// Cost: no allocation; per instruction one lookup in the decode cache.
    pub fn run<B: Bus>(&mut self, bus: &mut B, budget: u64) -> Exit {
        self.look = true;
        let mut steps = 0;
        let mut pc = self.pc;
        let exit = loop {
            if self.look
                && let Some(exit) = self.look_at_lines(bus, &mut pc)
            {
                break exit;
            }
            if steps >= budget {
                break Exit::Budget;
            }
            let instruction = match self.cache.lookup(pc) {
                Some(instruction) => instruction,
                None => match self.fetch(bus, pc) {
                    Ok(instruction) => instruction,
                    Err(exception) => {
                        steps += 1;
                        self.csrs.minstret = self.csrs.minstret.wrapping_sub(1);
                        let handler = self.enter_exception(pc, exception);
                        if handler == pc && exception.cause == CAUSE_FETCH_ACCESS {
                            break Exit::Stuck;
                        }
                        pc = handler;
                        continue;
                    }
                },
            };
            match self.execute(bus, pc, instruction, steps) {
                Ok(next) => pc = next,
                Err(exception) => {
                    self.csrs.minstret = self.csrs.minstret.wrapping_sub(1);
                    pc = self.enter_exception(pc, exception);
                }
            }
            steps += 1;
        };
        self.pc = pc;
        self.csrs.mcycle = self.csrs.mcycle.wrapping_add(steps);
        self.csrs.minstret = self.csrs.minstret.wrapping_add(steps);
        exit
    }

    /// Takes over the interrupt lines, and the interrupt that they may mean.
    #[cold]
    fn look_at_lines<B: Bus>(&mut self, bus: &mut B, pc: &mut u64) -> Option<Exit> {
        self.look = false;
        let lines = bus.lines();
        self.csrs.mip = 0;
        for (level, bit) in [(lines.software, MIP_MSIP), (lines.timer, MIP_MTIP), (lines.external, MIP_MEIP)] {
            if level {
                self.csrs.mip |= bit;
            }
        }
        if lines.leave {
            return Some(Exit::Requested);
        }
        if self.waiting {
            // `wfi` ends on any enabled interrupt, even while mstatus.MIE keeps it from being taken.
            if self.csrs.mip & self.csrs.mie == 0 {
                return Some(Exit::Wfi);
            }
            self.waiting = false;
        }
        if let Some(code) = self.pending_interrupt() {
            *pc = self.enter_interrupt(*pc, code);
        }
        None
    }

    #[cold]
    #[inline(never)]
    fn fetch<B: Bus>(&mut self, bus: &mut B, pc: u64) -> Result<Instruction, Exception> {
        let instruction = match self.instruction_bits(bus, pc)? {
            bits if bits & 3 == 3 => decode(bits),
            bits => decompress((bits & 0xffff) as u16)
                .and_then(decode)
                .map(|instruction| Instruction { length: 2, ..instruction }),
        };
        let Some(instruction) = instruction else {
            return Err(self.illegal_instruction(bus, pc));
        };
        self.cache.insert(pc, instruction);
        Ok(instruction)
    }

    /// The exception for the instruction at `pc`, which cannot be executed.
    #[cold]
    pub(super) fn illegal_instruction<B: Bus>(&self, bus: &mut B, pc: u64) -> Exception {
        match self.instruction_bits(bus, pc) {
            Ok(bits) => Exception { cause: CAUSE_ILLEGAL, value: u64::from(bits) },
            Err(exception) => exception,
        }
    }

    #[expect(clippy::unused_self, reason = "reads as a question to the hart beside its callers")]
    fn instruction_bits<B: Bus>(&self, bus: &mut B, pc: u64) -> Result<u32, Exception> {
        let parcel = |bus: &mut B, address: u64| {
            let fault = Exception { cause: CAUSE_FETCH_ACCESS, value: address };
            bus.fetch(GuestAddress(address)).map(u32::from).ok_or(fault)
        };
        let low = parcel(bus, pc)?;
        if low & 3 != 3 {
            return Ok(low);
        }
        Ok(low | parcel(bus, pc.wrapping_add(2))? << 16)
    }

    /// Reads memory; `cause` is the exception that a fault means.
    #[inline(always)]
    pub(super) fn load<B: Bus>(
        &mut self,
        bus: &mut B,
        address: u64,
        width: Width,
        cause: u64,
    ) -> Result<u64, Exception> {
        match bus.ram_load(GuestAddress(address), width) {
            Some(value) => Ok(value),
            None => self.load_device(bus, address, width, cause),
        }
    }

    /// Writes memory.
    #[inline(always)]
    pub(super) fn store<B: Bus>(
        &mut self,
        bus: &mut B,
        address: u64,
        width: Width,
        value: u64,
        cause: u64,
    ) -> Result<(), Exception> {
        if bus.ram_store(GuestAddress(address), width, value) {
            self.cache.stored(address, width.bytes());
            Ok(())
        } else {
            self.store_device(bus, address, width, value, cause)
        }
    }

    #[cold]
    #[inline(never)]
    fn load_device<B: Bus>(&mut self, bus: &mut B, address: u64, width: Width, cause: u64) -> Result<u64, Exception> {
        self.look = true;
        bus.device_load(GuestAddress(address), width)
            .map(|value| value & width.mask())
            .map_err(|_| Exception { cause, value: address })
    }

    #[cold]
    #[inline(never)]
    fn store_device<B: Bus>(
        &mut self,
        bus: &mut B,
        address: u64,
        width: Width,
        value: u64,
        cause: u64,
    ) -> Result<(), Exception> {
        self.look = true;
        bus.device_store(GuestAddress(address), width, value & width.mask())
            .map_err(|_| Exception { cause, value: address })
    }
}
