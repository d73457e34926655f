//! Devices of boards without a chip set, and what every machine has.

use vmferry_wire::description::Vmsd;
use vmstate_qemu::acpi::VirtAcpiBuildImage;
use vmstate_qemu::acpi::ged::{AcpiGed7Image, AcpiGedImage};
use vmstate_qemu::fw_cfg::FwCfgImage;
use vmstate_qemu::goldfish_rtc::GoldfishRtcImage;
use vmstate_qemu::mc146818rtc::Mc146818RtcImage;
use vmstate_qemu::pci::bus::{PciBusImage, PciHostImage};
use vmstate_qemu::pci::gpex::GpexRootImage;
use vmstate_qemu::pflash::{BlkWriteImage, PflashCfi01Image};
use vmstate_qemu::serial::{IsaSerialImage, SerialImage, SerialMmImage};
use vmstate_qemu::system::clock::{Timer5Image, TimerImage};
use vmstate_qemu::system::{CpuCommonImage, GlobalState7Image, GlobalStateImage};

use super::{elements, has, nested, octets, pci_device, subsection};
use crate::round_trip::{Entry, image, image_over};
use crate::sections::Section;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        image::<Timer5Image>().only(|section| {
            let icount = section.vmsd().and_then(|vmsd| subsection(vmsd, "timer/icount"));
            icount.and_then(|icount| subsection(icount, "timer/icount/shift")).is_some_and(|shift| shift.version == 1)
        }),
        image::<TimerImage>(),
        image::<CpuCommonImage>(),
        image::<GlobalStateImage>().only(|section| section.vmsd().is_some_and(|vmsd| octets(vmsd, "runstate") == 32)),
        image::<GlobalState7Image>(),
        image_over(|_| SerialMmImage { serial: SerialImage::template() })
            .only(|section| section.vmsd().is_some_and(|vmsd| has(vmsd, "serial"))),
        image_over(|_| IsaSerialImage { state: SerialImage::template() }),
        image::<FwCfgImage>(),
        image_over(pflash),
        image::<GoldfishRtcImage>(),
        image_over(|vmsd| GpexRootImage { parent_obj: pci_device(vmsd, "parent_obj") }),
        image::<PciHostImage>(),
        image_over(|vmsd| PciBusImage::with_lines(elements(vmsd, "irq_count").try_into().unwrap())),
        image::<VirtAcpiBuildImage>(),
        image_over(|vmsd| AcpiGed7Image::with_memory_slots(memory_slots(vmsd))).only(has_old_ghes),
        image_over(|vmsd| AcpiGedImage::with_memory_slots(memory_slots(vmsd))),
        image::<Mc146818RtcImage>(),
    ]
}

fn pflash(vmsd: &Vmsd) -> PflashCfi01Image {
    let blk_write =
        subsection(vmsd, "pflash_cfi01_blk_write").map(|block| BlkWriteImage::with_octets(octets(block, "blk_bytes")));
    PflashCfi01Image { blk_write, ..PflashCfi01Image::default() }
}

fn memory_slots(vmsd: &Vmsd) -> u32 {
    let memory = subsection(vmsd, "acpi-ged/memhp").and_then(|memhp| nested(memhp, "memhp_state"));
    memory.map_or(0, |memory| elements(memory, "devs"))
}

fn has_old_ghes(section: &Section) -> bool {
    let ghes = section.vmsd().and_then(|vmsd| subsection(vmsd, "acpi-ged/ghes"));
    ghes.and_then(|ghes| nested(ghes, "ghes_state")).is_some_and(|state| has(state, "ghes_addr_le"))
}
