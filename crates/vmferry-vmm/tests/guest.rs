//! The guest program: its committed bytes are its source, assembled; it runs to the end on our CPU and on real QEMUs;
//! and it sees pages that are not as it left them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    dead_code,
    reason = "tests"
)]
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, clippy::panic, unreachable_pub, reason = "tests")]

mod board;
mod guest_program;
mod qemu;

use std::path::Path;

use board::{Board, RAM_BASE};
use vm_memory::GuestAddress;
use vmferry_vmm::cpu::{Exit, Hart};
use vmferry_vmm::guest::{
    self, CheckedWords, GuestParameters, GuestReport, GuestStatus, STATUS_ADDRESS, parse_bad_page, parse_line,
};

const PAGES: u64 = 256;
const START: u64 = 0x8020_0000;
const END: u64 = START + PAGES * 4096;
const RAM_BYTES: usize = (END - RAM_BASE) as usize;

#[test]
fn the_committed_bytes_are_the_source_assembled() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guest/ferry-guest.bin");
    let assembled = guest_program::assemble();
    if std::env::var_os("VMFERRY_BLESS").is_some() {
        std::fs::write(&path, &assembled).unwrap();
    }
    assert!(
        std::fs::read(&path).unwrap() == assembled,
        "{} is not what tests/guest_program/mod.rs assembles to; VMFERRY_BLESS=1 writes it anew",
        path.display()
    );
}

#[test]
fn a_guest_left_alone_finds_nothing_bad_and_leaves_the_documented_words() {
    for words in [CheckedWords::Two, CheckedWords::Eight, CheckedWords::SeventyFour, CheckedWords::All] {
        let parameters = GuestParameters { passes: Some(4), seed: 0xfeed, words, ..GuestParameters::default() };
        let (mut board, mut hart) = boot(&parameters);
        board.run_to_end(&mut hart, 1_000_000_000);

        let reports = reports(&board.text());
        assert_eq!(reports.len(), 4, "{}", board.text());
        assert_eq!((reports[0].pages, reports[0].checked), (PAGES, 0), "the end of memory was found");
        assert_eq!((reports[3].pass, reports[3].checked, reports[3].bad), (4, 3 * PAGES, 0));
        let status = status(&board);
        assert_eq!((status.pass, status.bad, status.memory_start, status.memory_end), (4, 0, START, END));
        for page in (START..END).step_by(4096) {
            for (index, offset) in (0..4096).step_by(words.stride_bytes() as usize).enumerate() {
                let at = (page - RAM_BASE) as usize + offset;
                let word = u64::from_le_bytes(board.ram[at..at + 8].try_into().unwrap());
                let expected = guest::word_of_page(GuestAddress(page), 4, 0xfeed, index as u64);
                assert_eq!(word, expected, "page {page:#x}, offset {offset}");
            }
        }
    }
}

#[test]
fn lost_stale_and_torn_pages_are_found() {
    let lost: fn(&mut [u8], &[u8]) = |page, _| page.fill(0);
    let stale: fn(&mut [u8], &[u8]) = |page, old| page.copy_from_slice(old);
    let torn: fn(&mut [u8], &[u8]) = |page, old| page[2048..].copy_from_slice(&old[2048..]);
    let tail: fn(&mut [u8], &[u8]) = |page, old| page[4088..].copy_from_slice(&old[4088..]);
    let one_bit: fn(&mut [u8], &[u8]) = |page, _| page[584] ^= 0x80;
    for (name, damage) in [("lost", lost), ("stale", stale), ("torn", torn), ("tail", tail), ("bit", one_bit)] {
        let (mut board, mut hart) = boot(&GuestParameters { passes: Some(5), ..GuestParameters::default() });
        let at = (START + 17 * 4096 - RAM_BASE) as usize;
        run_to_pass(&mut board, &mut hart, 1);
        let old = board.ram[at..at + 4096].to_vec();
        run_to_pass(&mut board, &mut hart, 2);
        damage(&mut board.ram[at..at + 4096], &old);
        board.run_to_end(&mut hart, 1_000_000_000);

        let text = board.text();
        assert_eq!(reports(&text).last().unwrap().bad, 1, "{name}: {text}");
        let bad = text.lines().find_map(parse_bad_page).unwrap_or_else(|| panic!("{name}: no line in {text}"));
        assert_eq!((bad.page, bad.pass), (START + 17 * 4096, 3), "{name}");
        let status = status(&board);
        assert_eq!(
            (status.bad, status.first_bad_page, status.first_bad_expected, status.first_bad_found),
            (1, bad.page, bad.expected, bad.found),
            "{name}"
        );
    }
}

