//! Devices of `pc` and `q35`.

use vmferry_wire::description::Vmsd;
use vmstate_qemu::acpi::AcpiBuildImage;
use vmstate_qemu::audio::AudioImage;
use vmstate_qemu::audio::ac97::Ac97Image;
use vmstate_qemu::audio::hda::{HdaAudioImage, IntelHdaImage};
use vmstate_qemu::audio::sb16::Sb16Image;
use vmstate_qemu::display::{BochsDisplayImage, PciVgaImage};
use vmstate_qemu::i2c::{I2cBusImage, Ich9SmbusImage};
use vmstate_qemu::ide::ahci::PciAhciImage;
use vmstate_qemu::ide::{IsaIdeImage, PciIdeImage};
use vmstate_qemu::net::e1000::E1000Image;
use vmstate_qemu::net::e1000e::E1000eImage;
use vmstate_qemu::pci::bridge::{I82801b11BridgeImage, PciBridgeImage, PciePciBridgeImage};
use vmstate_qemu::pci::msix::{MsixImage, VECTORS_MAX};
use vmstate_qemu::pci::port::{DownstreamPortImage, Ioh3420Image, RootPortImage, UpstreamPortImage};
use vmstate_qemu::usb::ehci::EhciImage;
use vmstate_qemu::usb::hid::{UsbKeyboardImage, UsbPointerImage};
use vmstate_qemu::usb::uhci::UhciImage;
use vmstate_qemu::usb::xhci::{XhciCoreImage, XhciImage};
use vmstate_qemu::watchdog::{I6300EsbImage, Ib700Image};
use vmstate_qemu::x86::fdc::IsaFdcImage;
use vmstate_qemu::x86::hpet::HpetImage;
use vmstate_qemu::x86::i440fx::{I440FxImage, Piix3Image, Piix4PmImage};
use vmstate_qemu::x86::i8042::I8042Image;
use vmstate_qemu::x86::isa::{DmaImage, ParallelImage, PcSpeakerImage, Port92Image, VmMouseImage};
use vmstate_qemu::x86::ps2::{Ps2KeyboardImage, Ps2MouseImage};
use vmstate_qemu::x86::q35::{Ich9LpcImage, MchImage};

use super::{elements, has, nested, octets, pci_device, subsection};
use crate::round_trip::{Entry, image, image_over};

pub(super) fn entries() -> Vec<Entry> {
    vec![
        image::<DmaImage>(),
        image::<Port92Image>(),
        image::<PcSpeakerImage>(),
        image::<ParallelImage>(),
        image::<VmMouseImage>(),
        image::<I8042Image>(),
        image::<Ps2KeyboardImage>(),
        image::<Ps2MouseImage>(),
        image::<IsaFdcImage>(),
        image_over(|vmsd| HpetImage::with_timers(elements(vmsd, "timer").try_into().unwrap())),
        image::<AcpiBuildImage>(),
        image::<I2cBusImage>(),
        image::<I440FxImage>(),
        image::<Piix3Image>(),
        image_over(piix4_pm),
        image::<MchImage>(),
        image_over(ich9_lpc),
        image_over(|vmsd| Ich9SmbusImage { has_registers: has(vmsd, "smb"), ..Ich9SmbusImage::default() }),
        image_over(|_| PciIdeImage::template()),
        image_over(|_| IsaIdeImage::template()),
        image_over(|vmsd| PciAhciImage::with_ports(nested(vmsd, "ahci").map_or(0, |ahci| elements(ahci, "dev")))),
        image::<PciVgaImage>(),
        image_over(|vmsd| BochsDisplayImage::on(pci_device(vmsd, "pci"))),
        image::<E1000Image>(),
        image_over(|vmsd| E1000eImage {
            has_timadj: has(vmsd, "core.timadj"),
            has_pending: has(vmsd, "core.itr_intr_pending"),
            ..E1000eImage::default()
        }),
        image_over(|vmsd| PciBridgeImage { has_shpc: has(vmsd, "shpc"), ..PciBridgeImage::default() }),
        image::<PciePciBridgeImage>(),
        image::<I82801b11BridgeImage>(),
        image_over(|vmsd| {
            let msix = nested(vmsd, "parent_obj.parent_obj.parent_obj.parent_obj");
            RootPortImage::with_vectors(msix.map_or(0, msix_vectors))
        }),
        image::<Ioh3420Image>(),
        image::<UpstreamPortImage>(),
        image::<DownstreamPortImage>(),
        image::<I6300EsbImage>(),
        image::<Ib700Image>(),
        image::<UhciImage>(),
        image::<EhciImage>(),
        image_over(xhci),
        image::<UsbKeyboardImage>(),
        image::<UsbPointerImage>(),
        image::<Ac97Image>(),
        image_over(|vmsd| Sb16Image { has_place: has(vmsd, "irq"), ..Sb16Image::default() }),
        image::<IntelHdaImage>(),
        image::<HdaAudioImage>(),
        image::<AudioImage>(),
    ]
}

/// Slots for memory and for CPUs, of power management whose subsections begin with `prefix`.
fn slots(vmsd: &Vmsd, prefix: &str) -> (u32, u32) {
    let devices = |name: &str, field| {
        let state = subsection(vmsd, &format!("{prefix}/{name}")).and_then(|part| nested(part, field));
        state.map_or(0, |state| elements(state, "devs"))
    };
    (devices("memhp", "acpi_memory_hotplug"), devices("cpuhp", "cpuhp_state"))
}

fn piix4_pm(vmsd: &Vmsd) -> Piix4PmImage {
    let (memory_slots, cpus) = slots(vmsd, "piix4_pm");
    Piix4PmImage {
        has_smbus: has(vmsd, "smb"),
        has_bridges: has(vmsd, "acpi_pci_hotplug.hotplug_select"),
        has_acpi_index: has(vmsd, "acpi_pci_hotplug.acpi_index"),
        ..Piix4PmImage::with_slots(memory_slots, cpus)
    }
}

fn ich9_lpc(vmsd: &Vmsd) -> Ich9LpcImage {
    let (memory_slots, cpus) = nested(vmsd, "pm").map_or((0, 0), |pm| slots(pm, "ich9_pm"));
    Ich9LpcImage::with_slots(memory_slots, cpus)
}

/// Vectors of a device, from the description of its `msix`.
fn msix_vectors(msix: &Vmsd) -> usize {
    (0..=VECTORS_MAX).find(|vectors| vectors * 16 + vectors.div_ceil(8) == octets(msix, "msix") as usize).unwrap()
}

fn xhci(vmsd: &Vmsd) -> XhciImage {
    let msix = nested(vmsd, "parent_obj[1]").map_or(0, msix_vectors);
    let number = |name| nested(vmsd, "xhci").map_or(0, |core| elements(core, name));
    XhciImage {
        parent_obj: pci_device(vmsd, "parent_obj[0]"),
        msix: MsixImage::with_vectors(msix),
        xhci: XhciCoreImage::with(number("ports"), number("slots"), number("intr")),
    }
}
