//! KVM's dirty log and its dirty rings report exactly the pages that a guest wrote.

#![cfg(target_arch = "x86_64")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::unnecessary_cast,
    unreachable_pub,
    missing_docs,
    reason = "tests"
)]

mod x86_host;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use dynasmrt::x64::X64Relocation;
use dynasmrt::{DynasmApi, DynasmLabelApi, VecAssembler, dynasm};
use vmferry::Machine as _;
use vmferry::dirty::PageSet;
use vmferry_vmm::x86::guest::layout;
use x86_host::{Host, Setup};

const MEMORY: u64 = 256 << 20;
/// Where the guest is told what to do, and says that it is done: words of `start`, `step`, `end`, `turn`, `done`.
const MAILBOX: u64 = 0x3_0000;

/// In user mode: waits for a new turn, writes a word into each page from start to end by step, says so.
fn writer() -> Vec<u8> {
    let mut ops = VecAssembler::<X64Relocation>::new(0);
    dynasm!(ops ; .arch x64
        ; ->image:
        ; lea rcx, [->user]
        ; mov rax, rsp
        ; push BYTE 0x2b
        ; push rax
        ; push BYTE 2
        ; push BYTE 0x33
        ; push rcx
        ; iretq
        ; ->user:
        ; lea rbp, [->image + MAILBOX as isize]
        ; xor ebx, ebx
        ; ->wait:
        ; pause
        ; cmp [rbp + 24], rbx
        ; je ->wait
        ; mov rbx, [rbp + 24]
        ; mov rdi, [rbp]
        ; mov rsi, [rbp + 8]
        ; mov rdx, [rbp + 16]
        ; ->next:
        ; cmp rdi, rdx
        ; jae ->done
        ; mov [rdi], rbx
        ; add rdi, rsi
        ; jmp ->next
        ; ->done:
        ; mov [rbp + 32], rbx
        ; jmp ->wait
    );
    ops.finalize().unwrap()
}

struct Writer {
    host: Host,
    turn: Cell<u64>,
}

impl Writer {
    fn boot(ring: Option<u32>) -> Option<Self> {
        Self::boot_with(ring, true)
    }

    fn boot_with(ring: Option<u32>, manual_protect: bool) -> Option<Self> {
        let setup = Setup { vcpus: 1, memory: MEMORY, ring, manual_protect };
        let host = Host::boot_image(&setup, writer())?;
        let writer = Self { host, turn: Cell::new(0) };
        // Until it is in user mode it writes to its stack.
        writer.write(0, 1, 0);
        Some(writer)
    }

    /// Lets the guest write, and waits until it has: from page `first` on, each `step`-th of `count`.
    fn write(&self, first: u64, step: u64, count: u64) {
        let turn = self.turn.get() + 1;
        self.turn.set(turn);
        let ram = &self.host.machine.ram()[0];
        let start = layout::RAM.0 + first * 4096;
        for (at, word) in [(0, start), (8, step * 4096), (16, start + step * count * 4096), (24, turn)] {
            ram.write(MAILBOX + at, &word.to_le_bytes()).unwrap();
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let mut done = [0; 8];
            ram.read(MAILBOX + 32, &mut done).unwrap();
            if u64::from_le_bytes(done) == turn {
                return;
            }
            assert!(Instant::now() < deadline, "the guest stands still");
            thread::sleep(Duration::from_micros(100));
        }
    }

    /// What the log reports now; pages are cleared as they would be before they are read.
    fn sync(&self) -> (BTreeSet<u64>, u64) {
        let log = self.host.machine.dirty_log();
        let mut sets = [PageSet::new((MEMORY / 4096) as usize)];
        let count = log.sync(&mut sets).unwrap();
        let mut pages = BTreeSet::new();
        while let Some((first, run)) = sets[0].take_run(0, 512) {
            log.clear(0, first, run).unwrap();
            pages.extend((first..first + run).map(|page| page as u64));
        }
        (pages, count)
    }
}

fn pages(first: u64, step: u64, count: u64) -> BTreeSet<u64> {
    let walked = (0..count).map(|index| first + index * step);
    walked.chain([MAILBOX / 4096]).collect()
}

#[test]
fn the_log_reports_exactly_what_was_written() {
    for (ring, manual_protect) in [(None, true), (None, false), (Some(4096), true)] {
        let Some(guest) = Writer::boot_with(ring, manual_protect) else { return };
        let log = guest.host.machine.dirty_log();
        log.start().unwrap();
        // A log that knows nothing at first reports everything, once.
        guest.sync();
        assert_eq!(guest.sync().0, BTreeSet::new(), "ring {ring:?}: nothing is written twice");
        for (first, step, count) in [(512, 1, 1000), (513, 2, 777), (600, 64, 900), (5000, 7, 8000), (512, 1, 1)] {
            guest.write(first, step, count);
            let (found, dirty) = guest.sync();
            assert_eq!(found, pages(first, step, count), "ring {ring:?}: {first} + {step} x {count}");
            assert_eq!(dirty, count + 1, "ring {ring:?}");
            assert_eq!(guest.sync(), (BTreeSet::new(), 0));
        }
        log.stop();
        guest.write(512, 1, 100);
        log.start().unwrap();
        guest.sync();
        guest.write(700, 1, 100);
        assert_eq!(guest.sync().0, pages(700, 1, 100), "ring {ring:?}: after a restart");
        log.stop();
    }
}

