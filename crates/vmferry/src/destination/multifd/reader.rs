//! The thread of one channel: reads packets, checks them, and fills guest memory.
//!
//! Uncompressed pages go from the socket into guest memory by one vectored read, which takes the next packet's head
//! along, if that is there already. Nothing of a packet reaches memory before all of its head was checked.

use std::io;
use std::sync::Arc;

use vmferry_wire::Decoded;
use vmferry_wire::multifd::{Compression, Packet, PacketPages, RamPacket};
use vmferry_wire::ram::TargetPage;

use super::inflate::{BadPayload, Inflater};
use super::meeting::Meeting;
use crate::channel::Channel;
use crate::control::MultifdCompression;
use crate::destination::held::Held;
use crate::destination::ram::IGNORED;
use crate::destination::reader::mismatch;
use crate::error::{Attribute as _, Doing as _, Error, ErrorKind, Side};
use crate::memory::scattered::Places;
use crate::memory::{RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};

/// Octets of a packet without its payload: 320 and 8 for each of 128 offsets (`docs/spec/multifd.md` section 3).
const PACKET_BYTES: usize = 320 + 8 * 128;

/// Octets of a packet that say of which type it is.
const TYPE_BYTES: usize = 12;

/// Most packets without pages between two meetings. QEMU up to 8.2 sends one behind a SYNC; nobody sends many.
const EMPTY_PACKETS_LIMIT: u32 = 1024;

/// The memory that pages go to.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    pub(super) blocks: Arc<[Arc<dyn RamBlock>]>,
    pub(super) held: Arc<Held>,
}

/// What is done with the packets of one channel.
pub(super) struct Reader {
    id: usize,
    channel: Channel,
    memory: Memory,
    meeting: Arc<Meeting>,
    compression: MultifdCompression,
    inflater: Option<Inflater>,
    payload: Vec<u8>,
    head: [u8; PACKET_BYTES],
    /// Octets of the next packet that are in `head` already.
    ahead: usize,
    /// Octets of the channel before those in `head`.
    offset: u64,
    /// Number of the last packet.
    last: Option<u64>,
    /// The channel had its first SYNC, behind which pages may come.
    is_open: bool,
    empty_packets: u32,
}

impl Reader {
    /// A reader of `channel`, whose first `offset` octets were read.
    pub(super) fn new(
        id: usize,
        channel: Channel,
        offset: u64,
        memory: Memory,
        meeting: Arc<Meeting>,
        compression: MultifdCompression,
    ) -> io::Result<Self> {
        Ok(Self {
            id,
            channel,
            memory,
            meeting,
            compression,
            inflater: Inflater::of(compression)?,
            payload: Vec::new(),
            head: [0; PACKET_BYTES],
            ahead: 0,
            offset,
            last: None,
            is_open: false,
            empty_packets: 0,
        })
    }

    /// Reads until the channel ends, or the load.
    ///
    /// # Errors
    ///
    /// The channel broke, or a packet is malformed or has no place here.
    pub(super) fn run(&mut self) -> Result<(), Error> {
        while self.read_head()? {
            let at = self.offset;
            let packet = self.decode()?;
            self.offset = at.saturating_add(PACKET_BYTES as u64);
            self.ahead = 0;
            self.check_order(at, &packet)?;
            if let Some(pages) = &packet.pages {
                self.take(at, pages)?;
            }
            if packet.is_sync {
                self.is_open = true;
                self.empty_packets = 0;
                if !self.meeting.arrive(self.id) {
                    return Ok(());
                }
            }
        }
        self.meeting.ended(self.id, self.offset);
        Ok(())
    }

    /// Reads up to the end of a packet's head; false if the channel ends before it.
    fn read_head(&mut self) -> Result<bool, Error> {
        while self.ahead < PACKET_BYTES && !self.is_of_device() {
            let room = self.head.get_mut(self.ahead..).unwrap_or_default();
            match self.channel.read(room).doing(Side::Destination, "reading pages")? {
                0 if self.ahead == 0 => return Ok(false),
                0 => return Err(self.truncated(self.ahead as u64)),
                read => self.ahead += read,
            }
        }
        Ok(true)
    }

    /// Whether what is there of a packet says that it is of another type, which may be shorter.
    fn is_of_device(&self) -> bool {
        const DEVICE_STATE: u8 = 0x40;
        self.ahead >= TYPE_BYTES && self.head.get(TYPE_BYTES - 1).is_some_and(|flags| flags & DEVICE_STATE != 0)
    }

    fn decode(&self) -> Result<RamPacket, Error> {
        let at = self.offset;
        if self.is_of_device() {
            return Err(mismatch(at, "a packet", "of a device's state", "of pages: no device takes its state so here"));
        }
        let decoded = Packet::decode(&self.head, TargetPage::KIB_4).map_err(|error| error.at(at));
        match decoded.at(Side::Destination)? {
            Decoded::Complete { value: Packet::Ram(packet), .. } => Ok(packet),
            _ => Err(self.truncated(PACKET_BYTES as u64)),
        }
    }

