//! Virtio devices, on PCI and in memory.
//!
//! The section of a virtio device has one field `virtio`, whose codec is written by hand, so that the description shows
//! nothing inside it. Here it is [`Virtio`], a structure all the way down:
//!
//! ```text
//! transport   PCI: version, configuration space, pins, MSI-X        memory: selectors, page size     transport
//! common      status, interrupts, queue, features, configuration                                     body
//! queues      number; size, address and index of each                                                queue
//! device      what each kind of device has for itself: P of Virtio<P>                                part
//! subsections `virtio/64bit_features`, `virtio/virtqueues`, `virtio/extra_state`, …                  subsections
//! ```
//!
//! | image | section, version | device part |
//! |---|---|---|
//! | [`devices::VirtioRngImage`] | `virtio-rng` 1 | none |
//! | [`devices::VirtioScsiImage`] | `virtio-scsi` 1 | none |
//! | [`devices::VirtioInputImage`] | `virtio-input` 1 | none |
//! | [`devices::Virtio9pImage`] | `virtio-9p` 1 | none |
//! | [`blk::VirtioBlkImage`] | `virtio-blk` 2 | failed requests |
//! | [`net::VirtioNetImage`], [`net::VirtioNet10Image`] | `virtio-net` 11 | addresses, filters, queue pairs; subsection |
//! | [`console::VirtioConsoleImage`] | `virtio-console` 3 | ports |
//! | [`gpu::VirtioVgaImage`] | `virtio-vga` 2 | not one of virtio |
//! | [`gpu::VirtioGpuImage`] | `virtio-gpu` 1 | none; a second field has resources and outputs |
//! | [`mem::VirtioMemImage`], [`mem::VirtioMemEarlyImage`] | `virtio-mem` 1, `virtio-mem-device-early` 1 | sizes, blocks |
//! | [`iommu::VirtioIommuImage`] | `virtio-iommu` 2 | domains |
//! | [`balloon::VirtioBalloonImage`], [`balloon::VirtioBalloon5Image`] | `virtio-balloon` 1 | sizes; subsections |
//!
//! Which transport a section has is told by its place: the device of an image says it, and a reader without a device
//! asks [`Transport::of_idstr`]. All else is in the section.
//!
//! ```
//! use vmstate::{Input, VmState};
//! use vmstate_qemu::virtio::devices::VirtioRngImage;
//! use vmstate_qemu::virtio::{Transport, Virtio};
//!
//! // The body of "virtio-mmio@00000000feb02e00/virtio-rng" of `microvm`, legacy, without driver.
//! let mut body = vec![0; 12 + 4 + 4 + 4];
//! body.extend([0, 0, 0, 1]); // one queue
//! body.extend([0, 0, 0, 8, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
//! let transport = Transport::of_idstr("virtio-mmio@00000000feb02e00/virtio-rng").ok_or("neither PCI nor memory")?;
//! let mut image = VirtioRngImage { virtio: Virtio::on(transport) };
//! image.decode(&(), 1, &mut Input::from_slice(&body, 0))?;
//! assert_eq!((image.virtio.queues[0].size, image.virtio.queues[0].align), (8, Some(4096)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does not do
//!
//! No CCW of s390x, no `vhost-user` device that moves the state of its back end. Rings are in guest memory: that their
//! indices agree with those here is for a device to check.
//!
//! Source: `docs/spec/virtio-state.md` sections 1 to 4; streams of QEMU 5.2 to 11.1.

pub mod balloon;
pub mod blk;
mod body;
pub mod console;
pub mod devices;
pub mod element;
pub mod gpu;
pub mod iommu;
pub mod mem;
pub mod net;
mod part;
mod queue;
pub mod subsections;
mod transport;

pub use body::{CONFIG_OCTETS_MAX, Common, QUEUES_MAX, Virtio};
pub use part::{Around, DevicePart};
pub use queue::{PerQueue, Queue};
pub use transport::{MmioTransport, Msix, NO_VECTOR, PciTransport, Transport};
