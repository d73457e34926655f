//! A machine that is only memory, for targets that load streams with the engine.

use std::sync::{Arc, Mutex};

use vmferry::control::{Event, RunState};
use vmferry::dirty::{DirtyLog, SoftDirtyLog};
use vmferry::memory::{MappedBlock, RamBlock};
use vmferry::{FIRST_DEVICE_SECTION_ID, Machine};
use vmstate::{Refused, Registry};

/// The least machine: memory, and no device.
pub struct Bare {
    ram: Vec<Arc<dyn RamBlock>>,
    log: SoftDirtyLog,
    devices: Registry,
    state: Mutex<RunState>,
}

impl Bare {
    /// A machine with one block of memory.
    pub fn new(name: &str, bytes: usize, state: RunState) -> Arc<Self> {
        let block = MappedBlock::new(name, bytes).expect("memory can be mapped");
        let log = SoftDirtyLog::new([&block]);
        let devices = Registry::new(FIRST_DEVICE_SECTION_ID);
        Arc::new(Self { ram: vec![Arc::new(block)], log, devices, state: Mutex::new(state) })
    }
}

impl Machine for Bare {
    fn machine_type(&self) -> &str {
        "bare-1.0"
    }

    fn registry(&self) -> &Registry {
        &self.devices
    }

    fn ram(&self) -> &[Arc<dyn RamBlock>] {
        &self.ram
    }

    fn dirty_log(&self) -> &dyn DirtyLog {
        &self.log
    }

    fn run_state(&self) -> RunState {
        *self.state.lock().expect("nobody panics")
    }

    fn stop(&self, state: RunState) -> Result<RunState, Refused> {
        Ok(std::mem::replace(&mut *self.state.lock().expect("nobody panics"), state))
    }

    fn start(&self) -> Result<(), Refused> {
        *self.state.lock().expect("nobody panics") = RunState::Running;
        Ok(())
    }

    fn emit(&self, _event: Event) {}
}
