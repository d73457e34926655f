//! The smallest machine that proves a migration: a thread that keeps rewriting its memory and checks what it finds.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::cast_possible_truncation, reason = "page numbers of small memories")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread::{self, JoinHandle};

use vm_memory::{Bytes as _, VolatileMemory as _};
use vmferry::FIRST_DEVICE_SECTION_ID;
use vmferry::Machine;
use vmferry::control::{Event, RunState};
use vmferry::dirty::{DirtyLog, PageSet, SoftDirtyLog, WriteProtectLog};
use vmferry::dirty_limit::VcpuDirtyRings;
use vmferry::memory::{MappedBlock, RamBlock};
use vmstate::{Migrate, Place, Refused, Registry, Versions, VmState};

/// Where the walk stands.
#[derive(VmState, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[vmstate(name = "walker", version = 1)]
pub struct WalkerImage {
    pub page: u64,
    pub pass: u64,
    pub bad_pages: u64,
}

#[derive(Debug, Default)]
pub struct Walker {
    state: WalkerImage,
    /// What the tests want to go wrong.
    pub refuses_snapshot: bool,
    pub refuses_restore: bool,
}

impl Migrate for Walker {
    type Image = WalkerImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<WalkerImage, Refused> {
        if self.refuses_snapshot { Err(Refused::new("the walker is not to be saved")) } else { Ok(self.state) }
    }

    fn template(&self) -> Result<WalkerImage, Refused> {
        Ok(self.state)
    }

    fn restore(&mut self, image: WalkerImage, _: &Versions) -> Result<(), Refused> {
        if self.refuses_restore {
            return Err(Refused::new("the walker is not to be restored"));
        }
        self.state = image;
        Ok(())
    }
}

pub struct TestMachine {
    machine_type: String,
    /// Whether SWITCHOVER_START is sent: QEMU knows it since 10.0.
    pub announces_switchover: AtomicBool,
    /// Whether multifd channels meet at the end of each section.
    pub flushes_after_each_section: AtomicBool,
    pub uuid: Mutex<[u8; 16]>,
    blocks: Vec<MappedBlock>,
    ram: Vec<Arc<dyn RamBlock>>,
    log: Box<dyn DirtyLog>,
    registry: Registry,
    pub walker: Arc<Mutex<Walker>>,
    run_state: Arc<(Mutex<RunState>, Condvar)>,
    /// The guest thread acknowledges that it stands still.
    parked: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    pub events: Mutex<Vec<Event>>,
    /// The pause behind each burst of pages, in microseconds: the dirty rate.
    pub pause_us: Arc<AtomicU64>,
    /// While set, some pages are dirty at each synchronisation, whatever the guest gets to do: no migration converges.
    pub keeps_dirty: Arc<AtomicBool>,
    /// What the vCPUs were asked to be throttled to, one after the other.
    pub throttles: Mutex<Vec<u8>>,
    /// The guest is elsewhere for good.
    pub forsaken: AtomicBool,
    /// Dirty rings, if it is to have some.
    pub rings: OnceLock<Box<dyn VcpuDirtyRings>>,
    guest: Mutex<Option<JoinHandle<()>>>,
}

impl TestMachine {
    pub fn new(machine_type: &str, bytes: usize, run_state: RunState) -> Arc<Self> {
        Self::with_blocks(machine_type, &[("test.ram", bytes)], run_state)
    }

    /// One whose guest walks over several blocks, in this order.
    pub fn with_blocks(machine_type: &str, blocks: &[(&str, usize)], run_state: RunState) -> Arc<Self> {
        let walker = Arc::new(Mutex::new(Walker::default()));
        let registry = Registry::new(FIRST_DEVICE_SECTION_ID);
        registry.register(Place::default(), Arc::clone(&walker)).unwrap();
        Self::with_registry(machine_type, blocks, run_state, walker, registry)
    }

    /// One with other devices; the walker's state moves only if it is among them.
    pub fn with_registry(
        machine_type: &str,
        blocks: &[(&str, usize)],
        run_state: RunState,
        walker: Arc<Mutex<Walker>>,
        registry: Registry,
    ) -> Arc<Self> {
        let blocks: Vec<MappedBlock> =
            blocks.iter().map(|(name, bytes)| MappedBlock::new(*name, *bytes).unwrap()).collect();
        let log = Box::new(SoftDirtyLog::new(&blocks));
        Self::with_log(machine_type, blocks, log, run_state, walker, registry)
    }

