//! An experiment: what was written to a device's registers is in the fields of their names.
//!
//! The accesses are the steps of the recordings in `tests/data/recordings`; here is what becomes of them in each
//! release.

use vmstate::{Input, VmState};
use vmstate_qemu::arm::pl011::{Pl011Image, Pl011ReadbuffImage};
use vmstate_qemu::arm::smmuv3::Smmuv3Image;
use vmstate_qemu::fw_cfg::FwCfgImage;
use vmstate_qemu::goldfish_rtc::GoldfishRtcImage;
use vmstate_qemu::mc146818rtc::Mc146818RtcImage;
use vmstate_qemu::pci::gpex::GpexRootImage;
use vmstate_qemu::pflash::{BlkWriteImage, PflashCfi01Image};
use vmstate_qemu::riscv::aplic::AplicImage;
use vmstate_qemu::riscv::imsic::ImsicImage;
use vmstate_qemu::riscv::mtimer::MtimerImage;
use vmstate_qemu::riscv::plic::PlicImage;
use vmstate_qemu::riscv::sifive_gpio::SifiveGpioImage;
use vmstate_qemu::riscv::sifive_pwm::SifivePwmImage;
use vmstate_qemu::riscv::sifive_uart::SifiveUartImage;
use vmstate_qemu::sd::sdhci::SdhciImage;
use vmstate_qemu::serial::{IsaSerialImage, SerialImage, SerialMmImage};
use vmstate_qemu::system::clock::TimerImage;
use vmstate_qemu::x86::i8254::PitImage;
use vmstate_qemu::x86::i8259::I8259Image;
use vmstate_qemu::x86::ioapic::IoapicImage;

use crate::recorded::{Recording, recordings_of};

/// The recordings called `name`, one of each release, at least so many.
fn called(name: &str, least: usize) -> Vec<Recording> {
    let is_it = |recording: &Recording| recording.name == format!("{name}-{}", recording.release);
    let found: Vec<_> = recordings_of(name).into_iter().filter(is_it).collect();
    assert!(found.len() >= least, "{} recordings of {name}", found.len());
    found
}

/// The section of this name and instance over the template; nothing if the release does not send it.
fn load<I: VmState<Props = ()>>(recording: &Recording, instance_id: u32, template: I) -> Option<I> {
    let is_it = |device: &vmferry_wire::description::Device| {
        let name = device.idstr.rsplit('/').next().unwrap();
        name == I::SCHEMA.name && device.instance_id == instance_id
    };
    let section = recording.sections.iter().find(|section| is_it(&section.device))?;
    println!("{}: {}", recording.name, section.place());
    let mut image = template;
    image.decode(&(), section.version, &mut Input::from_slice(&section.body, 0)).unwrap();
    Some(image)
}

#[test]
fn devices_of_the_riscv_board() {
    for recording in called("virt-busy", 4) {
        let uart = load(&recording, 0, SerialMmImage { serial: SerialImage::template() }).unwrap().serial;
        assert_eq!((uart.ier, uart.fcr, uart.scr), (0x03, 0xc1, 0x5a));
        assert_eq!(uart.recv_fifo.unwrap().recv_fifo.octets().unwrap(), b"uart");
        // The first of three octets is stuck in the shift register.
        assert_eq!(uart.tsr.unwrap().tsr, b'A');
        assert_eq!(uart.xmit_fifo.unwrap().xmit_fifo.octets().unwrap(), b"BC");
        assert!(uart.fifo_timeout_timer.unwrap().fifo_timeout_timer.0.is_some());

        let (sources, contexts) = if recording.release == "5.2" { (127, 2) } else { (96, 2) };
        let plic = load(&recording, 0, PlicImage::with(sources, contexts)).unwrap();
        assert_eq!((plic.source_priority[10], plic.target_priority[0], plic.enable[0]), (7, 3, 0x400));

        let rtc = load(&recording, 0, GoldfishRtcImage::default()).unwrap();
        assert_eq!((rtc.alarm_next, rtc.irq_enabled), (0x1000, 1));
        if let Some(timer) = load(&recording, 0, MtimerImage::with_harts(1)) {
            assert_eq!(timer.timecmp, [0x12_3456]);
        }
        if let Some(fw_cfg) = load(&recording, 0, FwCfgImage::default()) {
            // Its registers are big-endian.
            assert_eq!((fw_cfg.cur_entry, fw_cfg.cur_offset), (0x0019, 1));
        }
        let root = load(&recording, 0, GpexRootImage::default()).unwrap().parent_obj;
        assert_eq!((&root.config()[..4], root.config()[0x3c]), (&[0x36, 0x1b, 0x08, 0x00][..], 0x55));

        let blk_write = Some(BlkWriteImage::with_octets(4096));
        let flash = load(&recording, 1, PflashCfi01Image { blk_write, ..PflashCfi01Image::default() }).unwrap();
        assert_eq!(flash.cmd, 0xe8);
        // 5.2 writes a block at once and has no such subsection.
        assert_eq!(flash.blk_write.is_some(), recording.release != "5.2");
    }
}