#[test]
fn pages_that_are_not_cleared_are_reported_again_and_lost_never() {
    let Some(guest) = Writer::boot(None) else { return };
    let log = guest.host.machine.dirty_log();
    log.start().unwrap();
    guest.sync();
    guest.write(1000, 1, 64);
    let mut sets = [PageSet::new((MEMORY / 4096) as usize)];
    assert_eq!(log.sync(&mut sets).unwrap(), 65);
    assert_eq!(log.sync(&mut sets).unwrap(), 0, "nothing new");
    // Written again before it is cleared: in the set already, and read later.
    guest.write(1000, 1, 64);
    let (found, _) = guest.sync();
    assert_eq!(found, pages(1000, 1, 64));
    guest.write(1003, 1, 1);
    assert_eq!(guest.sync().0, pages(1003, 1, 1));
    assert!(log.clear(0, (MEMORY / 4096) as usize, 1).is_err());
    assert!(log.clear(1, 0, 1).is_err());
}

#[test]
fn the_rings_tell_what_a_vcpu_dirties_beside_the_log_and_without_it() {
    let Some(guest) = Writer::boot(Some(1024)) else { return };
    let rings = guest.host.machine.vcpu_dirty_rings().unwrap();
    assert_eq!((rings.vcpus(), rings.ring_bytes()), (1, 4 << 20));
    let log = guest.host.machine.dirty_log();
    let dirtied = |count: u64| {
        let before = rings.dirtied_pages().unwrap()[0];
        guest.write(2000, 1, count);
        rings.dirtied_pages().unwrap()[0] - before
    };
    assert_eq!(dirtied(100), 0, "nobody counts");
    rings.count(true).unwrap();
    // All that was written before protected pages may be written by the way.
    rings.dirtied_pages().unwrap();
    // More than a ring has, and the mailbox; at each ring that is full, a page is written on both sides of it.
    let many = dirtied(5000);
    assert!((5001..5050).contains(&many), "{many}");
    log.start().unwrap();
    assert_eq!(dirtied(700), 701);
    guest.sync();
    log.stop();
    assert_eq!(dirtied(300), 301, "the end of the log is not that of the count");
    log.start().unwrap();
    rings.count(false).unwrap();
    guest.write(4000, 1, 200);
    assert_eq!(guest.sync().0, pages(4000, 1, 200), "the end of the count is not that of the log");
    log.stop();
    assert_eq!(dirtied(100), 0);
}

#[test]
fn a_vcpu_with_a_sleep_is_held_up_whenever_its_ring_is_full() {
    let Some(guest) = Writer::boot(Some(1024)) else { return };
    let rings = guest.host.machine.vcpu_dirty_rings().unwrap();
    rings.count(true).unwrap();
    rings.set_sleep(0, Duration::from_millis(100));
    let (begun, before) = (Instant::now(), guest.host.machine.dirty_ring_full_exits());
    guest.write(4000, 1, 8 * 1024);
    let full = guest.host.machine.dirty_ring_full_exits() - before;
    assert!(full >= 4, "{full}");
    assert!(begun.elapsed() >= Duration::from_millis(100) * u32::try_from(full).unwrap());
    // A sleep that would last for longer than the test ends when it is taken back.
    rings.set_sleep(0, Duration::from_secs(3600));
    let before = guest.host.machine.dirty_ring_full_exits();
    thread::scope(|scope| {
        scope.spawn(|| {
            while guest.host.machine.dirty_ring_full_exits() == before {
                thread::sleep(Duration::from_millis(1));
            }
            rings.set_sleep(0, Duration::ZERO);
        });
        let ram = &guest.host.machine.ram()[0];
        let start = layout::RAM.0 + 4000 * 4096;
        let turn = guest.turn.get() + 1;
        for (at, word) in [(0, start), (8, 4096), (16, start + 4096 * 4096), (24, turn)] {
            ram.write(MAILBOX + at, &word.to_le_bytes()).unwrap();
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut done = [0; 8];
        while u64::from_le_bytes(done) != turn {
            assert!(Instant::now() < deadline, "the guest sleeps on");
            thread::sleep(Duration::from_millis(1));
            ram.read(MAILBOX + 32, &mut done).unwrap();
        }
        guest.turn.set(turn);
    });
    rings.count(false).unwrap();
}

#[test]
fn a_machine_without_rings_says_what_it_needs() {
    let Some(guest) = Writer::boot(None) else { return };
    let Err(refused) = guest.host.machine.vcpu_dirty_rings() else { panic!("there are rings") };
    assert!(refused.to_string().contains("dirty-ring-size"), "{refused}");
}