    /// One over these blocks.
    pub fn with_mapped(machine_type: &str, blocks: Vec<MappedBlock>, run_state: RunState) -> Arc<Self> {
        let walker = Arc::new(Mutex::new(Walker::default()));
        let registry = Registry::new(FIRST_DEVICE_SECTION_ID);
        registry.register(Place::default(), Arc::clone(&walker)).unwrap();
        let log = Box::new(SoftDirtyLog::new(&blocks));
        Self::with_log(machine_type, blocks, log, run_state, walker, registry)
    }

    /// One over these blocks and without the walker among its devices; others may be registered.
    pub fn without_devices(machine_type: &str, blocks: Vec<MappedBlock>, run_state: RunState) -> Arc<Self> {
        let log = Box::new(SoftDirtyLog::new(&blocks));
        let registry = Registry::new(FIRST_DEVICE_SECTION_ID);
        Self::with_log(machine_type, blocks, log, run_state, Arc::default(), registry)
    }

    /// One over these blocks whose writes the kernel notes.
    pub fn with_write_protect_log(machine_type: &str, blocks: Vec<MappedBlock>, run_state: RunState) -> Arc<Self> {
        let walker = Arc::new(Mutex::new(Walker::default()));
        let registry = Registry::new(FIRST_DEVICE_SECTION_ID);
        registry.register(Place::default(), Arc::clone(&walker)).unwrap();
        let shared = blocks.iter().map(|block| Arc::new(block.clone()) as Arc<dyn RamBlock>).collect();
        let log = Box::new(WriteProtectLog::new(shared));
        Self::with_log(machine_type, blocks, log, run_state, walker, registry)
    }

    fn with_log(
        machine_type: &str,
        blocks: Vec<MappedBlock>,
        log: Box<dyn DirtyLog>,
        run_state: RunState,
        walker: Arc<Mutex<Walker>>,
        registry: Registry,
    ) -> Arc<Self> {
        let ram = blocks.iter().map(|block| Arc::new(block.clone()) as Arc<dyn RamBlock>).collect();
        let keeps_dirty = Arc::new(AtomicBool::new(false));
        let log = Box::new(InsistentLog { log, keeps_dirty: Arc::clone(&keeps_dirty) });
        let machine = Arc::new(Self {
            machine_type: machine_type.to_owned(),
            announces_switchover: AtomicBool::new(true),
            flushes_after_each_section: AtomicBool::new(false),
            uuid: Mutex::default(),
            ram,
            log,
            blocks,
            registry,
            walker,
            run_state: Arc::new((Mutex::new(run_state), Condvar::new())),
            parked: Arc::new(AtomicBool::new(true)),
            ended: Arc::new(AtomicBool::new(false)),
            events: Mutex::default(),
            pause_us: Arc::new(AtomicU64::new(200)),
            keeps_dirty,
            throttles: Mutex::default(),
            forsaken: AtomicBool::new(false),
            rings: OnceLock::new(),
            guest: Mutex::default(),
        });
        *machine.guest.lock().unwrap() = Some(machine.spawn_guest());
        machine
    }

    fn spawn_guest(&self) -> JoinHandle<()> {
        let memory = self.blocks.clone();
        let (walker, run_state) = (Arc::clone(&self.walker), Arc::clone(&self.run_state));
        let (parked, ended, pause) = (Arc::clone(&self.parked), Arc::clone(&self.ended), Arc::clone(&self.pause_us));
        thread::spawn(move || {
            while !ended.load(Ordering::Acquire) {
                {
                    let (state, changed) = &*run_state;
                    let mut state = state.lock().unwrap();
                    while !state.is_running() && !ended.load(Ordering::Acquire) {
                        parked.store(true, Ordering::Release);
                        changed.notify_all();
                        state = changed.wait(state).unwrap();
                    }
                    parked.store(false, Ordering::Release);
                }
                walk(&memory, &mut walker.lock().unwrap().state, 16);
                thread::sleep(std::time::Duration::from_micros(pause.load(Ordering::Relaxed)));
            }
        })
    }

    pub fn state(&self) -> WalkerImage {
        self.walker.lock().unwrap().state
    }

    pub fn memory(&self) -> Vec<u8> {
        let mut memory = Vec::new();
        for block in &self.blocks {
            let mut bytes = vec![0; block.used_len() as usize];
            block.read(0, &mut bytes).unwrap();
            memory.extend_from_slice(&bytes);
        }
        memory
    }

    /// Puts bytes into the first block of the stopped guest's memory.
    pub fn fill(&self, offset: u64, bytes: &[u8]) {
        self.blocks.first().unwrap().write(offset, bytes).unwrap();
    }

