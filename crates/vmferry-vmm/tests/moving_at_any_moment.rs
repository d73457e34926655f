//! The whole machine, taken out and put into a fresh one between two instructions, again and again: what the guest
//! prints is what it prints when nothing moves, to the last character.
//!
//! Hart and devices are the real ones; time is a count of instructions, so that both runs see the same.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    dead_code,
    reason = "tests"
)]
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, clippy::panic, unreachable_pub, reason = "tests")]

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vmferry_vmm::cpu::{Bus, BusFault, Exit, Hart, Lines, Width};
use vmferry_vmm::devices::clock::Clock;
use vmferry_vmm::devices::finisher::Finisher;
use vmferry_vmm::devices::mswi::Mswi;
use vmferry_vmm::devices::mtimer::Mtimer;
use vmferry_vmm::devices::plic::{Context, Plic};
use vmferry_vmm::devices::rtc::GoldfishRtc;
use vmferry_vmm::devices::uart::{SerialProps, Uart};
use vmferry_vmm::devices::virtio::{EntropySource, VirtioRng};
use vmferry_vmm::guest::{self, GuestParameters, parse_line};
use vmstate::{Input, Migrate, Properties, Versions, VmState};

const RAM_BASE: u64 = 0x8000_0000;
const RAM_BYTES: usize = 0x30_0000;

/// Both clocks, in nanoseconds; the real one starts somewhere in 2025.
#[derive(Debug)]
struct Counted(AtomicU64);

impl Clock for Counted {
    fn virtual_ns(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn realtime_ns(&self) -> u64 {
        1_750_000_000_000_000_000 + self.virtual_ns()
    }
}

/// Entropy that depends on the time alone, so that a machine that moved gets the same.
struct Timed(Arc<Counted>);

impl EntropySource for Timed {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        bytes.fill(self.0.virtual_ns().to_le_bytes()[1]);
        Ok(())
    }
}

struct Machine {
    hart: Hart,
    board: Board,
}

struct Board {
    ram: GuestMemoryMmap,
    clock: Arc<Counted>,
    finisher: Finisher,
    mswi: Mswi,
    mtimer: Mtimer,
    plic: Plic,
    rtc: GoldfishRtc,
    uart: Uart,
    rng: VirtioRng,
}

impl Machine {
    fn new(clock: &Arc<Counted>, output: &Arc<Mutex<Vec<u8>>>) -> Self {
        let sink = output.clone();
        let accept = move |byte| {
            sink.lock().unwrap().push(byte);
            true
        };
        let board = Board {
            ram: GuestMemoryMmap::from_ranges(&[(GuestAddress(RAM_BASE), RAM_BYTES)]).unwrap(),
            clock: clock.clone(),
            finisher: Finisher::default(),
            mswi: Mswi::default(),
            mtimer: Mtimer::new(clock.clone()),
            plic: Plic::default(),
            rtc: GoldfishRtc::new(clock.clone()),
            uart: Uart::new(clock.clone(), Box::new(accept), SerialProps::defaults()),
            rng: VirtioRng::new(Box::new(Timed(clock.clone()))),
        };
        Self { hart: Hart::new(0, GuestAddress(RAM_BASE), GuestAddress(0)), board }
    }

    /// Runs at most `budget` instructions; `false` once the guest has powered off. An instruction takes 10 ns.
    fn run(&mut self, budget: u64) -> bool {
        let before = self.hart.csrs().mcycle;
        let exit = self.hart.run(&mut self.board, budget);
        let instructions = self.hart.csrs().mcycle - before;
        self.board.clock.0.fetch_add(10 * instructions, Ordering::Relaxed);
        match exit {
            Exit::Budget => true,
            Exit::Wfi => {
                self.board.clock.0.fetch_add(self.board.mtimer.due_in_ns(), Ordering::Relaxed);
                true
            }
            Exit::Requested => false,
            Exit::Stuck => panic!("the hart is stuck at {:#x}", self.hart.pc().0),
        }
    }

    /// Moves everything into `other`, through octets.
    fn move_to(&self, other: &mut Self) {
        let mut ram = vec![0; RAM_BYTES];
        self.board.ram.read_slice(&mut ram, GuestAddress(RAM_BASE)).unwrap();
        other.board.ram.write_slice(&ram, GuestAddress(RAM_BASE)).unwrap();
        move_device(&self.hart, &mut other.hart);
        move_device(&self.board.mswi, &mut other.board.mswi);
        move_device(&self.board.mtimer, &mut other.board.mtimer);
        move_device(&self.board.plic, &mut other.board.plic);
        move_device(&self.board.rtc, &mut other.board.rtc);
        move_device(&self.board.uart, &mut other.board.uart);
        move_device(&self.board.rng, &mut other.board.rng);
        other.board.rng.check_queue(&other.board.ram);
    }
}

fn move_device<M: Migrate>(from: &M, to: &mut M) {
    let mut octets = Vec::new();
    from.snapshot().unwrap().encode(&from.props(), &mut octets).unwrap();
    let mut image = to.template().unwrap();
    let mut input = Input::from_slice(&octets, 0);
    let version = M::Image::SCHEMA.version;
    image.decode(&to.props(), version, &mut input).unwrap();
    assert!(input.buffered().is_empty(), "{} leaves octets", M::Image::SCHEMA.name);
    to.restore(image, &Versions::new(version)).unwrap();
}

