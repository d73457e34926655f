//! Two ends with devices of a test's own beside the walking guest.

#![allow(dead_code, unreachable_pub, missing_debug_implementations, reason = "each test file uses a part of it")]

use std::sync::{Arc, Mutex};

use vmferry::channel::Uri;
use vmferry::control::{Parameters, RunState};
use vmferry::{FIRST_DEVICE_SECTION_ID, Incoming, Migration};
use vmstate::{Migrate, Place, Refused, Registry, Versions, VmState};

use crate::machine::{TestMachine, Walker};

const BYTES: usize = 4 << 20;

/// A device that is its own image, with the properties that it is given.
#[derive(Clone)]
pub struct Device<I: VmState>(pub I, pub I::Props);

impl<I: VmState<Props: Clone + Send> + Clone + Send + 'static> Migrate for Device<I> {
    type Image = I;
    type Props = I::Props;

    fn props(&self) -> I::Props {
        self.1.clone()
    }

    fn snapshot(&self) -> Result<I, Refused> {
        Ok(self.0.clone())
    }

    fn template(&self) -> Result<I, Refused> {
        Ok(self.0.clone())
    }

    fn restore(&mut self, image: I, _: &Versions) -> Result<(), Refused> {
        self.0 = image;
        Ok(())
    }
}

pub type Shared<I> = Arc<Mutex<Device<I>>>;

pub fn shared<I: VmState<Props = ()>>(image: I) -> Shared<I> {
    Arc::new(Mutex::new(Device(image, ())))
}

pub struct End {
    pub machine: Arc<TestMachine>,
    pub migration: Migration,
    pub registry: Registry,
}

/// A machine with the walker and whatever is registered beside it.
pub fn end(run_state: RunState) -> End {
    let registry = Registry::new(FIRST_DEVICE_SECTION_ID);
    let walker = Arc::new(Mutex::new(Walker::default()));
    registry.register(Place::default(), Arc::clone(&walker)).unwrap();
    let blocks = [("test.ram", BYTES)];
    let machine = TestMachine::with_registry("test-1.0", &blocks, run_state, walker, registry.clone());
    let migration = Migration::new(machine.clone());
    migration.set_parameters(Parameters { max_bandwidth: 0, ..Parameters::default() }).unwrap();
    End { machine, migration, registry }
}

pub fn moved(source: &End, destination: &End) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let uri: Uri = format!("unix:{}/socket", dir.path().display()).parse().unwrap();
    destination.migration.incoming(&uri, Incoming::default()).unwrap();
    source.migration.migrate(&uri).unwrap();
    let outgoing = source.migration.wait().map_err(|error| error.to_string());
    let incoming = destination.migration.wait().map_err(|error| error.to_string());
    incoming.and(outgoing)
}