    /// Waits until the guest has walked `passes` more times over its memory.
    pub fn wait_for_passes(&self, passes: u64) {
        let goal = self.state().pass + passes;
        while self.state().pass < goal {
            thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

/// A log that reports some pages as dirty while it is told to.
struct InsistentLog {
    log: Box<dyn DirtyLog>,
    keeps_dirty: Arc<AtomicBool>,
}

impl DirtyLog for InsistentLog {
    fn start(&self) -> std::io::Result<()> {
        self.log.start()
    }

    fn stop(&self) {
        self.log.stop();
    }

    fn sync(&self, pages: &mut [PageSet]) -> std::io::Result<u64> {
        let dirty = self.log.sync(pages)?;
        let insists = self.keeps_dirty.load(Ordering::Relaxed);
        Ok(dirty + pages.first_mut().filter(|_| insists).map_or(0, |set| set.add_range(0, 16)))
    }

    fn clear(&self, block: usize, first: usize, count: usize) -> std::io::Result<()> {
        self.log.clear(block, first, count)
    }
}

/// Rewrites the next `pages` pages: each must hold what the last pass left there, at its first and its last word.
fn walk(blocks: &[MappedBlock], state: &mut WalkerImage, pages: u64) {
    let total: u64 = blocks.iter().map(|block| block.used_len() / 4096).sum();
    for _ in 0..pages {
        let (block, page) = place(blocks, state.page);
        let memory = block.region().as_volatile_slice();
        let base = (page * 4096) as usize;
        let expected = if state.pass == 0 { 0 } else { state.page ^ (state.pass << 32) };
        for at in [base, base + 2048, base + 4088] {
            if memory.load::<u64>(at, Ordering::Relaxed).unwrap() != expected {
                state.bad_pages += 1;
            }
        }
        let value = state.page ^ ((state.pass + 1) << 32);
        for at in [base, base + 2048, base + 4088] {
            memory.store(value, at, Ordering::Relaxed).unwrap();
        }
        state.page += 1;
        if state.page == total {
            state.page = 0;
            state.pass += 1;
        }
    }
}

/// The block of a page of the walk, and the page's number in it.
fn place(blocks: &[MappedBlock], mut page: u64) -> (&MappedBlock, u64) {
    for block in blocks {
        let pages = block.used_len() / 4096;
        if page < pages {
            return (block, page);
        }
        page -= pages;
    }
    unreachable!("the walk stays within the blocks")
}

impl Machine for TestMachine {
    fn machine_type(&self) -> &str {
        &self.machine_type
    }

    fn sends_switchover_start(&self) -> bool {
        self.announces_switchover.load(Ordering::Relaxed)
    }

    fn multifd_flush_after_each_section(&self) -> bool {
        self.flushes_after_each_section.load(Ordering::Relaxed)
    }

    fn uuid(&self) -> [u8; 16] {
        *self.uuid.lock().unwrap()
    }

    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn ram(&self) -> &[Arc<dyn RamBlock>] {
        &self.ram
    }

    fn dirty_log(&self) -> &dyn DirtyLog {
        &*self.log
    }

    fn run_state(&self) -> RunState {
        *self.run_state.0.lock().unwrap()
    }

    fn stop(&self, state: RunState) -> Result<RunState, Refused> {
        let (current, changed) = &*self.run_state;
        let mut current = current.lock().unwrap();
        let left = std::mem::replace(&mut *current, state);
        changed.notify_all();
        while !self.parked.load(Ordering::Acquire) {
            current = changed.wait(current).unwrap();
        }
        if left.is_running() {
            self.emit(Event::Stop);
        }
        Ok(left)
    }

    fn start(&self) -> Result<(), Refused> {
        if self.forsaken.load(Ordering::Relaxed) {
            return Err(Refused::new("the guest is elsewhere for good"));
        }
        let (current, changed) = &*self.run_state;
        *current.lock().unwrap() = RunState::Running;
        self.parked.store(false, Ordering::Release);
        changed.notify_all();
        self.emit(Event::Resume);
        Ok(())
    }

    fn forsake(&self) -> Result<(), Refused> {
        self.forsaken.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn throttle(&self, percent: u8) -> Result<(), Refused> {
        self.throttles.lock().unwrap().push(percent);
        Ok(())
    }

    fn vcpu_dirty_rings(&self) -> Result<&dyn VcpuDirtyRings, Refused> {
        self.rings.get().map(|rings| &**rings).ok_or_else(|| Refused::new("the test machine has no dirty rings"))
    }

    fn emit(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }
}

impl Drop for TestMachine {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        *self.run_state.0.lock().unwrap() = RunState::Paused;
        self.run_state.1.notify_all();
        if let Some(guest) = self.guest.lock().unwrap().take() {
            let _ = guest.join();
        }
    }
}
