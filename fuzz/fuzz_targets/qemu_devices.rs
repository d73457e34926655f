//! Images of QEMU's devices on any octets: those with counts, bounds, own codecs and nested images.
//!
//! The first octet chooses the image, the second the version. Oracles: no panic, memory within libFuzzer's limit; what
//! loads can be saved at that version, and loads again as the same image.

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use vmstate::{Input, VmState};
use vmstate_qemu::acpi::ged::AcpiGedImage;
use vmstate_qemu::arm::cpu::{qemu_10_0, qemu_11_1};
use vmstate_qemu::arm::gicv3::Gicv3Image;
use vmstate_qemu::fw_cfg::FwCfgImage;
use vmstate_qemu::mc146818rtc::Mc146818RtcImage;
use vmstate_qemu::pci::bus::PciBusImage;
use vmstate_qemu::pci::gpex::GpexRootImage;
use vmstate_qemu::pflash::{BlkWriteImage, PflashCfi01Image};
use vmstate_qemu::riscv::aplic::AplicImage;
use vmstate_qemu::riscv::cpu::v12;
use vmstate_qemu::riscv::mtimer::MtimerImage;
use vmstate_qemu::riscv::plic::PlicImage;
use vmstate_qemu::riscv::sifive_uart::SifiveUartImage;
use vmstate_qemu::sd::card::SdCardImage;
use vmstate_qemu::serial::{IsaSerialImage, SerialImage};
use vmstate_qemu::system::clock::TimerImage;

fn check<I: VmState<Props = ()> + Clone + PartialEq + Debug>(template: &I, version: u32, octets: &[u8]) {
    let mut image = template.clone();
    if image.decode(&(), version, &mut Input::from_slice(octets, 0)).is_err() {
        return;
    }
    let mut saved = Vec::new();
    image.encode_at(&(), version, &mut saved).expect("what was loaded can be saved");
    let mut again = template.clone();
    let mut input = Input::from_slice(&saved, 0);
    again.decode(&(), version, &mut input).expect("what was saved loads");
    assert_eq!((input.offset(), again), (saved.len() as u64, image));
}

fuzz_target!(|data: &[u8]| {
    let [choice, version, octets @ ..] = data else { return };
    let version = u32::from(*version);
    match choice % 17 {
        0 => check(&IsaSerialImage { state: SerialImage::template() }, version, octets),
        1 => check(&PlicImage::with(96, 2), version, octets),
        2 => check(&AplicImage::with(97, 1), version, octets),
        3 => check(&MtimerImage::with_harts(2), version, octets),
        4 => check(&Gicv3Image::with_cpus(2), version, octets),
        5 => check(&qemu_11_1::CpuImage::default(), version, octets),
        6 => check(&qemu_10_0::CpuImage::with_registers(300), version, octets),
        7 => check(&v12::CpuImage::default(), version, octets),
        8 => check(&FwCfgImage::default(), version, octets),
        9 => check(&Mc146818RtcImage::default(), version, octets),
        10 => check(&PciBusImage::with_lines(4), version, octets),
        11 => check(&GpexRootImage::default(), version, octets),
        12 => {
            let blk_write = Some(BlkWriteImage::with_octets(64));
            check(&PflashCfi01Image { blk_write, ..PflashCfi01Image::default() }, version, octets);
        }
        13 => check(&SifiveUartImage::template(), version, octets),
        14 => check(&SdCardImage::with_write_groups(64), version, octets),
        15 => check(&TimerImage::default(), version, octets),
        _ => check(&AcpiGedImage::with_memory_slots(2), version, octets),
    }
});
