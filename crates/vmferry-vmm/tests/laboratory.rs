//! The devices of `ferry-virt` in the version laboratory: every machine type, with the guest in states that get all
//! conditional parts into use, and a recording of what each machine type sends.
//!
//! The recordings in `tests/data/laboratory` are what other releases rely on: `VMFERRY_BLESS=1` writes them anew, and a
//! change of one that a release has sent breaks migration from and to it (`docs/spec/compat.md` section 9, rule 1).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::{env, fs, io};

use vm_memory::GuestAddress;
use vmferry_vmm::cpu::{Bus, BusFault, Exit, Hart, Lines, Width};
use vmferry_vmm::devices::clock::{Clock, ClockSection, HostClock};
use vmferry_vmm::devices::mswi::Mswi;
use vmferry_vmm::devices::mtimer::Mtimer;
use vmferry_vmm::devices::plic::Plic;
use vmferry_vmm::devices::rtc::GoldfishRtc;
use vmferry_vmm::devices::uart::Uart;
use vmferry_vmm::devices::virtio::VirtioRng;
use vmferry_vmm::machine::board::RAM_START;
use vmferry_vmm::machine::types::{DEVICE_TYPES, FERRY_VIRT};
use vmstate::{Migrate, Place, Properties, Settings};
use vmstate_lab::{
    BuildError, Difference, Guest, Lab, Machine, Observation, Recording, Release, Scenario, Unsupported,
};

/// Virtual time is the guest's and moves with it; real time is the same on every host here.
#[derive(Debug)]
struct LabClock(Arc<HostClock>);

impl Clock for LabClock {
    fn virtual_ns(&self) -> u64 {
        self.0.virtual_ns()
    }

    fn realtime_ns(&self) -> u64 {
        1_700_000_000_000_000_000
    }
}

/// A device that is seen by its image, with everything in it that a property could leave out.
struct Face<D: Migrate> {
    device: Arc<Mutex<D>>,
    open: D::Props,
    act: fn(&mut D, &str, u64) -> Option<()>,
}

impl<D: Migrate<Props: Send, Image: fmt::Debug>> Guest for Face<D> {
    fn act(&mut self, register: &str, value: u64) -> Result<(), Unsupported> {
        (self.act)(&mut self.device.lock().unwrap(), register, value).ok_or_else(|| Unsupported::register(register))
    }

    fn observe(&self) -> Observation {
        let image = self.device.lock().unwrap().snapshot().unwrap();
        Observation::of_image(&image, &self.open).unwrap()
    }
}

/// Adds a device whose guest does what `act` does.
fn add<D: Migrate<Props: Send, Image: fmt::Debug>>(
    machine: &mut Machine,
    name: &str,
    device: D,
    open: D::Props,
    act: fn(&mut D, &str, u64) -> Option<()>,
) -> Result<(), BuildError> {
    let device = Arc::new(Mutex::new(device));
    machine.registry().register(Place::default(), Arc::clone(&device))?;
    machine.show(name, Face { device, open, act });
    Ok(())
}

/// Registers are called by their offsets.
macro_rules! writes {
    ($width:ident) => {
        |device, register, value| {
            let offset = u64::from_str_radix(register.strip_prefix("0x")?, 16).ok()?;
            device.write(offset, Width::$width, value).ok()
        }
    };
}

/// Two instructions, over and over: `addi x5, x5, 1` and a jump back.
struct Code;

impl Bus for Code {
    fn ram_load(&mut self, _: GuestAddress, _: Width) -> Option<u64> {
        None
    }

    fn ram_store(&mut self, _: GuestAddress, _: Width, _: u64) -> bool {
        false
    }

    fn device_load(&mut self, _: GuestAddress, _: Width) -> Result<u64, BusFault> {
        Err(BusFault)
    }

    fn device_store(&mut self, _: GuestAddress, _: Width, _: u64) -> Result<(), BusFault> {
        Err(BusFault)
    }

    fn fetch(&mut self, address: GuestAddress) -> Option<u16> {
        let parcels = [0x8293_u16, 0x0012, 0xf06f, 0xffdf];
        parcels.get(usize::try_from(address.0.checked_sub(RAM_START)? / 2).ok()?).copied()
    }

    fn lines(&mut self) -> Lines {
        Lines::default()
    }
}

/// Entropy that is none.
struct Zeros;

impl vmferry_vmm::devices::virtio::EntropySource for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        bytes.fill(0);
        Ok(())
    }
}

