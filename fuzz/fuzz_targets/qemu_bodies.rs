//! Bodies of QEMU's own devices, the hand-written codecs among them.
//!
//! The first octet chooses the image, the second the version of the section, the rest is its body; of an image number
//! above 127 the body is packed: octets `00 H L` stand for H·256 + L zeros, since the tables of virtio are long and
//! mostly zero.
//!
//! Oracles: no panic, memory within libFuzzer's limit; octets that come at once and one by one give the same; what was
//! decoded is encoded, and decodes to the same.

#![no_main]

use std::error::Error;
use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use vmstate::input::Refill;
use vmstate::{Input, LoadError, VmState};
use vmstate_qemu::display::PciVgaImage;
use vmstate_qemu::fw_cfg::FwCfgImage;
use vmstate_qemu::ide::PciIdeImage;
use vmstate_qemu::ide::ahci::PciAhciImage;
use vmstate_qemu::net::e1000::E1000Image;
use vmstate_qemu::pci::bridge::PciBridgeImage;
use vmstate_qemu::pci::port::RootPortImage;
use vmstate_qemu::riscv::cpu::{v10, v12};
use vmstate_qemu::riscv::plic::PlicImage;
use vmstate_qemu::sd::card::SdCardImage;
use vmstate_qemu::virtio::balloon::VirtioBalloonImage;
use vmstate_qemu::virtio::blk::VirtioBlkImage;
use vmstate_qemu::virtio::console::VirtioConsoleImage;
use vmstate_qemu::virtio::devices::VirtioRngImage;
use vmstate_qemu::virtio::gpu::{GpuState, VirtioGpuImage};
use vmstate_qemu::virtio::iommu::VirtioIommuImage;
use vmstate_qemu::virtio::mem::VirtioMemImage;
use vmstate_qemu::virtio::net::VirtioNetImage;
use vmstate_qemu::virtio::{MmioTransport, PciTransport, Transport, Virtio};
use vmstate_qemu::x86::fdc::IsaFdcImage;
use vmstate_qemu::x86::hpet::HpetImage;
use vmstate_qemu::x86::ps2::Ps2MouseImage;

/// Most octets that a packed body gives.
const OCTETS_MAX: usize = 256 << 10;

/// A source that gives one octet at a time.
struct OneByOne<'a>(&'a [u8]);

impl Refill for OneByOne<'_> {
    fn refill(&mut self, buffer: &mut [u8]) -> Result<usize, Box<dyn Error + Send + Sync>> {
        let Some(((first, rest), place)) = self.0.split_first().zip(buffer.first_mut()) else { return Ok(0) };
        *place = *first;
        self.0 = rest;
        Ok(1)
    }
}

fn unpack(mut packed: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    while octets.len() < OCTETS_MAX {
        packed = match packed {
            [0, high, low, rest @ ..] => {
                octets.resize(octets.len() + usize::from(u16::from_be_bytes([*high, *low])), 0);
                rest
            }
            [octet, rest @ ..] => {
                octets.push(*octet);
                rest
            }
            [] => break,
        };
    }
    octets
}

fn decode<I: VmState<Props = ()> + Clone>(
    template: &I,
    version: u32,
    mut input: Input<'_>,
) -> Result<(I, u64), LoadError> {
    let mut image = template.clone();
    image.decode(&(), version, &mut input)?;
    Ok((image, input.offset()))
}

fn check<I: VmState<Props = ()> + Clone + Debug + PartialEq>(template: I, version: u32, octets: &[u8]) {
    let whole = decode(&template, version, Input::from_slice(octets, 0));
    let slow = decode(&template, version, Input::new(OneByOne(octets), 0));
    let (image, consumed) = match (whole, slow) {
        (Ok(whole), Ok(slow)) => {
            assert_eq!(whole, slow);
            whole
        }
        (Err(whole), Err(slow)) => {
            assert_eq!(whole.to_string(), slow.to_string());
            assert!(whole.offset() <= octets.len() as u64, "{whole}");
            return;
        }
        (whole, slow) => panic!("whole {whole:?}, one by one {slow:?}"),
    };
    assert!(consumed <= octets.len() as u64);

    let mut written = Vec::new();
    let outcome = match version == I::SCHEMA.version {
        true => image.encode(&(), &mut written),
        false => image.encode_at(&(), version, &mut written),
    };
    if let Err(error) = outcome {
        // What an older sender lacks may leave data behind a nested image that look like what they must not.
        assert!(error.to_string().contains("look like a subsection"), "{error}");
        return;
    }
    // Where a codec tells from what follows the image which form it has, that follows again.
    written.extend_from_slice(&octets[consumed as usize..]);
    let (back, _) = decode(&template, version, Input::from_slice(&written, 0)).expect("what was written loads");
    assert_eq!(back, image);
}

fn pci<P: Default>() -> Virtio<P> {
    Virtio::on(Transport::Pci(PciTransport::default()))
}

fn mmio<P: Default>() -> Virtio<P> {
    Virtio::on(Transport::Mmio(MmioTransport::default()))
}

fuzz_target!(|data: &[u8]| {
    let [choice, version, rest @ ..] = data else { return };
    let unpacked = (*choice >= 128).then(|| unpack(rest));
    let (version, octets) = (u32::from(*version), unpacked.as_deref().unwrap_or(rest));
    match choice % 128 {
        0 => check(VirtioRngImage { virtio: pci() }, version, octets),
        1 => check(VirtioRngImage { virtio: mmio() }, version, octets),
        2 => check(VirtioBlkImage { virtio: pci() }, version, octets),
        3 => check(VirtioBlkImage { virtio: mmio() }, version, octets),
        4 => check(VirtioNetImage { virtio: pci() }, version, octets),
        5 => check(VirtioNetImage { virtio: mmio() }, version, octets),
        6 => check(VirtioBalloonImage { virtio: pci() }, version, octets),
        7 => check(VirtioBalloonImage { virtio: mmio() }, version, octets),
        8 => check(VirtioConsoleImage { virtio: mmio() }, version, octets),
        9 => check(VirtioGpuImage { virtio: mmio(), gpu: GpuState::default(), blob: None }, version, octets),
        10 => check(VirtioMemImage { virtio: mmio() }, version, octets),
        11 => check(VirtioIommuImage { virtio: mmio() }, version, octets),
        12 => check(v10::CpuImage::default(), version, octets),
        13 => check(v12::CpuImage::default(), version, octets),
        14 => check(PlicImage::with(96, 2), version, octets),
        15 => check(SdCardImage::with_write_groups(1024), version, octets),
        16 => check(IsaFdcImage::default(), version, octets),
        17 => check(PciIdeImage::template(), version, octets),
        18 => check(PciAhciImage::with_ports(2), version, octets),
        19 => check(E1000Image::default(), version, octets),
        20 => check(HpetImage::with_timers(3), version, octets),
        21 => check(Ps2MouseImage::default(), version, octets),
        22 => check(PciVgaImage::default(), version, octets),
        23 => check(PciBridgeImage::default(), version, octets),
        24 => check(RootPortImage::with_vectors(4), version, octets),
        25 => check(FwCfgImage::default(), version, octets),
        _ => {}
    }
});
