//! The vCPU as a device: its parts in the order in which KVM wants them read and set.
//!
//! Order of reading: the MP state first, since reading it lets the local APIC accept pending INIT and SIPI; the events
//! last, since reading the local APIC may change what is pending. Order of setting: the special registers before the
//! local APIC, whose base they have; the local APIC before the MSRs, of which one is its timer's deadline; the general
//! registers before the events, since setting them drops a pending exception; the MP state at the end, since the
//! special registers may change it.

use std::sync::Arc;

use kvm_bindings::{
    CpuId, kvm_debugregs, kvm_lapic_state, kvm_mp_state, kvm_msr_entry, kvm_regs, kvm_sregs, kvm_vcpu_events, kvm_xcrs,
};
use kvm_ioctls::VcpuFd;
use vmstate::{Migrate, Refused, Versions, VmState};

use super::cpuid::{self, CPUID_MAX, CpuidImage};
use super::debug::DebugImage;
use super::events::EventsImage;
use super::expect_at_most;
use super::extended::{XCRS_MAX, XSAVE_BYTES_MAX, XcrImage, check_xsave, checked_xcrs, xcr_images};
use super::lapic::LapicImage;
use super::msrs::{self, MSRS_MAX, MsrImage, MsrSet};
use super::registers::RegistersImage;
use super::segments::SpecialRegistersImage;
use crate::x86::kvm::ioctls::{get_xsave, set_xsave};

/// Runnable, uninitialised, INIT received, halted, SIPI received.
const MP_STATE_MAX: u64 = 4;

/// What a host offers its vCPUs.
#[derive(Debug)]
pub(crate) struct HostCpu {
    pub(crate) msrs: MsrSet,
    /// Bytes of an XSAVE area.
    pub(crate) xsave_bytes: usize,
    /// Components that XCR0 may have.
    pub(crate) xcr0: u64,
}

/// A vCPU with its descriptor. While it runs, its thread has it.
#[derive(Debug)]
pub(crate) struct KvmVcpu {
    pub(crate) fd: VcpuFd,
    pub(crate) cpuid: CpuId,
    pub(crate) host: Arc<HostCpu>,
}

/// Image of a vCPU.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "x86_vcpu", version = 1)]
pub(crate) struct VcpuImage {
    pub(in crate::x86) cpuid_count: u32,
    #[vmstate(len = cpuid_count, max = CPUID_MAX)]
    pub(in crate::x86) cpuid: Vec<CpuidImage>,
    pub(in crate::x86) regs: RegistersImage,
    pub(in crate::x86) sregs: SpecialRegistersImage,
    pub(in crate::x86) xcr_count: u32,
    #[vmstate(len = xcr_count, max = XCRS_MAX)]
    pub(in crate::x86) xcrs: Vec<XcrImage>,
    pub(in crate::x86) xsave_bytes: u32,
    #[vmstate(buffer, len = xsave_bytes, max = XSAVE_BYTES_MAX)]
    pub(in crate::x86) xsave: Vec<u8>,
    pub(in crate::x86) lapic: LapicImage,
    pub(in crate::x86) msr_count: u32,
    #[vmstate(len = msr_count, max = MSRS_MAX)]
    pub(in crate::x86) msrs: Vec<MsrImage>,
    pub(in crate::x86) events: EventsImage,
    pub(in crate::x86) mp_state: u32,
    #[vmstate(subsection)]
    pub(in crate::x86) debug: Option<DebugImage>,
}

/// Everything that is set, checked.
struct Checked {
    regs: kvm_regs,
    sregs: kvm_sregs,
    xcrs: kvm_xcrs,
    xsave: Vec<u8>,
    lapic: kvm_lapic_state,
    msrs: Vec<kvm_msr_entry>,
    events: kvm_vcpu_events,
    mp_state: kvm_mp_state,
    debug: kvm_debugregs,
}