    /// Numbers of one channel go up; QEMU up to 8.2 repeats that of a SYNC in an empty packet.
    ///
    /// Differs from QEMU: there the number has no meaning, so packets may be repeated and change places.
    fn check_order(&mut self, at: u64, packet: &RamPacket) -> Result<(), Error> {
        let is_empty = packet.pages.is_none() && !packet.is_sync;
        let num = packet.packet_num;
        let is_next = self.last.is_none_or(|last| num > last || (is_empty && num == last));
        if !is_next {
            let accepted = format!("above {}, which came before it", self.last.unwrap_or(0));
            return Err(mismatch(at, "the number of a packet", num.to_string(), accepted));
        }
        self.last = Some(num);
        self.empty_packets += u32::from(is_empty);
        if self.empty_packets > EMPTY_PACKETS_LIMIT {
            let accepted = format!("at most {EMPTY_PACKETS_LIMIT} between two SYNCs");
            return Err(mismatch(at, "a packet", "without pages, one of too many", accepted));
        }
        Ok(())
    }

    fn take(&mut self, at: u64, pages: &PacketPages) -> Result<(), Error> {
        // The main stream has not told of the blocks yet (docs/spec/multifd.md section 6).
        if !self.is_open {
            return Err(mismatch(at, "the first packet", "with pages", "a SYNC"));
        }
        let expected = compression(self.compression);
        if pages.compression != expected {
            let found = format!("{:?}", pages.compression).to_lowercase();
            let accepted = format!("'{}': set multifd-compression alike at both ends", self.compression);
            return Err(mismatch(at, "the compression of a packet", format!("'{found}'"), accepted));
        }
        let Memory { blocks, held } = self.memory.clone();
        let name = pages.block.as_str();
        let found = blocks.iter().enumerate().find(|(_, block)| block.name() == name);
        let (index, block) = found.ok_or_else(|| {
            let names = blocks.iter().map(|block| format!("'{}'", block.name())).collect::<Vec<_>>().join(", ");
            mismatch(at, "the RAM block of a packet", format!("'{name}'"), names)
        })?;
        if held.is_ignored(index) {
            return Err(mismatch(at, "a packet", format!("of block '{name}'"), IGNORED));
        }
        let last = block.used_len().checked_sub(TARGET_PAGE_BYTES);
        let outside = |offset: &&u64| last.is_none_or(|last| **offset > last);
        if let Some(offset) = pages.normal.iter().chain(&pages.zero).find(outside) {
            let accepted = format!("below its length of {:#x}", block.used_len());
            return Err(mismatch(at, "the offset of a page", format!("{offset:#x} in block '{name}'"), accepted));
        }
        self.meeting.took(pages.normal.len(), pages.zero.len())?;
        if pages.compression == Compression::None {
            self.read_pages(index, &**block, &pages.normal)?;
        } else if !pages.normal.is_empty() {
            self.inflate(index, &**block, pages)?;
        }
        pages.zero.iter().try_for_each(|offset| held.clear(index, &**block, *offset))
    }

    /// Reads pages from the channel into guest memory.
    fn read_pages(&mut self, index: usize, block: &dyn RamBlock, offsets: &[u64]) -> Result<(), Error> {
        if offsets.is_empty() {
            return Ok(());
        }
        let mut places = Places::new();
        let follows = |a: &u64, b: &u64| a.checked_add(TARGET_PAGE_BYTES) == Some(*b);
        for chunk in offsets.chunk_by(follows) {
            let first = chunk.first().copied().unwrap_or_default();
            let memory = block.run(first, chunk.len() * TARGET_PAGE).at(Side::Destination)?;
            self.memory.held.populate(index, block, first..first.saturating_add(memory.len() as u64));
            self.memory.held.arrive(index, first, memory.len());
            places.push_guest(&memory);
        }
        let payload = places.bytes();
        places.push_bytes(&mut self.head);
        let left = self.channel.read_scattered(&mut places, PACKET_BYTES).doing(Side::Destination, "reading pages")?;
        if left > PACKET_BYTES {
            let read = (payload + PACKET_BYTES - left) as u64;
            return Err(self.truncated(read));
        }
        self.offset = self.offset.saturating_add(payload as u64);
        self.ahead = PACKET_BYTES - left;
        Ok(())
    }

    fn inflate(&mut self, index: usize, block: &dyn RamBlock, pages: &PacketPages) -> Result<(), Error> {
        // At most 1 MiB, which the packet's decoder saw to.
        self.payload.resize(usize::try_from(pages.payload_bytes).unwrap_or(usize::MAX), 0);
        let mut filled = 0;
        while filled < self.payload.len() {
            let room = self.payload.get_mut(filled..).unwrap_or_default();
            match self.channel.read(room).doing(Side::Destination, "reading pages")? {
                0 => return Err(self.truncated(filled as u64)),
                read => filled += read,
            }
        }
        let at = self.offset;
        let Some(inflater) = &mut self.inflater else { return Ok(()) };
        let octets = inflater.pages(&self.payload, pages.normal.len()).map_err(|BadPayload(why)| {
            mismatch(
                at,
                "the payload of a packet",
                format!("one that {why}"),
                format!("{} whole pages", self.compression),
            )
        })?;
        for (offset, page) in pages.normal.iter().zip(octets.chunks_exact(TARGET_PAGE)) {
            self.memory.held.arrive(index, *offset, TARGET_PAGE);
            block.write(*offset, page).at(Side::Destination)?;
        }
        self.offset = at.saturating_add(u64::from(pages.payload_bytes));
        Ok(())
    }

    fn truncated(&self, read: u64) -> Error {
        Error::new(Side::Destination, ErrorKind::Truncated { offset: self.offset.saturating_add(read) })
    }
}

const fn compression(setting: MultifdCompression) -> Compression {
    match setting {
        MultifdCompression::None => Compression::None,
        MultifdCompression::Zlib => Compression::Zlib,
        MultifdCompression::Zstd => Compression::Zstd,
    }
}
