//! Rules of the entropy device and its transport.

use std::cell::RefCell;

use vmstate::{DescribeSink, Input, Migrate, Versions, VmState};

use super::*;
use crate::cpu::Width;

/// 64 KiB of RAM at 0.
struct Ram(RefCell<Vec<u8>>);

impl Ram {
    fn new() -> Self {
        Self(RefCell::new(vec![0; 0x1_0000]))
    }

    fn put(&self, at: u64, bytes: &[u8]) {
        self.write(GuestAddress(at), bytes).unwrap();
    }

    fn bytes<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.read(GuestAddress(at), &mut bytes).unwrap();
        bytes
    }
}

impl GuestRam for Ram {
    fn read(&self, address: GuestAddress, bytes: &mut [u8]) -> Result<(), RamFault> {
        let at = usize::try_from(address.0).map_err(|_| RamFault)?;
        let ram = self.0.borrow();
        let end = at.checked_add(bytes.len()).ok_or(RamFault)?;
        bytes.copy_from_slice(ram.get(at..end).ok_or(RamFault)?);
        Ok(())
    }

    fn write(&self, address: GuestAddress, bytes: &[u8]) -> Result<(), RamFault> {
        let at = usize::try_from(address.0).map_err(|_| RamFault)?;
        let end = at.checked_add(bytes.len()).ok_or(RamFault)?;
        self.0.borrow_mut().get_mut(at..end).ok_or(RamFault)?.copy_from_slice(bytes);
        Ok(())
    }
}

/// Counts up, so that a test can tell which octets came from where.
struct Counting(u8);

impl EntropySource for Counting {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
        Ok(())
    }
}

const DESCRIPTORS: u64 = 0x1000;
const AVAILABLE: u64 = 0x2000;
const USED: u64 = 0x3000;

fn device() -> VirtioRng {
    VirtioRng::new(Box::new(Counting(0)))
}

fn set(rng: &mut VirtioRng, ram: &Ram, offset: u64, value: u64) {
    rng.write(offset, Width::Word, value, ram).unwrap();
}

fn value(rng: &mut VirtioRng, offset: u64) -> u64 {
    rng.read(offset, Width::Word).unwrap()
}

/// A device whose driver has set up a ring of `size`.
fn running(ram: &Ram, size: u64) -> VirtioRng {
    let mut rng = device();
    for (offset, value) in [
        (0x70, 1),
        (0x70, 3),
        (0x24, 1),
        (0x20, 1),
        (0x70, 11),
        (0x30, 0),
        (0x38, size),
        (0x80, DESCRIPTORS),
        (0x90, AVAILABLE),
        (0xa0, USED),
        (0x44, 1),
        (0x70, 15),
    ] {
        set(&mut rng, ram, offset, value);
    }
    assert_eq!((value(&mut rng, 0x44), value(&mut rng, 0x70)), (1, 15));
    rng
}

fn descriptor(ram: &Ram, index: u64, address: u64, bytes: u32, flags: u16, next: u16) {
    let mut descriptor = address.to_le_bytes().to_vec();
    descriptor.extend(bytes.to_le_bytes());
    descriptor.extend(flags.to_le_bytes());
    descriptor.extend(next.to_le_bytes());
    ram.put(DESCRIPTORS + 16 * index, &descriptor);
}

/// Puts `head` into the available ring as entry `index` and notifies.
fn request(rng: &mut VirtioRng, ram: &Ram, index: u16, head: u16) {
    ram.put(AVAILABLE + 4 + 2 * u64::from(index % 8), &head.to_le_bytes());
    ram.put(AVAILABLE + 2, &index.wrapping_add(1).to_le_bytes());
    set(rng, ram, 0x50, 0);
}

#[test]
fn the_registers_say_what_the_device_is() {
    let ram = Ram::new();
    let mut rng = device();
    assert_eq!([0, 4, 8].map(|offset| value(&mut rng, offset)), [0x7472_6976, 2, 4]);
    let features: Vec<u64> = (0..3)
        .map(|word| {
            set(&mut rng, &ram, 0x14, word);
            value(&mut rng, 0x10)
        })
        .collect();
    assert_eq!(features, [0, 1, 0]);
    assert_eq!(value(&mut rng, 0x34), 8);
    set(&mut rng, &ram, 0x30, 1);
    assert_eq!((value(&mut rng, 0x34), value(&mut rng, 0x44)), (0, 0));
    assert!(rng.read(0, Width::Byte).is_err());
    assert!(rng.write(0x70, Width::Double, 0, &ram).is_err());
}

