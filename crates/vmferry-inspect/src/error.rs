//! Why a stream could not be analyzed to its end.

use std::io;
use std::path::PathBuf;

use vmferry_wire::{Reason, WireError};

use crate::analysis::Analysis;

/// The analysis stopped before the end of the stream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnalyzeError {
    /// The stream is not one, or is damaged: the peer's fault.
    #[error(transparent)]
    Malformed(Box<Malformed>),
    /// The octets could not be read, or not be kept: the environment's fault.
    #[error("reading the stream failed at offset 0x{offset:x}")]
    Io {
        /// Octets of the stream that were read before.
        offset: u64,
        /// What the operating system says.
        source: io::Error,
    },
    /// A further channel could not be read: the environment's fault.
    #[error("reading channel {channel} failed at offset 0x{offset:x}")]
    ChannelIo {
        /// The channel's name.
        channel: String,
        /// Octets of the channel that were read before.
        offset: u64,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file of extracted RAM could not be written, or one of shared RAM not be read: the environment's fault.
    #[error("extracting RAM failed: {}", path.display())]
    Extract {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// What is wrong with a stream, where, and what was read before.
#[derive(Debug, thiserror::Error)]
#[error("{}at offset 0x{offset:x}{}: {reason}", channel_prefix(channel.as_ref()), section_suffix(section.as_ref()))]
pub struct Malformed {
    /// Name of the channel, if it is not the main one.
    pub channel: Option<String>,
    /// Position in the channel of the octets that were refused.
    pub offset: u64,
    /// Id string and instance id of the section that they belong to.
    pub section: Option<(String, u32)>,
    /// What was found, and what would have been accepted.
    pub reason: StreamFault,
    /// What was read before.
    pub partial: Analysis,
}

fn channel_prefix(channel: Option<&String>) -> String {
    channel.map(|channel| format!("channel {channel}, ")).unwrap_or_default()
}

fn section_suffix(section: Option<&(String, u32)>) -> String {
    section.map(|(idstr, instance_id)| format!(", section {idstr:?} instance {instance_id}")).unwrap_or_default()
}

/// What is wrong with a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamFault {
    /// The octets are no migration stream's.
    #[error("{0}")]
    Wire(Reason),
    /// A part or end of a section that was never started.
    #[error("section id {section_id} was not started; {known} sections were")]
    UnknownSectionId {
        /// The id.
        section_id: u32,
        /// How many ids are bound.
        known: usize,
    },
    /// The `ram` section has a version that is not read.
    #[error("version {found} of the ram section, only 4 is accepted")]
    RamVersion {
        /// The version.
        found: u32,
    },
    /// A page, before the list of blocks.
    #[error("a page before the list of RAM blocks")]
    PageBeforeBlockList,
    /// A page of the block of the previous page, without a previous page.
    #[error("the first page record names no block")]
    ContinueFirst,
    /// A page of a block that is not in the list.
    #[error("RAM block {name:?} is not in the list of blocks")]
    UnknownBlock {
        /// The name.
        name: String,
    },
    /// A page behind the end of its block.
    #[error("page at 0x{page_offset:x} is outside the RAM block {block:?} of 0x{used_bytes:x} octets")]
    PageOutsideBlock {
        /// The block.
        block: String,
        /// Offset in the block.
        page_offset: u64,
        /// Length of the block.
        used_bytes: u64,
    },
    /// A second list of blocks that differs from the first.
    #[error("a second list of RAM blocks differs from the first")]
    BlockListChanged,
    /// Places in a mapped-ram file that cannot be.
    #[error("mapped-ram places of block {block:?} overlap: {what} at 0x{found:x}, expected at least 0x{least:x}")]
    MappedRamOverlap {
        /// The block.
        block: String,
        /// The bitmap or the pages.
        what: &'static str,
        /// The place.
        found: u64,
        /// The first place that would not overlap.
        least: u64,
    },
    /// The name of a RAM block cannot be that of its file.
    #[error("RAM block {block:?} cannot be extracted: a file of its name would leave the folder, or be another's")]
    UnfitFileName {
        /// The block.
        block: String,
    },
    /// A compressed page, or the pages of a packet, cannot be decompressed.
    #[error("the compressed {what} {why}")]
    BadPayload {
        /// The page or the payload of a packet.
        what: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// Two channels have one number.
    #[error("the channel has number {id}, as another one has")]
    ChannelRepeated {
        /// The number.
        id: u8,
    },
    /// More channels than a stream can have.
    #[error("more than {limit} channels")]
    TooManyChannels {
        /// The limit.
        limit: usize,
    },
    /// A channel of multifd that ends inside its first 64 octets.
    #[error("the channel ends inside its handshake of 64 octets")]
    ChannelTooShort,
    /// A further channel that starts as a main one does.
    #[error("the channel is the main channel of a stream")]
    SecondMainChannel,
    /// A second channel that starts as only the preempt channel does.
    #[error("the channel is none of multifd, and the preempt channel is another one")]
    SecondPreemptChannel,
    /// A record that the preempt channel does not have.
    #[error("the preempt channel has a record other than a page and the end")]
    PreemptRecord,
    /// A packet changes how its channel is compressed.
    #[error("a packet is compressed in another way than those before it")]
    CompressionChanged,
    /// A packet of pages before the block list: its reader would not know what to do with them.
    #[error("a packet of pages before the list of RAM blocks")]
    PacketBeforeBlockList,
    /// A package in a package.
    #[error("a package inside a package")]
    NestedPackage,
    /// An element crosses the end of its package.
    #[error("an element passes the end of its package at offset 0x{end:x}")]
    PackageOverrun {
        /// Where the package ends.
        end: u64,
    },
    /// The end of the stream inside a package.
    #[error("the end of the stream inside a package")]
    EndInPackage,
    /// A record of a section with its own format has flags that do not exist.
    #[error("record flags 0x{flags:x} are none of the section's: {accepted}")]
    RecordFlags {
        /// The flags.
        flags: u64,
        /// Those that are accepted.
        accepted: &'static str,
    },
    /// The source marked the section as failed.
    #[error("the source marked this section as failed")]
    SourceFailed,
    /// Octets that a record announces are more than can be.
    #[error("{what} of {found} octets, accepted are up to {max}")]
    TooLong {
        /// The octets.
        what: &'static str,
        /// How many.
        found: u64,
        /// The limit.
        max: u64,
    },
    /// The end of a section that is not described was not found.
    #[error(
        "no end of this section within {limit} octets: it is not described, and no footer with a plausible element \
         behind follows"
    )]
    NoFooterFound {
        /// How far was searched.
        limit: u64,
    },
    /// More sections than are kept.
    #[error("more than {limit} sections")]
    TooManySections {
        /// The limit.
        limit: usize,
    },
}