fn failed(what: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> Refused {
    move |errno| Refused::new(format!("{what}: {errno}"))
}

/// A number of entries, which are far fewer than 2^32.
fn count<T>(entries: &[T]) -> u32 {
    u32::try_from(entries.len()).unwrap_or(u32::MAX)
}

impl KvmVcpu {
    fn read(&self) -> Result<VcpuImage, Refused> {
        let Self { fd, cpuid, host } = self;
        let mp_state = fd.get_mp_state().map_err(failed("KVM_GET_MP_STATE"))?.mp_state;
        let regs = fd.get_regs().map_err(failed("KVM_GET_REGS"))?;
        let sregs = fd.get_sregs().map_err(failed("KVM_GET_SREGS"))?;
        let xcrs = fd.get_xcrs().map_err(failed("KVM_GET_XCRS"))?;
        let xsave = get_xsave(fd, host.xsave_bytes).map_err(|error| Refused::new(format!("KVM_GET_XSAVE: {error}")))?;
        let debug = fd.get_debug_regs().map_err(failed("KVM_GET_DEBUGREGS"))?;
        let msrs = host.msrs.read(fd)?;
        let lapic = fd.get_lapic().map_err(failed("KVM_GET_LAPIC"))?;
        let events = fd.get_vcpu_events().map_err(failed("KVM_GET_VCPU_EVENTS"))?;
        let (cpuid, xcrs) = (cpuid::images(cpuid), xcr_images(&xcrs));
        Ok(VcpuImage {
            cpuid_count: count(&cpuid),
            cpuid,
            regs: regs.into(),
            sregs: sregs.into(),
            xcr_count: count(&xcrs),
            xcrs,
            xsave_bytes: count(&xsave),
            xsave,
            lapic: lapic.into(),
            msr_count: count(&msrs),
            msrs,
            events: events.into(),
            mp_state,
            debug: DebugImage::of(&debug),
        })
    }

    fn check(&self, image: VcpuImage) -> Result<Checked, Refused> {
        let Self { fd: _, cpuid: here, host } = self;
        let VcpuImage {
            cpuid_count: _,
            cpuid,
            regs,
            sregs,
            xcr_count: _,
            xcrs,
            xsave_bytes: _,
            xsave,
            lapic,
            msr_count: _,
            msrs,
            events,
            mp_state,
            debug,
        } = image;
        cpuid::expect_same(&cpuid, &cpuid::images(here))?;
        expect_at_most("mp_state", mp_state, MP_STATE_MAX)?;
        check_xsave(&xsave, host.xsave_bytes, host.xcr0)?;
        Ok(Checked {
            regs: regs.checked()?,
            sregs: sregs.checked()?,
            xcrs: checked_xcrs(&xcrs, host.xcr0)?,
            xsave,
            lapic: lapic.into(),
            msrs: host.msrs.checked(&msrs)?,
            events: events.checked()?,
            mp_state: kvm_mp_state { mp_state },
            debug: DebugImage::checked(debug)?,
        })
    }

    fn write(&self, state: &Checked) -> Result<(), Refused> {
        let Self { fd, cpuid: _, host } = self;
        let Checked { regs, sregs, xcrs, xsave, lapic, msrs, events, mp_state, debug } = state;
        fd.set_sregs(sregs).map_err(failed("sregs: KVM_SET_SREGS"))?;
        fd.set_xcrs(xcrs).map_err(failed("xcrs: KVM_SET_XCRS"))?;
        set_xsave(fd, host.xsave_bytes, xsave)
            .map_err(|error| Refused::new(format!("xsave: KVM_SET_XSAVE: {error}")))?;
        fd.set_regs(regs).map_err(failed("regs: KVM_SET_REGS"))?;
        fd.set_debug_regs(debug).map_err(failed("debug: KVM_SET_DEBUGREGS"))?;
        fd.set_lapic(lapic).map_err(failed("lapic: KVM_SET_LAPIC"))?;
        msrs::write(fd, msrs)?;
        fd.set_vcpu_events(events).map_err(failed("events: KVM_SET_VCPU_EVENTS"))?;
        fd.set_mp_state(*mp_state).map_err(failed("mp_state: KVM_SET_MP_STATE"))
    }
}

impl Migrate for KvmVcpu {
    type Image = VcpuImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<VcpuImage, Refused> {
        self.read()
    }

    fn template(&self) -> Result<VcpuImage, Refused> {
        Ok(VcpuImage::default())
    }

    fn restore(&mut self, image: VcpuImage, _: &Versions) -> Result<(), Refused> {
        let wanted = self.check(image)?;
        let before = self.check(self.read()?)?;
        self.write(&wanted).inspect_err(|_| {
            if let Err(refused) = self.write(&before) {
                tracing::error!(%refused, "a vCPU is not what it was before a refused load");
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    vmstate::vmstate_tests!(VcpuImage);
}
