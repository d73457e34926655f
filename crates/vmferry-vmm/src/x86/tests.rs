//! A vCPU's state against a real KVM; each test says so and passes where there is none.

use std::sync::Arc;

use vmferry::memory::MappedBlock;
use vmstate::{Input, Migrate as _, Refused, Versions, VmState};

use super::bus::lock;
use super::kvm::host;
use super::machine::{Parts, RAM_BLOCK};
use super::state::msrs::MsrImage;
use super::state::vcpu::VcpuImage;
use crate::accel::KvmOptions;

/// The time stamp counter goes on by itself, and what is derived from it.
const TSC: u32 = 0x10;
const TSC_ADJUST: u32 = 0x3b;

fn parts() -> Option<Parts> {
    match host::open(&KvmOptions::default().device) {
        Ok(kvm) => {
            let ram = MappedBlock::memfd(RAM_BLOCK, 4 << 20).unwrap();
            Some(Parts::make(&kvm, &KvmOptions::default(), ram, 2).unwrap())
        }
        Err(why) => {
            eprintln!("skipped: {why}");
            None
        }
    }
}

fn snapshot(parts: &Parts) -> VcpuImage {
    let mut image = lock(&parts.vcpus[0]).snapshot().unwrap();
    image.msrs.retain(|msr| ![TSC, TSC_ADJUST].contains(&msr.index()));
    image.msr_count = u32::try_from(image.msrs.len()).unwrap();
    image
}

fn restore(parts: &Parts, image: VcpuImage) -> Result<(), Refused> {
    lock(&parts.vcpus[0]).restore(image, &Versions::new(1))
}

/// A state in which no part is what a reset leaves.
fn lived(parts: &Parts) -> VcpuImage {
    let vcpu = lock(&parts.vcpus[0]);
    let fd = &vcpu.fd;
    let mut regs = fd.get_regs().unwrap();
    (regs.rax, regs.r15, regs.rflags) = (0x1111_2222_3333_4444, u64::MAX - 5, 0x246);
    fd.set_regs(&regs).unwrap();
    let mut sregs = fd.get_sregs().unwrap();
    (sregs.cr2, sregs.fs.base, sregs.gs.base) = (0xdead_b000, 0x7000_1000, 0x7000_2000);
    fd.set_sregs(&sregs).unwrap();
    let mut lapic = fd.get_lapic().unwrap();
    // Spurious vector and timer, as the guest program sets them.
    for (at, value) in [(0xf0, 0x1ff_u32), (0x320, 0x2_0040), (0x3e0, 0xb), (0x380, 1_000_000)] {
        for (to, byte) in lapic.regs[at..].iter_mut().zip(value.to_le_bytes()) {
            *to = byte.cast_signed();
        }
    }
    fd.set_lapic(&lapic).unwrap();
    let mut debug = fd.get_debug_regs().unwrap();
    debug.db = [0x1000, 0x2000, 0x3000, 0x4000];
    fd.set_debug_regs(&debug).unwrap();
    let mut events = fd.get_vcpu_events().unwrap();
    events.nmi.masked = 1;
    fd.set_vcpu_events(&events).unwrap();
    // SYSENTER's and SYSCALL's entry points.
    let entries = [MsrImage::new(0x176, 0x1_2345), MsrImage::new(0xc000_0082, 0x6789)];
    super::state::msrs::write(fd, &vcpu.host.msrs.checked(&entries).unwrap()).unwrap();
    let mut xsave = super::kvm::ioctls::get_xsave(fd, vcpu.host.xsave_bytes).unwrap();
    // x87 and SSE in use, with something in the first register of each.
    xsave[512] |= 3;
    xsave[32..42].fill(0x5a);
    xsave[160..176].fill(0xa5);
    super::kvm::ioctls::set_xsave(fd, vcpu.host.xsave_bytes, &xsave).unwrap();
    drop(vcpu);
    snapshot(parts)
}

#[test]
fn every_part_arrives_at_another_vcpu() {
    let (Some(from), Some(to)) = (parts(), parts()) else { return };
    let fresh = snapshot(&to);
    let image = lived(&from);
    assert_ne!(image.regs, fresh.regs);
    assert_ne!(image.sregs, fresh.sregs);
    assert_ne!(image.lapic, fresh.lapic);
    assert_ne!(image.msrs, fresh.msrs);
    assert_ne!(image.xsave, fresh.xsave);
    assert_ne!(image.events, fresh.events);
    assert!(image.debug.is_some() && fresh.debug.is_none());
    restore(&to, image.clone()).unwrap();
    let arrived = snapshot(&to);
    // The timer's current count goes on.
    assert_eq!(without_timer(arrived), without_timer(image));
    restore(&to, fresh.clone()).unwrap();
    assert_eq!(without_timer(snapshot(&to)), without_timer(fresh), "and back");
}

fn without_timer(mut image: VcpuImage) -> VcpuImage {
    image.lapic.clear_current_count();
    image
}

#[test]
fn what_goes_over_the_wire_is_what_is_restored() {
    let Some(parts) = parts() else { return };
    let image = lived(&parts);
    let mut wire = Vec::new();
    image.encode(&(), &mut wire).unwrap();
    let mut decoded = VcpuImage::default();
    decoded.decode(&(), 1, &mut Input::from_slice(&wire, 0)).unwrap();
    assert_eq!(decoded, image);
}

/// A change that makes an image one to be refused.
type Change = fn(&mut VcpuImage);

#[test]
fn a_refused_load_leaves_the_vcpu_as_it_was() {
    let Some(parts) = parts() else { return };
    let image = lived(&parts);
    let changes: [(&str, Change); 6] = [
        ("MSR 0x12345", |image| image.msrs.push(MsrImage::new(0x1_2345, 1))),
        // No canonical address: only the kernel knows, and by then the rest is set.
        ("MSR 0xc0000082", |image| {
            image.msrs.retain(|msr| msr.index() != 0xc000_0082);
            image.msrs.push(MsrImage::new(0xc000_0082, 1 << 62));
        }),
        ("mp_state", |image| image.mp_state = 5),
        ("XSTATE_BV", |image| image.xsave[519] = 0x40),
        ("CPUID", |image| {
            image.cpuid.pop();
        }),
        ("xsave has", |image| image.xsave.truncate(512)),
    ];
    for (name, change) in changes {
        let mut wrong = image.clone();
        // Something of every part differs from what is there.
        wrong.regs = VcpuImage::default().regs;
        wrong.regs.set_flags_for_test();
        change(&mut wrong);
        let refused = restore(&parts, wrong).unwrap_err().to_string();
        assert!(refused.contains(name), "{name}: {refused}");
        assert_eq!(without_timer(snapshot(&parts)), without_timer(image.clone()), "{name}");
    }
    restore(&parts, image).unwrap();
}

#[test]
fn vcpus_have_numbers_of_their_own() {
    let Some(parts) = parts() else { return };
    let first = lock(&parts.vcpus[0]).snapshot().unwrap();
    // An image of one is not loaded by another.
    let refused = lock(&parts.vcpus[1]).restore(first, &Versions::new(1)).unwrap_err().to_string();
    assert!(refused.contains("CPUID 0x1,"), "{refused}");
    assert_eq!(Arc::strong_count(&parts.vcpus[0]), 1);
}
