//! The migration engine: guest memory, dirty tracking, channels, and both sides of a migration.
//!
//! A virtual machine monitor implements [`Machine`] (stop, start, RAM blocks, dirty log, devices) and holds a
//! [`Migration`], which moves the guest over `unix:`, `tcp:`, `file:`, `fd:` or `exec:` while it runs. The stream is
//! QEMU's. Between two ends of this crate the guest has exactly one owner at every moment, whatever fails ([`protocol`]
//! says how).
//!
//! # Example: a machine of RAM alone moves
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! use vmferry::control::{Event, Owner, RunState};
//! use vmferry::dirty::{DirtyLog, SoftDirtyLog};
//! use vmferry::memory::{MappedBlock, RamBlock};
//! use vmferry::{FIRST_DEVICE_SECTION_ID, Incoming, Machine, Migration};
//! use vmstate::{Refused, Registry};
//!
//! struct Box1 {
//!     ram: Vec<Arc<dyn RamBlock>>,
//!     log: SoftDirtyLog,
//!     devices: Registry,
//!     state: Mutex<RunState>,
//! }
//!
//! impl Box1 {
//!     fn new(state: RunState) -> Result<Arc<Self>, Box<dyn std::error::Error>> {
//!         let block = MappedBlock::new("box.ram", 1 << 20)?;
//!         let log = SoftDirtyLog::new([&block]);
//!         let devices = Registry::new(FIRST_DEVICE_SECTION_ID); // .register(Place::default(), device)?
//!         Ok(Arc::new(Self { ram: vec![Arc::new(block)], log, devices, state: Mutex::new(state) }))
//!     }
//! }
//!
//! impl Machine for Box1 {
//!     fn machine_type(&self) -> &str { "box-1.0" }
//!     fn registry(&self) -> &Registry { &self.devices }
//!     fn ram(&self) -> &[Arc<dyn RamBlock>] { &self.ram }
//!     fn dirty_log(&self) -> &dyn DirtyLog { &self.log }
//!     fn run_state(&self) -> RunState { *self.state.lock().unwrap() }
//!     fn stop(&self, state: RunState) -> Result<RunState, Refused> {
//!         Ok(std::mem::replace(&mut *self.state.lock().unwrap(), state))
//!     }
//!     fn start(&self) -> Result<(), Refused> { *self.state.lock().unwrap() = RunState::Running; Ok(()) }
//!     fn emit(&self, _event: Event) {}
//! }
//!
//! let (here, there) = (Box1::new(RunState::Running)?, Box1::new(RunState::InMigrate)?);
//! here.ram[0].write(0x5000, b"the guest's own")?;
//! let (outgoing, incoming) = (Migration::new(here.clone()), Migration::new(there.clone()));
//! incoming.incoming(&"tcp:127.0.0.1:0".parse()?, Incoming::default())?;
//! outgoing.migrate(&incoming.listening().ok_or("not listening")?)?;
//! outgoing.wait()?;
//! incoming.wait()?;
//! assert_eq!((here.run_state(), there.run_state()), (RunState::PostMigrate, RunState::Running));
//! assert_eq!(outgoing.info().owner, Owner::Destination);
//! let mut arrived = [0; 15];
//! there.ram[0].read(0x5000, &mut arrived)?;
//! assert_eq!(&arrived, b"the guest's own");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does not do
//!
//! It names no device and has no control plane (crate `vmferry-qmp` has one). KVM's dirty logs are in crate
//! `vmferry-vmm`. Postcopy is not there yet.

mod advice;
pub mod channel;
pub mod control;
pub mod convergence;
mod destination;
pub mod dirty;
pub mod dirty_limit;
pub mod dirty_rate;
mod error;
mod machine;
mod mapped_ram;
pub mod memory;
mod migration;
mod panicking;
pub mod protocol;
mod shared;
mod source;

pub use error::{Error, ErrorKind, Side};
pub use machine::{FIRST_DEVICE_SECTION_ID, Machine};
pub use migration::{Incoming, Migration};
