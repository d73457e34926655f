//! The x86-64 guest program: its committed bytes are its source, assembled; and it runs under KVM, where there is one.

#![cfg(target_arch = "x86_64")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    unreachable_pub,
    missing_docs,
    reason = "tests"
)]

mod x86_guest_program;
mod x86_host;

use std::path::Path;
use std::time::Duration;

use vm_memory::GuestAddress;
use vmferry::Machine as _;
use vmferry_vmm::guest::{self, CheckedWords, GuestParameters, GuestStatus};
use vmferry_vmm::x86::guest::{layout, status_address};

use x86_host::{Host, Setup};

#[test]
fn the_committed_bytes_are_the_source_assembled() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/x86/guest/ferry-guest-x86.bin");
    let assembled = x86_guest_program::assemble();
    if std::env::var_os("VMFERRY_BLESS").is_some() {
        std::fs::write(&path, &assembled).unwrap();
    }
    assert!(
        std::fs::read(&path).unwrap() == assembled,
        "{} is not what tests/x86_guest_program/mod.rs assembles to; VMFERRY_BLESS=1 writes it anew",
        path.display()
    );
}

#[test]
fn a_guest_left_alone_finds_nothing_bad_and_leaves_the_documented_words() {
    for (vcpus, words) in [(1, CheckedWords::Eight), (2, CheckedWords::Two), (3, CheckedWords::All)] {
        let parameters = GuestParameters { passes: Some(4), seed: 0xfeed, words, ..GuestParameters::default() };
        let Some(host) = Host::boot(&Setup { vcpus, ..Setup::default() }, &parameters) else { return };
        assert_eq!(host.ends(), 0, "{}", host.text());
        let reports = host.reports();
        let pages = (x86_host::MEMORY - u64::from(layout::WALKED)) / 4096;
        assert_eq!(reports.len(), 4, "{}", host.text());
        assert_eq!((reports[0].pages, reports[0].checked), (pages, 0));
        assert_eq!((reports[3].pass, reports[3].checked, reports[3].bad), (4, 3 * pages, 0));
        let ram = &host.machine.ram()[0];
        for page in (u64::from(layout::WALKED)..x86_host::MEMORY).step_by(4096) {
            for (index, offset) in (0..4096).step_by(words.stride_bytes() as usize).enumerate() {
                let mut word = [0; 8];
                ram.read(page + offset as u64, &mut word).unwrap();
                let address = GuestAddress(layout::RAM.0 + page);
                let expected = guest::word_of_page(address, 4, 0xfeed, index as u64);
                assert_eq!(u64::from_le_bytes(word), expected, "page {page:#x}, offset {offset}");
            }
        }
        for vcpu in 0..vcpus {
            let mut block = [0; GuestStatus::BYTES];
            ram.read(status_address(vcpu as u8).0 - layout::RAM.0, &mut block).unwrap();
            assert_eq!(GuestStatus::decode(&block).unwrap().pass, 4, "vCPU {vcpu}");
        }
    }
}

#[test]
fn pages_that_change_under_it_are_found() {
    let parameters = GuestParameters { dirty_rate_bytes_per_s: Some(20_000_000), ..GuestParameters::default() };
    let Some(host) = Host::boot(&Setup { vcpus: 2, ..Setup::default() }, &parameters) else { return };
    host.walks(2);
    host.machine.pause().unwrap();
    // A page of the second vCPU's that lies far from where it is: the last one it walked.
    let ram = &host.machine.ram()[0];
    let mut block = [0; GuestStatus::BYTES];
    ram.read(status_address(1).0 - layout::RAM.0, &mut block).unwrap();
    let at = x86_host::MEMORY - 3 * 4096;
    ram.write(at + 584, &[0xee; 8]).unwrap();
    let passes = host.reports().len();
    host.machine.cont().unwrap();
    let report = host.wait_for(passes + 2);
    assert_eq!(report.bad, 1, "{}", host.text());
    let bad = host.text().lines().find_map(guest::parse_bad_page).unwrap();
    assert_eq!((bad.page, bad.found), (layout::RAM.0 + at, 0xeeee_eeee_eeee_eeee));
}

#[test]
fn the_dirty_rate_is_kept() {
    for (vcpus, rate) in [(1, 50_000_000), (2, 1_000_000_000)] {
        let parameters = GuestParameters { dirty_rate_bytes_per_s: Some(rate), ..GuestParameters::default() };
        let setup = Setup { vcpus, memory: 64 << 20, ..Setup::default() };
        let Some(host) = Host::boot(&setup, &parameters) else { return };
        let first = host.walks(1);
        std::thread::sleep(Duration::from_secs(2));
        let last = host.walks(2);
        let seconds = (last.time_us - first.time_us) as f64 / 1e6;
        let measured = ((last.pass - first.pass) * first.pages * 4096) as f64 / seconds;
        // Not faster; how much slower depends on what else the host does.
        assert!(measured < 1.05 * rate as f64, "{measured} bytes/s instead of {rate}");
        assert!(measured > 0.2 * rate as f64, "{measured} bytes/s instead of {rate}");
        println!("{vcpus} vCPUs: {measured:.0} bytes/s of {rate}");
    }
}