/// Why a step of the walk stopped.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The input ended.
    Truncated {
        offset: u64,
    },
    Malformed {
        offset: u64,
        reason: StreamFault,
    },
    Io {
        offset: u64,
        source: io::Error,
    },
    Extract {
        path: PathBuf,
        source: io::Error,
    },
    /// Any of the others, in a further channel.
    InChannel {
        channel: String,
        halt: Box<Halt>,
    },
}

impl Halt {
    /// The same, in a further channel.
    #[cold]
    pub(crate) fn in_channel(self, channel: &str) -> Halt {
        match self {
            // No octet of the channel is at fault.
            Halt::Extract { .. } | Halt::InChannel { .. } => self,
            halt => Halt::InChannel { channel: channel.to_owned(), halt: Box::new(halt) },
        }
    }

    #[cold]
    pub(crate) fn malformed(offset: u64, reason: StreamFault) -> Halt {
        Halt::Malformed { offset, reason }
    }

    /// A refusal by a decoder whose input started at `base`.
    #[cold]
    pub(crate) fn wire(base: u64, error: WireError) -> Halt {
        let error = error.at(base);
        Halt::Malformed { offset: error.offset(), reason: StreamFault::Wire(error.reason().clone()) }
    }
}

pub(crate) type Step<T> = Result<T, Halt>;