#[test]
fn a_stale_status_block_is_found() {
    let (mut board, mut hart) = boot(&GuestParameters { passes: Some(4), ..GuestParameters::default() });
    let at = (STATUS_ADDRESS.0 - RAM_BASE) as usize;
    run_to_pass(&mut board, &mut hart, 1);
    let old = board.ram[at..at + 136].to_vec();
    run_to_pass(&mut board, &mut hart, 2);
    board.ram[at..at + 136].copy_from_slice(&old);
    board.run_to_end(&mut hart, 1_000_000_000);
    let bad = board.text().lines().find_map(parse_bad_page).unwrap();
    assert_eq!(bad.page, STATUS_ADDRESS.0);
}

#[test]
fn many_bad_pages_are_counted_but_not_all_printed() {
    let (mut board, mut hart) = boot(&GuestParameters { passes: Some(3), ..GuestParameters::default() });
    run_to_pass(&mut board, &mut hart, 2);
    let walked = (START - RAM_BASE) as usize;
    board.ram[walked..].fill(0xaa);
    board.run_to_end(&mut hart, 1_000_000_000);
    let text = board.text();
    assert_eq!(text.lines().filter(|line| parse_bad_page(line).is_some()).count(), 16);
    assert_eq!(reports(&text)[2].bad, PAGES);
}

#[test]
fn the_dirty_rate_is_kept() {
    // 256 pages a pass at 64 MiB/s are 15.6 ms; the board's time goes on by 10 µs every thousand instructions.
    for polls in [false, true] {
        dirty_rate_is_kept(polls);
    }
}

fn dirty_rate_is_kept(polls: bool) {
    let rate = 64 << 20;
    let parameters =
        GuestParameters { passes: Some(20), dirty_rate_bytes_per_s: Some(rate), polls, ..GuestParameters::default() };
    let (mut board, mut hart) = boot(&parameters);
    board.run_to_end(&mut hart, 1_000_000_000);
    let seconds = board.mtime as f64 / 1e7;
    let measured = (20 * PAGES * 4096) as f64 / seconds;
    assert!((0.9..1.02).contains(&(measured / rate as f64)), "{measured} bytes/s instead of {rate}");
    let last = *reports(&board.text()).last().unwrap();
    assert_eq!(last.bad, 0);
    let ticks = last.ticks as f64 / (seconds * 1e3);
    assert!((0.9..1.01).contains(&ticks), "{} ticks in {seconds} s", last.ticks);
}

#[test]
fn the_same_bytes_run_on_qemu() {
    for (release, options) in [
        ("10.0", &["-m", "64M"][..]),
        ("7.2", &["-m", "64M", "-smp", "2"][..]),
        ("10.0", &["-m", "64M", "-global", "virtio-mmio.force-legacy=false", "-device", "virtio-rng-device"][..]),
        ("11.1", &["-m", "64M", "-global", "virtio-mmio.force-legacy=false", "-device", "virtio-rng-device"][..]),
    ] {
        let Some(qemu) = qemu::find(release) else { continue };
        let parameters = GuestParameters {
            passes: Some(5),
            dirty_rate_bytes_per_s: Some(1 << 30),
            seed: 3,
            ..GuestParameters::default()
        };
        let text = qemu::boot(&qemu, &guest::image(&parameters), options);
        let reports = reports(&text);
        assert_eq!(reports.len(), 5, "QEMU {release}:\n{text}");
        let last = reports[4];
        assert_eq!(
            (last.pass, last.pages, last.checked, last.bad),
            (5, 15872, 4 * 15872, 0),
            "QEMU {release}:\n{text}"
        );
        assert!(last.ticks > 100, "QEMU {release}: five passes of 62 MiB at 1 GiB/s take 300 ms:\n{text}");
        assert!(last.max_gap_us >= 1000 || last.max_gap_us > 0 && last.time_us > 1_600_000_000_000_000, "{text}");
        let requests = if options.len() > 4 { 5 } else { 0 };
        assert_eq!(last.rng, requests, "QEMU {release}:\n{text}");
    }
}

fn boot(parameters: &GuestParameters) -> (Board, Hart) {
    let board = Board::new(RAM_BASE, RAM_BYTES, &guest::image(parameters));
    (board, Hart::new(0, GuestAddress(RAM_BASE), GuestAddress(0)))
}

fn reports(text: &str) -> Vec<GuestReport> {
    text.lines().filter_map(parse_line).collect()
}

fn status(board: &Board) -> GuestStatus {
    GuestStatus::decode(&board.ram[(STATUS_ADDRESS.0 - RAM_BASE) as usize..]).unwrap()
}

/// Runs until the line of a pass is complete, and not so far that the next pass has touched a page.
fn run_to_pass(board: &mut Board, hart: &mut Hart, pass: u64) {
    let is_there = |board: &Board| {
        board.output.ends_with(b"\n") && reports(&board.text()).last().is_some_and(|report| report.pass == pass)
    };
    while !is_there(board) {
        assert_eq!(hart.run(board, 10), Exit::Budget, "{}", board.text());
        board.mtime += 1;
    }
}