#[test]
fn serial_ports_with_a_terminal() {
    for recording in called("virt-serial-timeout", 4) {
        let uart = load(&recording, 0, SerialMmImage { serial: SerialImage::template() }).unwrap().serial;
        assert_eq!((uart.timeout_ipending.unwrap().timeout_ipending, uart.thr_ipending.unwrap().thr_ipending), (1, 1));
        assert!(uart.poll.is_some());
    }
    for recording in called("microvm-busy", 4) {
        let uart = load(&recording, 0, IsaSerialImage { state: SerialImage::template() }).unwrap().state;
        assert!(uart.recv_fifo.unwrap().recv_fifo.octets().unwrap().starts_with(b"p"));
    }
}

#[test]
fn devices_of_microvm() {
    for recording in called("microvm-busy", 4) {
        let pic = load(&recording, 0, I8259Image::default()).unwrap();
        assert_eq!((pic.irq_base, pic.imr), (0x08, 0xfb));
        // It came after 7.2.
        assert_eq!(pic.ltim.is_some(), !["5.2", "7.2"].contains(&recording.release));

        let pit = load(&recording, 0, PitImage::default()).unwrap();
        assert_eq!((pit.channels[0].count, pit.channels[0].mode, pit.channels[2].mode), (0x2710, 2, 3));

        let rtc = load(&recording, 0, Mc146818RtcImage::default()).unwrap();
        assert_eq!((rtc.cmos_data[0x0a] & 0x7f, rtc.cmos_data[0x0b], rtc.period), (0x26, 0x42, 32));
        assert!(rtc.irq_coalesced > 0 && rtc.irq_reinject_on_ack_count.is_some());

        let ioapic = load(&recording, 0, IoapicImage::default()).unwrap();
        assert_eq!((ioapic.ioregsel, ioapic.ioredtbl[0] & 0xffff), (0x10, 0x0022));
    }
}

#[test]
fn devices_of_sifive_and_of_the_advanced_interrupt_architecture() {
    for recording in called("sifive-u-busy", 3) {
        let gpio = load(&recording, 0, SifiveGpioImage::default()).unwrap();
        assert_eq!((gpio.output_en, gpio.port), (0xff, 0x5));
        let pwm = load(&recording, 0, SifivePwmImage::default()).unwrap();
        assert_eq!((pwm.pwmcfg, pwm.pwmcmp[0]), (0x1010, 0x77));
        let uart = load(&recording, 0, SifiveUartImage::template()).unwrap();
        assert_eq!((uart.txctrl, uart.rxctrl), (1, 1));
        assert_eq!(uart.rx_fifo[..usize::from(uart.rx_fifo_len)], b"sifive"[..]);
    }
    for recording in called("virt-aplic-busy", 3) {
        let aplic = load(&recording, 0, AplicImage::with(97, 1)).unwrap();
        assert_eq!(
            (aplic.domaincfg & 0xffff, aplic.sourcecfg[3], aplic.idelivery[0], aplic.ithreshold[0]),
            (0x100, 6, 1, 5)
        );
    }
    for recording in called("virt-aia-busy", 3) {
        let aplic = load(&recording, 0, AplicImage::with(97, 0)).unwrap();
        assert_eq!((aplic.domaincfg & 0xffff, aplic.sourcecfg[5]), (0x100, 6));
        let imsic = load(&recording, 1, ImsicImage::with(4, 1024)).unwrap();
        assert_eq!((imsic.eidelivery.len(), imsic.eistate.len()), (4, 1024));
    }
}

#[test]
fn sd_controllers_and_arm_devices() {
    for recording in called("virt-sdhci-busy", 4) {
        let sdhci = load(&recording, 0, SdhciImage::with_buffer(512)).unwrap();
        assert_eq!((sdhci.argument, sdhci.cmdreg, sdhci.blksize), (0x1234, 0x081a, 0x200));
    }
    for recording in called("aarch64-virt-busy", 4) {
        let (ibrd, fbrd, lcr, fifo) = if ["5.2", "7.2"].contains(&recording.release) {
            let uart = load(&recording, 0, Pl011ReadbuffImage::default()).unwrap();
            (uart.ibrd, uart.fbrd, uart.lcr, uart.read_fifo)
        } else {
            let uart = load(&recording, 0, Pl011Image::default()).unwrap();
            (uart.ibrd, uart.fbrd, uart.lcr, uart.read_fifo)
        };
        assert_eq!((ibrd, fbrd, lcr, fifo[..3].to_vec()), (3, 5, 0x70, b"arm".map(u32::from).to_vec()));
    }
    for recording in called("aarch64-virt-gicv4", 3) {
        let smmu = load(&recording, 0, Smmuv3Image::default()).unwrap();
        assert_eq!((smmu.cr[0], smmu.irq_ctrl, smmu.strtab_base), (0xd, 1, 0x1234_5000));
        let gbpa = (recording.release != "7.2").then_some(0x10_1234);
        assert_eq!(smmu.gbpa.map(|gbpa| gbpa.gbpa), gbpa);
    }
}

#[test]
fn counted_instructions() {
    for recording in called("virt-icount-fixed", 4) {
        let icount = load(&recording, 0, TimerImage::default()).unwrap().icount.unwrap();
        assert!(icount.qemu_icount > 0 && icount.shift.is_none(), "{icount:?}");
    }
}