#[test]
fn features_that_are_not_offered_are_not_granted() {
    let ram = Ram::new();
    for (word, bits) in [(0, 1), (1, 3)] {
        let mut rng = device();
        set(&mut rng, &ram, 0x24, 1);
        set(&mut rng, &ram, 0x20, 1);
        set(&mut rng, &ram, 0x24, word);
        set(&mut rng, &ram, 0x20, bits);
        set(&mut rng, &ram, 0x70, 11);
        assert_eq!(value(&mut rng, 0x70), 3, "word {word}, bits {bits:#x}");
    }
    let mut legacy = device();
    set(&mut legacy, &ram, 0x70, 11);
    assert_eq!(value(&mut legacy, 0x70), 3, "a driver without VERSION_1");
}

#[test]
fn a_request_is_filled_counted_and_announced() {
    let ram = Ram::new();
    let mut rng = running(&ram, 8);
    descriptor(&ram, 3, 0x4000, 5, 3, 1);
    descriptor(&ram, 1, 0x5000, 9, 1, 6);
    descriptor(&ram, 6, 0x6000, 3, 2, 0);
    request(&mut rng, &ram, 0, 3);
    assert_eq!(ram.bytes(0x4000), [1, 2, 3, 4, 5, 0]);
    assert_eq!(ram.bytes(0x5000), [0; 9], "a buffer that is not the device's to write");
    assert_eq!(ram.bytes(0x6000), [6, 7, 8, 0]);
    assert_eq!(ram.bytes(USED), [0, 0, 1, 0, 3, 0, 0, 0, 8, 0, 0, 0]);
    assert_eq!((rng.level(), value(&mut rng, 0x60)), (true, 1));
    set(&mut rng, &ram, 0x64, 1);
    assert!(!rng.level());
    ram.put(AVAILABLE, &[1, 0]);
    request(&mut rng, &ram, 1, 3);
    assert_eq!(ram.bytes::<2>(USED + 2), [2, 0]);
    assert!(!rng.level(), "the driver wants no interrupt");
}

#[test]
fn a_request_without_end_gets_the_limit() {
    let ram = Ram::new();
    let mut rng = running(&ram, 8);
    descriptor(&ram, 0, 0x8000, 0x7000, 3, 1);
    descriptor(&ram, 1, 0x8000, 0x7000, 3, 2);
    descriptor(&ram, 2, 0x8000, 0x7000, 2, 0);
    request(&mut rng, &ram, 0, 0);
    assert_eq!(u32::from_le_bytes(ram.bytes(USED + 8)), 64 << 10);
}

#[test]
fn a_driver_that_breaks_the_rules_stops_the_device_until_reset() {
    type Damage = fn(&Ram);
    let cases: [(&str, Damage); 8] = [
        ("buffer outside of RAM", |ram| descriptor(ram, 0, 0xffff, 2, 2, 0)),
        ("buffer over the end of the address space", |ram| descriptor(ram, 0, u64::MAX, 0xffff_ffff, 2, 0)),
        ("link outside of the table", |ram| descriptor(ram, 0, 0x4000, 1, 3, 8)),
        ("chain in a circle", |ram| descriptor(ram, 0, 0x4000, 1, 3, 0)),
        ("indirect table", |ram| descriptor(ram, 0, 0x4000, 16, 4, 0)),
        ("head outside of the table", |ram| ram.put(AVAILABLE + 4, &[8, 0])),
        ("more entries than the ring has", |ram| ram.put(AVAILABLE + 2, &[9, 0])),
        ("index behind", |ram| ram.put(AVAILABLE + 2, &[0xff, 0xff])),
    ];
    for (name, damage) in cases {
        let ram = Ram::new();
        let mut rng = running(&ram, 8);
        descriptor(&ram, 0, 0x4000, 1, 2, 0);
        ram.put(AVAILABLE + 2, &[1, 0]);
        damage(&ram);
        set(&mut rng, &ram, 0x50, 0);
        assert_eq!((value(&mut rng, 0x70), value(&mut rng, 0x60)), (0x4f, 2), "{name}");
        assert_eq!(ram.bytes::<2>(USED + 2), [0, 0], "{name}");
        set(&mut rng, &ram, 0x50, 0);
        set(&mut rng, &ram, 0x70, 0);
        assert_eq!((value(&mut rng, 0x70), rng.level()), (0, false), "{name}");
    }
}

#[test]
fn rings_outside_of_ram_stop_the_device() {
    let ram = Ram::new();
    let mut rng = running(&ram, 8);
    rng.mmio.queue.available = u64::MAX - 1;
    set(&mut rng, &ram, 0x50, 0);
    assert_eq!(value(&mut rng, 0x70), 0x4f);
}

