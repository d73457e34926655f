//! Declared device state for virtual machines: versioned, checkable, loadable for years.
//!
//! What goes over the wire is an *image*: a plain struct that derives [`VmState`]. The device makes one
//! ([`Migrate::snapshot`]) and takes one over ([`Migrate::restore`]), so that the wire does not move when the device is
//! refactored, and a refused load leaves the device as it was. The octets are those of QEMU's migration stream.
//!
//! ```
//! use vmstate::{Properties, VmState};
//!
//! #[derive(Properties, Clone)]
//! #[properties(device = "uart")]
//! struct UartProps {
//!     #[property(default = true)] // `compat![("uart", "migrate-fifo", "off")]` turns it off for old machine types
//!     migrate_fifo: bool,
//! }
//! #[derive(VmState, Default)]
//! #[vmstate(name = "uart", version = 2, min = 1, props = UartProps)]
//! struct UartImage {
//!     control: u8,
//!     #[vmstate(since = 2)] // a sender at version 1 lacks it, and still loads
//!     divider: u16,
//!     #[vmstate(subsection, gate = migrate_fifo)] // sent if there is something in it and the property is on
//!     fifo: Option<FifoImage>,
//! }
//! #[derive(VmState, Default)]
//! #[vmstate(name = "uart/fifo", version = 1)]
//! struct FifoImage {
//!     used: u8,
//!     #[vmstate(buffer, len = used, max = 16)] // a stream that says 17 is refused
//!     octets: Vec<u8>,
//! }
//! ```
//!
//! The device converts, and refuses what makes no sense before it changes anything:
//!
//! ```
//! use vmstate::{Migrate, Refused, Versions};
//! # use vmstate::{Properties, VmState};
//! # #[derive(Properties, Clone)]
//! # #[properties(device = "uart")]
//! # struct UartProps {
//! #     #[property(default = true)]
//! #     migrate_fifo: bool,
//! # }
//! # #[derive(VmState, Default)]
//! # #[vmstate(name = "uart", version = 2, min = 1, props = UartProps)]
//! # struct UartImage {
//! #     control: u8,
//! #     #[vmstate(since = 2)]
//! #     divider: u16,
//! #     #[vmstate(subsection, gate = migrate_fifo)]
//! #     fifo: Option<FifoImage>,
//! # }
//! # #[derive(VmState, Default)]
//! # #[vmstate(name = "uart/fifo", version = 1)]
//! # struct FifoImage {
//! #     used: u8,
//! #     #[vmstate(buffer, len = used, max = 16)]
//! #     octets: Vec<u8>,
//! # }
//!
//! struct Uart {
//!     props: UartProps,
//!     control: u8,
//!     divider: u16,
//!     fifo: Vec<u8>,
//! }
//!
//! impl Migrate for Uart {
//!     type Image = UartImage;
//!     type Props = UartProps;
//!
//!     fn props(&self) -> UartProps {
//!         self.props.clone()
//!     }
//!
//!     fn snapshot(&self) -> Result<UartImage, Refused> {
//!         let Self { props: _, control, divider, fifo } = self;
//!         let used = u8::try_from(fifo.len()).map_err(|_| Refused::new("FIFO overflows"))?;
//!         let fifo = (used > 0).then(|| FifoImage { used, octets: fifo.clone() });
//!         Ok(UartImage { control: *control, divider: *divider, fifo })
//!     }
//!
//!     fn template(&self) -> Result<UartImage, Refused> {
//!         Ok(UartImage { divider: 1, ..UartImage::default() }) // what a field that an old sender lacks stays at
//!     }
//!
//!     fn restore(&mut self, image: UartImage, _received: &Versions) -> Result<(), Refused> {
//!         let UartImage { control, divider, fifo } = image;
//!         if divider == 0 {
//!             return Err(Refused::new("divider 0, accepted are 1 to 65535"));
//!         }
//!         *self = Self { props: self.props.clone(), control, divider, fifo: fifo.map_or(vec![], |fifo| fifo.octets) };
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use vmstate::{Input, Place, Registry};
//!
//! let uart = Uart { props: UartProps::default(), control: 3, divider: 12, fifo: b"hi".to_vec() };
//! let devices = Registry::new(0);
//! let entry = devices.register(Place::default(), uart)?;
//! let section = entry.section();
//! let mut octets = Vec::new();
//! section.save()?.ok_or("always needed")?.encode(&mut octets)?;
//! assert_eq!(octets, b"\x03\x00\x0c\x05\x09uart/fifo\0\0\0\x01\x02hi");
//!
//! section.load(2, &mut Input::from_slice(&octets, 0))?.commit()?;
//! let cut = section.load(2, &mut Input::from_slice(&octets[..19], 0)).err().ok_or("truncated")?;
//! assert_eq!(cut.to_string(), "uart.uart/fifo.octets at byte 0x13: stream ends: needs 2 bytes, 0 left");
//! # Ok(())
//! # }
//! ```
//!
//! # What is where
//!
//! | | |
//! |---|---|
//! | [`macro@VmState`], [`image`], [`wire`] | images and what a field may be; `docs/fields.md` has them all, with QEMU's names |
//! | [`codecs`], [`parts`] | timers, floating point, target longs; clocks, periodic timers, FIFOs |
//! | [`Migrate`], [`Registry`] | devices, and where they stand in a machine |
//! | [`macro@Properties`], [`machine`] | what a machine type may turn off, and the versions of a machine |
//! | [`schema`], [`lint`] | the description as data, and the rules it must keep |
//! | [`Sink`], [`describe`] | where octets go, and the description that trails a stream |
//! | [`Input`], [`LoadError`] | where octets come from, and where and why they were refused |
//! | `testkit` (feature) | generated tests of images and devices |
//!
//! # What it does not do
//!
//! No I/O, no threads, no framing of sections (that is `vmferry-wire`), no guest memory (that is `vmferry`). Of QEMU's
//! field forms, file descriptors are not here yet (`fd` is a compile error), and temporary structures have no need:
//! `snapshot` computes what they would hold.
//!
//! Checked against `docs/spec/vmstate.md`, whose examples were produced by QEMU 5.2, 10.0 and 11.1; each deliberate
//! difference is marked `Differs from QEMU:`.

// Derived code names this crate; so do the images in it.
extern crate self as vmstate;

pub mod codecs;
mod containers;
#[doc(hidden)]
pub mod derived;
pub mod describe;
pub mod error;
mod guard;
pub mod image;
pub mod input;
pub mod lint;
pub mod machine;
pub mod migrate;
pub mod parts;
pub mod props;
pub mod registry;
pub mod schema;
pub mod sink;
mod subsection;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod wire;

pub use describe::{DescribeSink, Description};
pub use error::{LoadError, Reason, Refused, SaveError};
pub use image::{Upgrade, VmState};
pub use input::Input;
pub use machine::{Compat, MachineFamily, MachineType, MachineVersion, Settings};
pub use migrate::{Migrate, Unmigratable, Versions};
pub use props::Properties;
pub use registry::{Place, Registry};
pub use schema::{Priority, Schema};
pub use sink::Sink;
pub use wire::Wire;

pub use vmstate_derive::{Properties, PropertyEnum, VmState};
