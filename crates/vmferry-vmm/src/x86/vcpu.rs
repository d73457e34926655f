//! The vCPUs' threads: each runs its vCPU while the machine runs, and parks in between.
//!
//! To get a vCPU out of its guest, `immediate_exit` is set, which ends the next attempt to enter, and its thread is
//! sent a signal, which ends the present one. Before a thread parks it enters once more with `immediate_exit` set: KVM
//! then completes the access to a device that was under way, which would be lost otherwise.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kvm_ioctls::VcpuExit;
use vmm_sys_util::signal::{Killable as _, SIGRTMIN, register_signal_handler};

use super::bus::{Devices, lock};
use super::dirty_ring::{EXIT_RING_FULL, KvmDirtyRing};
use super::kvm::mapping::VcpuMapping;
use super::state::vcpu::KvmVcpu;
use crate::run_control::{Halt, RunControl};
use crate::throttle;

/// How long a vCPU sleeps before it looks whether it still has to.
const SLEEP_PIECE: Duration = Duration::from_millis(50);

/// The way to get the vCPUs out of their guest.
#[derive(Debug)]
pub(crate) struct Kicker {
    pages: Vec<VcpuMapping>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Kicker {
    /// For the vCPUs whose first pages are `pages`, in their order.
    pub(crate) fn new(pages: Vec<VcpuMapping>) -> Self {
        Self { pages, threads: Mutex::default() }
    }

    /// Gets all out, and keeps them from entering.
    pub(crate) fn kick(&self) {
        self.pages.iter().for_each(|page| set_immediate_exit(page, true));
        self.interrupt();
    }

    /// Gets those out that are in their guest now.
    pub(crate) fn interrupt(&self) {
        for thread in &*self.threads.lock().unwrap_or_else(PoisonError::into_inner) {
            // A thread that has ended needs no signal.
            if let Err(errno) = thread.kill(SIGRTMIN()) {
                tracing::debug!(%errno, "a vCPU's thread could not be signalled");
            }
        }
    }
}

fn set_immediate_exit(page: &VcpuMapping, on: bool) {
    if let Some(byte) = page.immediate_exit() {
        byte.store(u8::from(on), Ordering::SeqCst);
    }
}

/// The signal only has to interrupt: a handler that does nothing keeps it from ending the process.
extern "C" fn on_kick(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

fn take_signal() -> io::Result<()> {
    static TAKEN: Once = Once::new();
    let mut result = Ok(());
    TAKEN.call_once(|| result = register_signal_handler(SIGRTMIN(), on_kick));
    result.map_err(io::Error::from)
}

/// The threads; they end with this.
#[derive(Debug)]
pub(crate) struct VcpuThreads {
    control: Arc<RunControl>,
    kicker: Arc<Kicker>,
}

/// What a vCPU's thread works with.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) control: Arc<RunControl>,
    pub(crate) devices: Devices,
    pub(crate) ring: Option<Arc<KvmDirtyRing>>,
}

impl VcpuThreads {
    /// Starts a thread for each of `vcpus`, parked.
    pub(crate) fn spawn(kicker: Arc<Kicker>, vcpus: &[Arc<Mutex<KvmVcpu>>], work: &Work) -> io::Result<Self> {
        take_signal()?;
        let threads = Self { control: Arc::clone(&work.control), kicker };
        for (index, vcpu) in vcpus.iter().enumerate() {
            let (vcpu, work, kicker) = (Arc::clone(vcpu), work.clone(), Arc::clone(&threads.kicker));
            let thread = thread::Builder::new().name(format!("vcpu{index}")).spawn(move || {
                let Some(page) = kicker.pages.get(index) else { return };
                while work.control.park() {
                    set_immediate_exit(page, false);
                    let halt = run(&mut lock(&vcpu), index, &work, page);
                    lock(&work.devices.uart).flush();
                    if let Some(halt) = halt {
                        work.control.halt(halt);
                    }
                }
            })?;
            threads.kicker.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(threads)
    }
}

impl Drop for VcpuThreads {
    fn drop(&mut self) {
        self.control.quit();
        let threads = std::mem::take(&mut *self.kicker.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads.into_iter().filter(|thread| thread.thread().id() != thread::current().id()) {
            // A panic of the guest's thread was printed; here the machine only ends.
            let _ = thread.join();
        }
    }
}

/// Gets vCPUs that are throttled out of their guest every now and then, so that they look whether to sleep.
#[derive(Debug)]
pub(crate) struct Throttler {
    control: Arc<RunControl>,
    kicker: Arc<Kicker>,
    /// Whether the thread runs.
    runs: Arc<Mutex<bool>>,
}

impl Throttler {
    /// For the vCPUs of `control` and `kicker`.
    pub(crate) fn new(control: Arc<RunControl>, kicker: Arc<Kicker>) -> Self {
        Self { control, kicker, runs: Arc::default() }
    }

