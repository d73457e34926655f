//! What bodies without a page in `docs/spec` hold, and whether registers are in the fields of their names: something is
//! changed from outside, by a guest or by an access, and is looked for.

use vmstate::{Input, VmState};
use vmstate_qemu::pci::bridge::PciBridgeImage;
use vmstate_qemu::usb::hid::{UsbKeyboardImage, UsbPointerImage};
use vmstate_qemu::x86::cpu::CpuImage;
use vmstate_qemu::x86::hpet::HpetImage;
use vmstate_qemu::x86::i440fx::Piix3Image;
use vmstate_qemu::x86::i8042::I8042Image;
use vmstate_qemu::x86::isa::{DmaImage, Port92Image};
use vmstate_qemu::x86::ps2::Ps2KeyboardImage;

use crate::recorded::{RELEASES, recordings_of};

/// The first section of a recording that has the image's name, decoded over a template.
fn decoded<I: VmState<Props = ()>>(recording: &str, mut image: I) -> I {
    let found = recordings_of(recording).into_iter().find(|other| other.name == recording).unwrap();
    let section = found.sections.iter().find(|section| section.name() == I::SCHEMA.name);
    let section = section.unwrap_or_else(|| panic!("{recording}: no {}", I::SCHEMA.name));
    image.decode(&(), section.version, &mut Input::from_slice(&section.body, 0)).unwrap();
    image
}

/// Slots are counted from device number 1 on, as the register at 0x0d says, and a device number has a slot of its own.
#[test]
fn a_device_that_is_plugged_changes_the_register_of_its_slot() {
    for release in RELEASES {
        let empty = decoded(&format!("pc-slots-empty-{release}"), PciBridgeImage::default());
        let plugged = decoded(&format!("pc-slot-3-{release}"), PciBridgeImage::default());
        assert_eq!((empty.shpc.0[0x0c], empty.shpc.0[0x0d]), (31, 1), "{release}: number of slots, first device");
        let changed: Vec<_> = (0..31).filter(|slot| empty.shpc.slot(*slot) != plugged.shpc.slot(*slot)).collect();
        assert_eq!(changed, [3 - 1], "{release}");
        // Bits 10 and 11: no card is there; those of the events are in the upper half.
        let states = [&empty, &plugged].map(|image| image.shpc.slot(2).unwrap());
        assert_eq!(states.map(|state| state >> 10 & 3), [3, 0], "{release}");
        assert_eq!(states.map(|state| state >> 16 & 0x1f), [0, 0xd], "{release}");
        assert_eq!(empty.parent_obj, plugged.parent_obj, "{release}: the configuration space");
    }
}

/// What `recordings/pc-cpu.s` sets.
#[test]
fn what_a_guest_sets_is_in_the_fields_of_its_cpu() {
    for release in RELEASES {
        let cpu = decoded(&format!("pc-cpu-{release}"), CpuImage::default());
        assert_eq!((cpu.star, cpu.kernelgsbase, cpu.tsc_aux), (0x1111, 0x3333, 7), "{release}");
        assert_eq!((cpu.vm_hsave, cpu.vm_vmcb, cpu.regs[4]), (0x10_2000, 0x10_0000, 0x7000), "{release}");
        assert_eq!(cpu.cr0 & 1, 1, "{release}: protected mode");
        // π was stored and popped; 1 is left on the stack of x87, and its mantissa is only the highest bit.
        let one = cpu.fpregs.iter().find(|register| register.exponent == 0x3fff);
        assert_eq!(one.map(|register| register.mantissa), Some(1 << 63), "{release}");
        assert_eq!((cpu.xmm_regs[1].low, cpu.xmm_regs[1].high), (u64::MAX, u64::MAX), "{release}");
        assert_eq!(cpu.msr_smi_count.map(|image| image.msr_smi_count), Some(1), "{release}");
        assert_eq!(cpu.msr_ia32_misc_enable.map(|image| image.msr_ia32_misc_enable), Some(0x85_0089), "{release}");
        assert_eq!(cpu.mpx.map(|image| image.msr_bndcfgs), Some(0x1001), "{release}");
        assert_eq!(cpu.pkru.map(|image| image.pkru), Some(4), "{release}");
        assert_eq!(cpu.tsc_khz.map(|image| image.tsc_khz), Some(1_000_000), "{release}");
        assert_eq!(cpu.svm_npt.map(|image| image.nested_cr3), Some(0x10_1000), "{release}");
        if release != "5.2" {
            assert_eq!(cpu.pkrs.map(|image| image.pkrs), Some(4), "{release}");
            assert!(cpu.svm_guest.is_some() && cpu.fpop_ip_dp.is_some(), "{release}");
        }
    }
}

/// What the steps of recording `pc-busy` write.
#[test]
fn what_is_written_to_ports_is_in_the_fields_of_the_devices() {
    for release in RELEASES {
        let name = format!("pc-busy-{release}");
        assert_eq!(decoded(&name, Port92Image::default()).outport, 2, "{name}");
        let dma = decoded(&name, DmaImage::default());
        assert_eq!((dma.regs[2].base, dma.regs[0].mode & 0xfc), ([0x1234, 0x10], 0x44), "{name}");
        assert_eq!(decoded(&name, Piix3Image::default()).rcr.map(|image| image.rcr), Some(2), "{name}");
        let hpet = decoded(&name, HpetImage::with_timers(3));
        assert_eq!((hpet.config & 3, hpet.timer[0].cmp), (1, 0x1000), "{name}");
        let keyboard = decoded(&name, Ps2KeyboardImage::default());
        assert_eq!((keyboard.scancode_set, keyboard.ledstate.map(|image| image.ledstate)), (2, Some(2)), "{name}");
        let controller = decoded(&name, I8042Image::default());
        assert_eq!((controller.kbd.mode, controller.kbd.outport.map(|image| image.outport & 3)), (0x43, Some(3)));
    }
}

/// What the steps of recording `q35-usb-input` enter: A and shift go down, the pointer goes to (1000, 2000).
#[test]
fn what_a_user_enters_is_in_the_queues_of_usb_devices() {
    for release in RELEASES {
        let name = format!("q35-usb-input-{release}");
        let keyboard = decoded(&name, UsbKeyboardImage::default()).hid;
        assert_eq!((keyboard.head, keyboard.n, &keyboard.keycodes[..3]), (0, 2, &[0x1e, 0x2a, 0][..]), "{name}");
        let pointer = decoded(&name, UsbPointerImage::default()).hid;
        let event = &pointer.queue[pointer.head as usize];
        assert_eq!((pointer.n, event.xdx, event.ydy, event.buttons_state), (1, 1000, 2000, 0), "{name}");
    }
}
