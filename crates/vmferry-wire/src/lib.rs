//! QEMU's migration stream as types: octets in, values out, and back.
//!
//! The crate does no I/O, starts no thread, reads no clock and contains no `unsafe`. Every decoder is a function from
//! octets to a [`Decoded`] value or the wish for more octets, so that a socket driver, a file analyzer and a fuzzer use
//! the same code.
//!
//! ```text
//! stream  = header [configuration] *element EOF [vmdescription]        docs/spec/stream.md section 2
//! element = section / command
//! ```
//!
//! | module | covers |
//! |---|---|
//! | [`header`] | magic and version |
//! | [`configuration`] | machine type and what else both sides must agree on |
//! | [`section`] | element types, section headers and footers |
//! | [`command`] | the eleven commands |
//! | [`ram`] | the body of the `ram` section: block list, page records, XBZRLE |
//! | [`multifd`] | handshake and packets of the further channels |
//! | [`globalstate`] | the section that carries the runstate |
//! | [`end`] | what stands behind the end of a stream |
//! | [`description`] | the JSON behind a stream that says what each section holds |
//! | [`return_path`] | messages from the destination to the source |
//! | [`limits`] | what a peer may ask for |
//!
//! # Reading a stream's head
//!
//! ```
//! use vmferry_wire::{Decoded, header::Header, section::{Element, SectionHeader}};
//!
//! let octets = b"QEVM\0\0\0\x03\x04\0\0\0\x07\x05timer\0\0\0\0\0\0\0\x02";
//! let Decoded::Complete { used, .. } = Header::decode(octets)? else { panic!("short") };
//! let Decoded::Complete { value, .. } = Element::decode(&octets[used..])? else { panic!("short") };
//! let Element::Section(SectionHeader::Full { section_id, ident }) = value else { panic!("not a section") };
//! assert_eq!((section_id, ident.idstr.as_str(), ident.version_id), (7, "timer", 2));
//! # Ok::<(), vmferry_wire::WireError>(())
//! ```
//!
//! # What it does not do
//!
//! It does not decode the body of a device section (crate `vmstate` does, or `vmferry-inspect` with the help of the
//! description), does not move pages, and does not compare what it reads with a local machine: that is the engine's.
//!
//! Checked against streams of QEMU 5.2, 7.2, 10.0 and 11.1.

pub mod command;
pub mod configuration;
mod decode;
pub mod description;
pub mod end;
mod error;
pub mod globalstate;
pub mod header;
pub mod limits;
pub mod multifd;
mod name;
pub mod ram;
pub mod return_path;
pub mod section;

pub use decode::{DecodeResult, Decoded};
pub use error::{Reason, WireError};
pub use name::Name;