    /// Throttles to this percentage from now on.
    ///
    /// # Errors
    ///
    /// The thread that this needs cannot be started.
    pub(crate) fn set(&self, percent: u8) -> io::Result<()> {
        self.control.throttle.set(percent);
        let mut runs = lock(&self.runs);
        if !self.control.throttle.is_on() || *runs {
            return Ok(());
        }
        let (control, kicker, runs_still) =
            (Arc::clone(&self.control), Arc::clone(&self.kicker), Arc::clone(&self.runs));
        // It ends by itself once nobody is throttled, at the latest when the machine ends.
        thread::Builder::new().name("throttle".to_owned()).spawn(move || {
            loop {
                thread::sleep(throttle::RUN);
                let mut runs = lock(&runs_still);
                if !control.throttle.is_on() {
                    *runs = false;
                    return;
                }
                kicker.interrupt();
            }
        })?;
        *runs = true;
        Ok(())
    }
}

impl Drop for Throttler {
    fn drop(&mut self) {
        self.control.throttle.set(0);
    }
}

/// How an entry into the guest ended.
enum Left {
    /// By a signal, or before it began.
    Interrupted,
    /// With something that was done.
    Done,
    /// For good.
    Halted(Halt),
}

/// Runs until the thread is to park or the vCPU halts.
fn run(vcpu: &mut KvmVcpu, index: usize, work: &Work, page: &VcpuMapping) -> Option<Halt> {
    let mut halt = None;
    let mut runs_since = Instant::now();
    while halt.is_none() && !work.control.must_park() {
        if let Some(pause) = work.control.throttle.sleep(runs_since) {
            work.control.sleep(pause);
            runs_since = Instant::now();
        }
        if let Left::Halted(why) = enter(vcpu, index, work) {
            halt = Some(why);
        }
    }
    set_immediate_exit(page, true);
    // An access that crosses a page is completed in two parts.
    while halt != Some(Halt::Stuck) {
        match enter(vcpu, index, work) {
            Left::Interrupted => break,
            Left::Done => {}
            Left::Halted(why) => halt = Some(why),
        }
    }
    halt
}

/// Enters the guest once.
fn enter(vcpu: &mut KvmVcpu, index: usize, work: &Work) -> Left {
    let stuck = |why: &dyn std::fmt::Debug| {
        tracing::error!(?why, "a vCPU cannot go on");
        Left::Halted(Halt::Stuck)
    };
    match vcpu.fd.run() {
        Ok(VcpuExit::MmioRead(address, data)) => {
            work.devices.load(address, data);
            Left::Done
        }
        Ok(VcpuExit::MmioWrite(address, data)) => work.devices.store(address, data).map_or(Left::Done, Left::Halted),
        // There are no ports: reads find all bits set, writes do nothing.
        Ok(VcpuExit::IoIn(_, data)) => {
            data.fill(0xff);
            Left::Done
        }
        Ok(VcpuExit::IoOut(..) | VcpuExit::IrqWindowOpen | VcpuExit::IoapicEoi(_)) => Left::Done,
        Ok(VcpuExit::Unsupported(EXIT_RING_FULL)) => match &work.ring {
            Some(ring) => match ring.ring_is_full(index) {
                Ok(()) => {
                    sleep_for_limit(ring, index, &work.control);
                    Left::Done
                }
                Err(error) => stuck(&error),
            },
            None => stuck(&"a dirty ring is full, and there is none"),
        },
        Ok(VcpuExit::Intr) => Left::Interrupted,
        Err(errno) if errno.errno() == libc::EINTR || errno.errno() == libc::EAGAIN => Left::Interrupted,
        Ok(other) => stuck(&other),
        Err(errno) => stuck(&errno),
    }
}

/// Holds a vCPU up whose ring was full, as its dirty limit asks for; in pieces, since the limit may be lifted.
fn sleep_for_limit(ring: &KvmDirtyRing, index: usize, control: &RunControl) {
    let since = Instant::now();
    loop {
        let rest = ring.sleep_of(index).saturating_sub(since.elapsed());
        if rest.is_zero() || control.must_park() {
            return;
        }
        control.sleep(rest.min(SLEEP_PIECE));
    }
}
