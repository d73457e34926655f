//! The version laboratory: several releases of a device set live side by side, and every migration between them is
//! made.
//!
//! A change of a device breaks migration between *two* programs, of which a test of one sees nothing. Here the old
//! releases stay: as modules of the test, as in this crate's own tests, or as dependencies of older versions of the
//! author's crate (`vmm_1_0 = { package = "vmm", version = "=1.0" }`), or at least as streams that they sent
//! ([`Recording`]). Each has its machine types. Then every ordered pair of releases moves every machine type that both
//! have, in every scenario, and chains of migrations follow:
//!
//! ```text
//! build at `from` ─ act ─ observe ─ save ─► load at `to` ─ observe: the same? ─ save ─► load at a third ─ …
//! ```
//!
//! ```
//! # macro_rules! family {
//! #     ($name:ident at $release:literal: $($version:literal),+) => {
//! #         static $name: MachineFamily = MachineFamily::new("board", $release, &[
//! #             $(vmstate::MachineVersion { version: $version, compat: vmstate::compat![] }),+
//! #         ]);
//! #     };
//! # }
//! # macro_rules! device {
//! #     ($device:ty) => {
//! #         impl Migrate for $device {
//! #             type Image = Self;
//! #             type Props = ();
//! #             fn props(&self) {}
//! #             fn snapshot(&self) -> Result<Self, Refused> { Ok(self.clone()) }
//! #             fn template(&self) -> Result<Self, Refused> { Ok(self.clone()) }
//! #             fn restore(&mut self, image: Self, _: &Versions) -> Result<(), Refused> { *self = image; Ok(()) }
//! #         }
//! #     };
//! # }
//! use vmstate::{MachineFamily, Migrate, Place, Refused, Versions, VmState};
//! use vmstate_lab::{Failure, Lab, Machine, Release, Scenario, registers};
//!
//! mod v1_0 {
//! #   use super::*;
//!     #[derive(VmState, Default, Clone)]
//!     #[vmstate(name = "rtc", version = 1)]
//!     pub struct Rtc { pub seconds: u64 }
//! #   family! { FAMILY at "1.0": "1.0" }
//! #   device! { Rtc }
//!     // … `impl Migrate for Rtc`, and `static FAMILY: MachineFamily` with the machine type `board-1.0`
//!     vmstate_lab::registers!(Rtc { seconds });
//!     pub const RELEASE: Release = Release::new("1.0", &FAMILY, &[], |_settings| {
//!         let mut machine = Machine::new();
//!         machine.add("rtc", Place::default(), Rtc::default())?;
//!         Ok(machine)
//!     });
//! }
//!
//! mod v1_1 {
//! #   use super::*;
//!     #[derive(VmState, Default, Clone)]
//!     #[vmstate(name = "rtc", version = 2, min = 1)] // as nobody should do it
//!     pub struct Rtc { pub seconds: u64, #[vmstate(since = 2)] pub alarm: u64 }
//! #   family! { FAMILY at "1.1": "1.1", "1.0" }
//! #   device! { Rtc }
//!     vmstate_lab::registers!(Rtc { seconds, alarm });
//!     pub const RELEASE: Release = Release::new("1.1", &FAMILY, &[], |_settings| {
//!         let mut machine = Machine::new();
//!         machine.add("rtc", Place::default(), Rtc::default())?;
//!         Ok(machine)
//!     });
//! }
//!
//! # fn main() {
//! let report = Lab::new(&[v1_0::RELEASE, v1_1::RELEASE])
//!     .scenario(Scenario::writes("the clock runs", &[("rtc.seconds", 1_700_000_000)]))
//!     .fails(&[Failure {
//!         from: "1.1", to: "1.0", machine: "board-1.0", scenario: "*",
//!         text: "version 2 is too new",
//!         reason: "1.1 raised the version, which gives up migration back to 1.0 for all machine types",
//!     }])
//! #   .octets_differ(&[vmstate_lab::OctetDifference {
//! #       release: "1.1", machine: "board-1.0", scenario: "*", section: "rtc", reason: "as above",
//! #   }])
//!     .run();
//! report.assert(); // prints the matrix if anything is not as the tables say
//! assert_eq!((report.figures.pairs, report.figures.expected_failures), (10, 2));
//! # }
//! ```
//!
//! # What is checked
//!
//! | check | rule (`docs/spec/compat.md`) |
//! |---|---|
//! | each pair works, forward and back, unless it is listed with its error and its reason | section 5, rows 1 to 4 |
//! | what the guest sees is the same; what only the destination has is as at its reset | |
//! | a chain of up to [`HOPS_LIMIT`] hops ends as the direct migration does | section 5, row 6 |
//! | a release sends of an old machine type what the release sent that introduced it, octet for octet | section 5, row 2 |
//! | a refused load leaves the device that refused, and those behind it, as they were | |
//! | saving changes nothing that the guest sees, and gives the same octets again | |
//! | the description behind a stream can be read, lists its sections, and its sizes add up to them | |
//! | guests of an island release are taken with the settings that its table lists ([`vmstate::machine::Island`]) | section 5.1 |
//! | streams that older releases sent load ([`Recording`]) | section 9, rules 1 and 4 |
//! | every release starts each of its machine types | section 9, rule 4 |
//!
//! # How to begin
//!
//! 1. Wrap what builds the devices in a [`Release`]: properties from the settings in, [`Machine`] out.
//! 2. Say what the guest can do and see: [`Guest`] by hand, by [`registers!`], or by [`Observation::of_image`].
//! 3. Write a [`Scenario`] for each part of the state that is not always sent.
//! 4. At each release, keep a [`Recording`] of each machine type, or the release itself as a module or a dependency.
//! 5. Run, and read what is reported. A line in a table is for what cannot be mended; its reason is for whoever asks.
//!
//! # What it does not do
//!
//! No pages move, nothing runs: a scenario is what the guest has done so far. It compares devices of one program with
//! those of another; that QEMU understands them is for recorded streams to show.

mod chains;
mod expected;
mod guest;
mod lab;
mod loading;
mod machine;
mod octets;
mod pairs;
mod recordings;
mod refusal;
mod release;
mod report;
mod running;
mod scenario;

pub use expected::{ChainDifference, Difference, Failure, OctetDifference};
pub use guest::{Guest, Observation, Register, Unsupported};
pub use lab::{CHAINS_LIMIT, HOPS_LIMIT, Lab};
pub use machine::{Machine, RamBlock};
pub use recordings::Recording;
pub use refusal::{Refusal, Side};
pub use release::{Build, BuildError, Reader, Release};
pub use report::{Figures, Report};
pub use running::{Running, SectionOctets, Stream};
pub use scenario::Scenario;