#[test]
fn a_queue_of_a_wrong_size_or_place_does_not_become_ready() {
    let ram = Ram::new();
    for (offset, wrong) in [(0x38, 0), (0x38, 3), (0x38, 16), (0x38, 0x1_0008), (0x80, 8), (0x90, 1), (0xa0, 2)] {
        let mut rng = device();
        set(&mut rng, &ram, offset, wrong);
        set(&mut rng, &ram, 0x44, 1);
        assert_eq!(value(&mut rng, 0x44), 0, "{offset:#x} = {wrong:#x}");
    }
}

#[test]
fn the_parts_of_a_ready_queue_stay() {
    let ram = Ram::new();
    let mut rng = running(&ram, 4);
    let before = rng.mmio.queue;
    for offset in [0x38, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4] {
        set(&mut rng, &ram, offset, 0);
    }
    assert_eq!(rng.mmio.queue, before);
}

#[test]
fn without_a_driver_the_octets_are_those_of_qemu() {
    let image = device().snapshot().unwrap();
    let mut octets = Vec::new();
    image.encode(&(), &mut octets).unwrap();
    // docs/spec/virtio-state.md section 1.5.
    let expected = [
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0x10, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(octets[..46], expected);
    // Section 2: 64bit_features, virtqueues and extra_state, with these lengths.
    assert_eq!(octets.len(), 46 + 35 + 16407 + 27703);
    assert_eq!(&octets[46..69], b"\x05\x15virtio/64bit_features");
}

#[test]
fn a_device_in_use_moves_and_goes_on() {
    let ram = Ram::new();
    for size in [8, 4] {
        let mut source = running(&ram, size);
        ram.put(USED, &[0; 12]);
        descriptor(&ram, 0, 0x4000, 4, 2, 0);
        request(&mut source, &ram, 0, 0);
        let image = source.snapshot().unwrap();
        let mut octets = Vec::new();
        image.encode(&(), &mut DescribeSink::new(VirtioRngImage::SCHEMA, &mut octets)).unwrap();
        assert_eq!(octets.windows(15).any(|window| window == b"virtio/ringsize"), size != 8);

        let mut other = device();
        let mut arrived = other.template().unwrap();
        arrived.decode(&(), 1, &mut Input::from_slice(&octets, 0)).unwrap();
        other.restore(arrived, &Versions::new(1)).unwrap();
        assert_eq!(other.mmio, source.mmio);
        other.check_queue(&ram);
        request(&mut other, &ram, 1, 0);
        assert_eq!(ram.bytes::<2>(USED + 2), [2, 0]);
    }
}

#[test]
fn a_queue_that_is_out_of_step_with_ram_is_stopped() {
    let ram = Ram::new();
    let mut rng = running(&ram, 8);
    ram.put(USED + 2, &[1, 0]);
    rng.check_queue(&ram);
    assert_eq!(value(&mut rng, 0x70), 0x4f);
}

#[test]
fn inconsistent_state_is_refused_and_changes_nothing() {
    let ram = Ram::new();
    let mut rng = running(&ram, 8);
    let before = rng.mmio.clone();
    let mut octets = Vec::new();
    rng.snapshot().unwrap().encode(&(), &mut octets).unwrap();
    let find = |name: &[u8]| octets.windows(name.len()).position(|window| window == name).unwrap() + name.len() + 4;
    let features = find(b"virtio/64bit_features");
    let rings = find(b"virtio/virtqueues");
    let state = find(b"virtio_mmio/state");
    for (what, at, wrong) in [
        ("page shift", 11, 12),
        ("size of the ring", 31, 4),
        ("descriptor table", 43, 8),
        ("features", features + 3, 2),
        ("features that FEATURES_OK needs", features + 3, 0),
        ("available ring", rings + 7, 2),
        ("queue size", state + 9, 3),
        ("alignment of the used ring", state + 8 + 2 + 1 + 16 + 3, 1),
        ("queue not ready with an index", state + 10, 0),
    ] {
        let mut damaged = octets.clone();
        damaged[at] = wrong;
        if what.ends_with("index") {
            damaged[45] = 1;
        }
        let mut image = rng.template().unwrap();
        image.decode(&(), 1, &mut Input::from_slice(&damaged, 0)).unwrap();
        let refused = rng.restore(image, &Versions::new(1));
        assert!(refused.is_err(), "{what}");
        assert_eq!(rng.mmio, before, "{what}");
    }
}

vmstate::vmstate_tests!(image::VirtioRngImage);
vmstate::device_tests!(mod rng_device: device, || running(&Ram::new(), 8));
