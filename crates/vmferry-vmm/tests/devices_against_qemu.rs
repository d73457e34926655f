//! Devices against a real QEMU: sections that it wrote while the guest program used its devices are loaded into ours,
//! and what ours would send is the same, octet by octet.
//!
//! | section | compared |
//! |---|---|
//! | `serial`, `riscv_sifive_plic` | loaded, sent again: equal |
//! | `virtio-rng` on modern MMIO, with a driver that has made requests | the same, and the next request is answered |
//! | `riscv_mtimer` version 1 (not that of 11.1) | loaded; sent again, the octets of version 1 are equal |
//! | `goldfish_rtc` version 3 | loaded; sent again, equal but for the offset that only older versions used |
//! | `timer` | loaded; the virtual clock goes on from QEMU's |

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    dead_code,
    reason = "tests"
)]
#![allow(clippy::cast_possible_wrap, clippy::cast_sign_loss, clippy::panic, unreachable_pub, reason = "tests")]

mod qemu;

use std::io;
use std::sync::Arc;

use vmferry_vmm::devices::clock::{Clock, ClockSection, HostClock};
use vmferry_vmm::devices::mtimer::Mtimer;
use vmferry_vmm::devices::plic::Plic;
use vmferry_vmm::devices::rtc::GoldfishRtc;
use vmferry_vmm::devices::uart::{SerialProps, Uart};
use vmferry_vmm::devices::virtio::{EntropySource, VirtioRng};
use vmferry_vmm::guest::{self, GuestParameters, parse_line};
use vmstate::{Input, Migrate, Properties, Versions, VmState};

const MODERN_RNG: [&str; 4] = ["-global", "virtio-mmio.force-legacy=false", "-device", "virtio-rng-device"];

struct Zeros;

impl EntropySource for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        bytes.fill(0);
        Ok(())
    }
}

/// A section of a stream: its version, and everything behind its header.
struct Section<'a> {
    id: [u8; 4],
    version: u32,
    rest: &'a [u8],
}

/// The section whose id string ends with `name`.
fn section<'a>(stream: &'a [u8], name: &str) -> Section<'a> {
    // 0x04, u32 id, counted id string, u32 instance, u32 version.
    let candidates = stream.windows(name.len()).enumerate().filter(|(_, window)| *window == name.as_bytes());
    for (at, _) in candidates {
        let end = at + name.len();
        for length in name.len()..=64 {
            let Some(start) = end.checked_sub(length + 6) else { continue };
            if stream[start] == 4 && usize::from(stream[start + 5]) == length && stream[end..end + 3] == [0, 0, 0] {
                let version = u32::from_be_bytes(stream[end + 4..end + 8].try_into().unwrap());
                return Section {
                    id: stream[start + 1..start + 5].try_into().unwrap(),
                    version,
                    rest: &stream[end + 8..],
                };
            }
        }
    }
    panic!("there is no section {name} in the stream");
}

/// Loads a section into a device as an engine does; gives its body.
fn load<'a, M: Migrate>(device: &mut M, section: &Section<'a>) -> &'a [u8] {
    let mut image = device.template().unwrap();
    let mut input = Input::from_slice(section.rest, 0);
    image.decode(&device.props(), section.version, &mut input).unwrap();
    let length = input.offset() as usize;
    device.restore(image, &Versions::new(section.version)).unwrap();
    // The footer, 0x7e and the section's id, says that the whole body was understood.
    assert_eq!(section.rest[length..length + 5], [&[0x7e], &section.id[..]].concat(), "a body of {length} octets");
    &section.rest[..length]
}

fn save<M: Migrate>(device: &M) -> Vec<u8> {
    let mut octets = Vec::new();
    device.snapshot().unwrap().encode(&device.props(), &mut octets).unwrap();
    octets
}

#[test]
fn sections_of_a_running_qemu_load_and_are_sent_alike() {
    for release in ["7.2", "10.0", "11.1"] {
        let Some(qemu) = qemu::find(release) else { continue };
        let parameters = GuestParameters {
            dirty_rate_bytes_per_s: Some(256 << 20),
            memory_end: Some(vm_memory::GuestAddress(0x8080_0000)),
            ..GuestParameters::default()
        };
        let options = [&["-m", "64M"][..], &MODERN_RNG].concat();
        let until = |line: &str| parse_line(line).is_some_and(|report| report.pass == 3 && report.rng == 3);
        let stream = qemu::save_when(&qemu, &guest::image(&parameters), &options, until);

        let clock = Arc::new(HostClock::default());
        let mut uart = Uart::new(clock.clone(), Box::new(|_| true), SerialProps::defaults());
        let body = load(&mut uart, &section(&stream, "serial"));
        assert_eq!(save(&uart), body, "serial of QEMU {release}");

        let mut plic = Plic::default();
        let body = load(&mut plic, &section(&stream, "riscv_sifive_plic"));
        assert_eq!(save(&plic), body, "riscv_sifive_plic of QEMU {release}");

        let mut rng = VirtioRng::new(Box::new(Zeros));
        let body = load(&mut rng, &section(&stream, "virtio-rng"));
        assert_eq!(first_difference(&save(&rng), &without_ring_sizes(body)), None, "virtio-rng of QEMU {release}");

        let mut timer = Mtimer::new(clock.clone());
        let theirs = section(&stream, "riscv_mtimer");
        if theirs.version == 1 {
            let body = load(&mut timer, &theirs);
            assert_eq!(save(&timer)[..8], *body, "riscv_mtimer of QEMU {release}");
        }

        let mut rtc = GoldfishRtc::new(clock.clone());
        let body = load(&mut rtc, &section(&stream, "goldfish_rtc"));
        assert_eq!(save(&rtc)[8..], body[8..], "goldfish_rtc of QEMU {release}");

        let mut virtual_clock = ClockSection(clock.clone());
        load(&mut virtual_clock, &section(&stream, "timer"));
        let seconds = clock.virtual_ns() as f64 / 1e9;
        assert!((0.0..60.0).contains(&seconds), "QEMU {release} ran for {seconds} s");
    }
}

/// A body without its subsection `virtio/ringsize`: 10.0 sends it with 1024 for this ring of 8 that was offered with 8,
/// the others do not send it.
fn without_ring_sizes(body: &[u8]) -> Vec<u8> {
    let header = b"\x05\x0fvirtio/ringsize\0\0\0\x01";
    let mut body = body.to_vec();
    if let Some(at) = body.windows(header.len()).position(|window| window == header) {
        body.drain(at..at + header.len() + 4096);
    }
    body
}

/// Offset and octets of the first difference, or the lengths.
fn first_difference(ours: &[u8], theirs: &[u8]) -> Option<String> {
    if let Some(at) = ours.iter().zip(theirs).position(|(a, b)| a != b) {
        return Some(format!("at {at}: ours {:02x?}, theirs {:02x?}", &ours[at..at + 4], &theirs[at..at + 4]));
    }
    (ours.len() != theirs.len()).then(|| format!("{} octets instead of {}", ours.len(), theirs.len()))
}