impl Bus for Board {
    fn ram_load(&mut self, address: GuestAddress, width: Width) -> Option<u64> {
        let mut bytes = [0; 8];
        self.ram.read_slice(&mut bytes[..width.bytes() as usize], address).ok()?;
        Some(u64::from_le_bytes(bytes))
    }

    fn ram_store(&mut self, address: GuestAddress, width: Width, value: u64) -> bool {
        self.ram.write_slice(&value.to_le_bytes()[..width.bytes() as usize], address).is_ok()
    }

    fn device_load(&mut self, address: GuestAddress, width: Width) -> Result<u64, BusFault> {
        match address.0 {
            at @ 0x0010_0000..0x0010_1000 => self.finisher.read(at & 0xfff, width),
            at @ 0x0010_1000..0x0010_2000 => self.rtc.read(at & 0xfff, width),
            at @ 0x0200_0000..0x0200_4000 => self.mswi.read(at - 0x0200_0000, width),
            at @ 0x0200_4000..0x0200_c000 => self.mtimer.read(at - 0x0200_4000, width),
            at @ 0x0c00_0000..0x0c60_0000 => self.plic.read(at - 0x0c00_0000, width),
            at @ 0x1000_0000..0x1000_0100 => self.uart.read(at & 0xff, width),
            at @ 0x1000_8000..0x1000_9000 => self.rng.read(at & 0xfff, width),
            _ => Err(BusFault),
        }
    }

    fn device_store(&mut self, address: GuestAddress, width: Width, value: u64) -> Result<(), BusFault> {
        match address.0 {
            at @ 0x0010_0000..0x0010_1000 => self.finisher.write(at & 0xfff, width, value),
            at @ 0x0010_1000..0x0010_2000 => self.rtc.write(at & 0xfff, width, value),
            at @ 0x0200_0000..0x0200_4000 => self.mswi.write(at - 0x0200_0000, width, value),
            at @ 0x0200_4000..0x0200_c000 => self.mtimer.write(at - 0x0200_4000, width, value),
            at @ 0x0c00_0000..0x0c60_0000 => self.plic.write(at - 0x0c00_0000, width, value),
            at @ 0x1000_0000..0x1000_0100 => self.uart.write(at & 0xff, width, value),
            at @ 0x1000_8000..0x1000_9000 => self.rng.write(at & 0xfff, width, value, &self.ram),
            _ => Err(BusFault),
        }
    }

    fn fetch(&mut self, address: GuestAddress) -> Option<u16> {
        self.ram.read_obj(address).ok()
    }

    fn lines(&mut self) -> Lines {
        self.uart.poll();
        self.rtc.poll();
        self.plic.set_level(8, self.rng.level());
        self.plic.set_level(10, self.uart.level());
        self.plic.set_level(11, self.rtc.level());
        Lines {
            software: self.mswi.level(),
            timer: self.mtimer.level(),
            external: self.plic.notifies(Context::Machine),
            leave: self.finisher.is_requested(),
        }
    }
}

/// Runs the guest to its end, moving it after every `moves_every` slices; gives what it printed and how often it moved.
fn run(polls: bool, moves_every: Option<u64>) -> (String, u64) {
    let clock = Arc::new(Counted(AtomicU64::new(0)));
    let output = Arc::new(Mutex::new(Vec::new()));
    let parameters = GuestParameters {
        passes: Some(6),
        dirty_rate_bytes_per_s: Some(400 << 20),
        polls,
        ..GuestParameters::default()
    };
    let mut machine = Machine::new(&clock, &output);
    machine.board.ram.write_slice(&guest::image(&parameters), GuestAddress(RAM_BASE)).unwrap();
    let mut slices = 0;
    let mut moves = 0;
    // A slice of a prime number of instructions, so that moves hit every part of the program.
    while machine.run(997) {
        slices += 1;
        if moves_every.is_some_and(|every| slices % every == 0) {
            let mut other = Machine::new(&clock, &output);
            machine.move_to(&mut other);
            machine = other;
            moves += 1;
        }
        assert!(slices < 100_000, "{}", String::from_utf8_lossy(&output.lock().unwrap()));
    }
    let text = String::from_utf8(output.lock().unwrap().clone()).unwrap();
    (text, moves)
}

#[test]
fn a_guest_that_moves_prints_what_it_prints_at_rest() {
    for polls in [false, true] {
        let (at_rest, _) = run(polls, None);
        let last = at_rest.lines().filter_map(parse_line).next_back().unwrap();
        assert_eq!((last.pass, last.pages, last.bad, last.rng), (6, 256, 0, 6), "{at_rest}");
        assert!(last.ticks > 10, "{at_rest}");
        for every in [1, 7] {
            let (moving, moves) = run(polls, Some(every));
            assert!(moves > 20, "it moved only {moves} times");
            assert_eq!(moving, at_rest, "moved after every {every} slices, {moves} times");
        }
    }
}
