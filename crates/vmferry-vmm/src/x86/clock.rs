//! KVM's clock, what a guest with `kvmclock` reads: section `kvm_clock`, version 1.
//!
//! | name | octets | what |
//! |---|---|---|
//! | `clock_ns` | 8 | nanoseconds for which the guest has run |
//!
//! It stands while the guest does, as the other virtual clocks do: `KVM_GET_CLOCK` when the last vCPU has parked,
//! `KVM_SET_CLOCK` before the first one runs. KVM could let it go on by the real time that passed
//! (`KVM_CLOCK_REALTIME`, Linux 5.16). That would count the pause of a migration, but a guest that is paused for a day,
//! or restored from a file next week, would find its clock a day or a week ahead at once, and with it its watchdogs; it
//! would also make the guest's time depend on two hosts' real-time clocks. A guest that wants real time has the
//! real-time clock.
//!
//! Source: `Documentation/virt/kvm/api.rst`, sections 4.29 and 4.30.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kvm_bindings::kvm_clock_data;
use kvm_ioctls::VmFd;
use vmstate::{Migrate, Refused, Versions, VmState};

/// The clock of a VM; a handle.
#[derive(Debug, Clone)]
pub(crate) struct KvmClock {
    vm: Arc<VmFd>,
    /// Where it stands, or stood last.
    clock_ns: Arc<Mutex<u64>>,
}

impl KvmClock {
    /// The clock of `vm`, standing at 0.
    pub(crate) fn new(vm: &Arc<VmFd>) -> Self {
        Self { vm: Arc::clone(vm), clock_ns: Arc::default() }
    }

    fn clock_ns(&self) -> MutexGuard<'_, u64> {
        self.clock_ns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets it go on from where it stands.
    pub(crate) fn start(&self) {
        let data = kvm_clock_data { clock: *self.clock_ns(), ..kvm_clock_data::default() };
        if let Err(errno) = self.vm.set_clock(&data) {
            tracing::error!(%errno, "KVM_SET_CLOCK: the guest's clock jumps by the time that it stood");
        }
    }

    /// Stops it.
    pub(crate) fn stop(&self) {
        match self.vm.get_clock() {
            Ok(data) => *self.clock_ns() = data.clock,
            Err(errno) => tracing::error!(%errno, "KVM_GET_CLOCK: the guest's clock falls behind"),
        }
    }
}

/// Image of the clock.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "kvm_clock", version = 1)]
pub(crate) struct KvmClockImage {
    clock_ns: u64,
}

impl Migrate for KvmClock {
    type Image = KvmClockImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<KvmClockImage, Refused> {
        Ok(KvmClockImage { clock_ns: *self.clock_ns() })
    }

    fn template(&self) -> Result<KvmClockImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: KvmClockImage, _: &Versions) -> Result<(), Refused> {
        let KvmClockImage { clock_ns } = image;
        if i64::try_from(clock_ns).is_err() {
            return Err(Refused::new(format!("clock_ns is {clock_ns:#x}; accepted is what is below 2^63")));
        }
        *self.clock_ns() = clock_ns;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    vmstate::vmstate_tests!(KvmClockImage);
}
