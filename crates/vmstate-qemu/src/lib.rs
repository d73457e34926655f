//! Images of QEMU's own devices: what their sections hold, declared with [`vmstate::VmState`].
//!
//! Each image decodes the sections that real QEMUs wrote and encodes them to the same octets. `docs/qemu-devices.md`
//! has the table of images and releases, made by the test that does so for every recorded section, and the list of
//! sections without an image.
//!
//! ```
//! use vmstate::{Input, VmState};
//! use vmstate_qemu::serial::{SerialImage, SerialMmImage};
//!
//! // The body of section "serial", version 3, of `qemu-system-riscv64 -M virt`.
//! let body = [0x00, 0x0c, 0x00, 0x00, 0x01, 0x00, 0x08, 0x60, 0xb0, 0x00, 0x00];
//! let mut image = SerialMmImage { serial: SerialImage::template() };
//! image.decode(&(), 3, &mut Input::from_slice(&body, 0))?;
//! assert_eq!((image.serial.divider, image.serial.lsr), (12, 0x60));
//! # Ok::<(), vmstate::LoadError>(())
//! ```
//!
//! Fields have the names of QEMU's descriptions and schema dumps, and subsections are optional as they are there. What
//! is configuration (numbers of lines, of harts, of vectors) is a `local` field, and the image has a constructor
//! that makes the template of a device so configured.
//!
//! # Where the layouts come from
//!
//! From streams that unmodified QEMUs wrote, from the descriptions behind them, from `-dump-vmstate`, and from
//! experiments, never from QEMU's sources. Where releases differ under one version of the section, or keep no older
//! layout loadable, there is an image for each layout, with the release that it was seen in.
//!
//! # What it does not do
//!
//! There is no device behind the images: nothing here knows what a register means, and values are not checked.

pub mod acpi;
pub mod arm;
pub mod arrays;
pub mod audio;
pub mod cadence_gem;
pub mod display;
pub mod fw_cfg;
pub mod goldfish_rtc;
pub mod i2c;
pub mod ide;
pub mod mc146818rtc;
pub mod net;
pub mod pci;
pub mod pflash;
pub mod riscv;
pub mod sd;
pub mod serial;
pub mod ssi;
pub mod system;
pub mod usb;
pub mod virtio;
pub mod watchdog;
pub mod x86;