/// The devices in the order of the board; a serial line that takes nothing, so that octets stay on their way out.
fn build(settings: &Settings) -> Result<Machine, BuildError> {
    let mut machine = Machine::new();
    let host = Arc::new(HostClock::default());
    let clock = || Arc::new(LabClock(Arc::clone(&host))) as Arc<dyn Clock>;
    add(&mut machine, "clock", ClockSection(Arc::clone(&host)), (), |clock, register, value| {
        (register == "ns").then(|| clock.0.set_virtual_ns(value))
    })?;
    let hart = Hart::new(0, GuestAddress(RAM_START), GuestAddress(0)).with_props(settings.properties(&[])?);
    add(&mut machine, "hart", hart, Properties::defaults(), |hart, register, value| {
        (register == "run" && hart.run(&mut Code, value) == Exit::Budget).then_some(())
    })?;
    add(&mut machine, "mswi", Mswi::default(), (), writes!(Word))?;
    add(&mut machine, "mtimer", Mtimer::new(clock()), (), writes!(Double))?;
    add(&mut machine, "plic", Plic::default(), (), writes!(Word))?;
    let uart = Uart::new(clock(), Box::new(|_| false), settings.properties(&[])?);
    add(&mut machine, "serial", uart, Properties::defaults(), |uart, register, value| match register {
        "line" => u8::try_from(value).ok().map(|octet| uart.receive(octet)),
        _ => {
            let offset = u64::from_str_radix(register.strip_prefix("0x")?, 16).ok()?;
            uart.write(offset, Width::Byte, value).ok()
        }
    })?;
    add(&mut machine, "rtc", GoldfishRtc::new(clock()), (), writes!(Word))?;
    let rng = Arc::new(Mutex::new(VirtioRng::new(Box::new(Zeros))));
    machine.registry().register(Place::at("virtio-mmio@0000000010008000"), rng)?;
    Ok(machine)
}

const CURRENT: Release = Release::new("2.0", &FERRY_VIRT, DEVICE_TYPES, build);

const RUN: &[(&str, u64)] = &[("hart.run", 1000)];
/// FIFOs on, two octets received and not read, one waiting to be sent; time has passed since.
const TALK: &[(&str, u64)] = &[
    ("serial.0x2", 0xc1),
    ("serial.0x1", 0x05),
    ("serial.0x7", 0x5a),
    ("serial.line", 0x68),
    ("serial.line", 0x69),
    ("serial.0x0", 0x21),
    ("serial.0x0", 0x22),
    ("clock.ns", 1_000),
];
const TIMERS: &[(&str, u64)] =
    &[("mtimer.0x4000", 123_456), ("rtc.0x0c", 0x1797_9cff), ("rtc.0x08", 0x1234), ("rtc.0x10", 1), ("mswi.0x0", 1)];
/// Priority of source 10, its enable bit for context 0, the threshold.
const INTERRUPTS: &[(&str, u64)] = &[("plic.0x28", 7), ("plic.0x2000", 0x400), ("plic.0x200000", 1)];
const EVERYTHING: &str = "everything at once";

fn everything() -> Scenario {
    Scenario::new(EVERYTHING, |machine| {
        [RUN, TALK, TIMERS, INTERRUPTS]
            .concat()
            .into_iter()
            .try_for_each(|(register, value)| machine.act(register, value))
    })
}

const fn stays(
    machine: &'static str,
    scenario: &'static str,
    register: &'static str,
    value: &'static str,
) -> Difference {
    let reason = "this machine type does not send it, as the release that introduced it";
    Difference { from: "*", to: "*", machine, scenario, register, value, reason }
}

fn lab() -> Lab {
    let scenarios = "code ran|everything at once";
    let zero = "0000000000000000";
    Lab::new(&[CURRENT])
        .scenario(Scenario::writes("code ran", RUN))
        .scenario(Scenario::writes("talking", TALK))
        .scenario(Scenario::writes("timers set", TIMERS))
        .scenario(Scenario::writes("interrupts set up", INTERRUPTS))
        .scenario(everything())
        .differs(&[
            stays("ferry-virt-1.0", scenarios, "hart.riscv_hart/counters.mcycle", zero),
            stays("ferry-virt-1.0", scenarios, "hart.riscv_hart/counters.minstret", zero),
            Difference {
                from: "*",
                to: "*",
                machine: "ferry-virt-1.0|ferry-virt-1.1",
                scenario: "talking|everything at once",
                register: "serial.serial/fifo_timeout_timer.fifo_timeout_timer",
                value: "0000000000164484",
                reason: "what is left of the receive timeout is not sent: the destination starts a new one",
            },
        ])
}

fn path(machine: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/laboratory").join(format!("{machine}.bin"))
}

fn recording(machine: &'static str) -> Recording {
    let octets: &'static [u8] = fs::read(path(machine)).unwrap().leak();
    let seen = &[
        ("serial.scr", "5a"),
        ("serial.serial/recv_fifo.recv_fifo.num", "00000002"),
        ("mswi.msip", "00000001"),
        ("clock.cpu_clock_offset", "00000000000003e8"),
    ];
    Recording { release: "recorded", machine, scenario: EVERYTHING, octets, seen }
}

const MACHINES: [&str; 3] = ["ferry-virt-1.0", "ferry-virt-1.1", "ferry-virt-2.0"];

#[test]
fn every_machine_type_moves_in_every_state_and_sends_what_was_recorded() {
    if env::var_os("VMFERRY_BLESS").is_some() {
        for machine in MACHINES {
            let mut source = CURRENT.start(machine, &[]).unwrap();
            for (register, value) in [RUN, TALK, TIMERS, INTERRUPTS].concat() {
                source.act(register, value).unwrap();
            }
            fs::create_dir_all(path(machine).parent().unwrap()).unwrap();
            let stream = source.save().unwrap();
            fs::write(path(machine), &stream.octets[..stream.needed]).unwrap();
        }
    }
    assert_eq!(CURRENT.machines(), MACHINES);
    let report = lab().recordings(&MACHINES.map(recording)).run();
    println!("{report}");
    report.assert();
    // Three machine types, six states.
    assert_eq!((report.figures.pairs, report.figures.recordings), (3 * 6, 3));
}
