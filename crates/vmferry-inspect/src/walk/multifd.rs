//! Multifd: packets of pages on further channels, up to where the main channel waits for them.
//!
//! ```text
//!  main       START … flush EOS    PART … flush EOS    …    END … flush EOS
//!                       │                   │                        │
//!  channel 0  handshake SYNC  packet packet SYNC   packet            SYNC
//!  channel 1  handshake SYNC  packet        SYNC                     SYNC
//! ```
//!
//! Where the main channel has no flush records (QEMU before 8.1, and its machine types since) every end of a RAM
//! section is such a place. Between two of them packets are taken in the order of their numbers, over all channels: a
//! page may be sent twice, on two channels, and the later packet is nearly always the newer one.
//!
//! Source: `docs/spec/multifd.md` sections 3 and 6.

use std::collections::{BTreeSet, HashSet};

use vmferry_wire::multifd::{Compression, Handshake, Packet, PacketPages, RamPacket};
use vmferry_wire::ram::PageKind;

use crate::dialect::Dialect;
use crate::error::{Halt, Step, StreamFault};
use crate::inflate::PayloadDecoder;
use crate::limits::CHANNEL_COUNT_LIMIT;
use crate::reader::StreamReader;
use crate::walk::ram::RamWalk;

/// The channels of a stream; none if they were not given.
#[derive(Default)]
pub(super) struct Multifd<'a> {
    channels: Vec<MultifdChannel<'a>>,
    /// Whether the main channel tells by records where it waits; known at the end of its first RAM section.
    has_flush_records: Option<bool>,
    has_flush_in_section: bool,
    /// From postcopy on, pages are on the main channel.
    pub(super) is_over: bool,
    /// The main channel is read: channels may end.
    is_finishing: bool,
    /// Where a channel ended early.
    pub(super) cut: Option<ChannelCut>,
    compressions: BTreeSet<Compression>,
    device_state: DeviceState,
    pages_behind: u64,
}

/// State of devices on channels, which is not decoded.
#[derive(Default)]
struct DeviceState {
    packets: u64,
    bytes: u64,
}

/// A channel that ends before the main one.
#[derive(Clone, Debug)]
pub(super) struct ChannelCut {
    pub(super) channel: String,
    /// Position in the channel.
    pub(super) offset: u64,
}

/// One channel.
struct MultifdChannel<'a> {
    name: String,
    id: u8,
    uuid: [u8; 16],
    reader: StreamReader<'a>,
    decoder: Option<(Compression, Option<PayloadDecoder>)>,
    /// The packet ahead, with its position.
    ahead: Option<(u64, RamPacket)>,
    is_synced: bool,
    is_ended: bool,
}

impl<'a> Multifd<'a> {
    pub(super) fn is_given(&self) -> bool {
        !self.channels.is_empty()
    }

    /// Octets that were read of all channels.
    pub(super) fn read_bytes(&self) -> u64 {
        self.channels.iter().map(|channel| channel.reader.position()).fold(0, u64::saturating_add)
    }

    /// Takes a channel whose first octets are a handshake's.
    pub(super) fn add(&mut self, name: &str, mut reader: StreamReader<'a>) -> Step<()> {
        let handshake = reader.decode(Handshake::decode).map_err(|halt| halt.in_channel(name))?;
        let Handshake { uuid, id } = handshake;
        if self.channels.iter().any(|channel| channel.id == id) {
            return Err(Halt::malformed(24, StreamFault::ChannelRepeated { id }).in_channel(name));
        }
        if self.channels.len() >= CHANNEL_COUNT_LIMIT {
            let limit = CHANNEL_COUNT_LIMIT;
            return Err(Halt::malformed(0, StreamFault::TooManyChannels { limit }).in_channel(name));
        }
        self.channels.push(MultifdChannel {
            name: name.to_owned(),
            id,
            uuid,
            reader,
            decoder: None,
            ahead: None,
            is_synced: false,
            is_ended: false,
        });
        Ok(())
    }

    /// What is odd about the channels as a whole; `uuid` is what the configuration tells.
    pub(super) fn oddities(&self, uuid: Option<[u8; 16]>) -> Vec<String> {
        let mut texts = Vec::new();
        let ids: HashSet<_> = self.channels.iter().map(|channel| channel.id).collect();
        let last = ids.iter().max().copied().unwrap_or(0);
        let missing: Vec<_> = (0..last).filter(|id| !ids.contains(id)).map(|id| id.to_string()).collect();
        if !missing.is_empty() {
            texts.push(format!("of the multifd channels up to {last} these were not given: {}", missing.join(", ")));
        }
        let mut uuids: HashSet<_> = self.channels.iter().map(|channel| channel.uuid).collect();
        uuids.extend(uuid.filter(|_| self.is_given()));
        if uuids.len() > 1 {
            texts.push("the channels belong to different machines: their UUIDs differ".to_owned());
        }
        if self.pages_behind > 0 {
            let pages = self.pages_behind;
            texts.push(format!("{pages} pages are on channels behind the last place where the main channel waits"));
        }
        let DeviceState { packets, bytes } = self.device_state;
        if packets > 0 {
            texts.push(format!("{packets} packets of device state ({bytes} octets) are on channels, not decoded"));
        }
        texts
    }

    /// The words for what the channels are compressed by.
    pub(super) fn dialects(&self) -> impl Iterator<Item = Dialect> + '_ {
        self.compressions.iter().filter_map(|compression| match compression {
            Compression::None => None,
            Compression::Zlib => Some(Dialect::MultifdZlib),
            Compression::Zstd => Some(Dialect::MultifdZstd),
            Compression::Qpl => Some(Dialect::MultifdQpl),
            Compression::Uadk => Some(Dialect::MultifdUadk),
            Compression::Qatzip => Some(Dialect::MultifdQatzip),
        })
    }

    /// The main channel has a flush record: all channels are read up to their SYNC.
    pub(super) fn flush(&mut self, ram: &mut RamWalk, at: u64) -> Step<()> {
        self.has_flush_in_section = true;
        self.barrier(ram, at)
    }

    /// A section of the main channel ends, which is a place to wait where there are no flush records.
    pub(super) fn section_ends(&mut self, ram: &mut RamWalk, at: u64) -> Step<()> {
        let has_records = *self.has_flush_records.get_or_insert(self.has_flush_in_section);
        if has_records { Ok(()) } else { self.barrier(ram, at) }
    }

    fn barrier(&mut self, ram: &mut RamWalk, at: u64) -> Step<()> {
        if self.is_over || self.cut.is_some() || self.channels.is_empty() {
            return Ok(());
        }
        self.interval(ram)?;
        if let Some(cut) = &self.cut {
            let text = format!("channel {} ends before this place, where the main channel waits for it", cut.channel);
            ram.oddities.push((at, text));
        }
        Ok(())
    }

    /// Reads what is behind the last place where the main channel waited.
    pub(super) fn finish(&mut self, ram: &mut RamWalk) -> Step<()> {
        let before = ram.channel_pages;
        self.is_finishing = true;
        while self.cut.is_none() && self.channels.iter().any(|channel| !channel.is_ended) {
            self.interval(ram)?;
        }
        self.pages_behind = ram.channel_pages.saturating_sub(before);
        Ok(())
    }

    /// Remembers where a channel ends early.
    pub(super) fn cut_at(&mut self, channel: &str, offset: u64) {
        self.cut.get_or_insert(ChannelCut { channel: channel.to_owned(), offset });
    }

    /// Takes packets in the order of their numbers until every channel has had its SYNC.
    fn interval(&mut self, ram: &mut RamWalk) -> Step<()> {
        for channel in &mut self.channels {
            channel.is_synced = false;
        }
        loop {
            let mut next: Option<(u64, usize)> = None;
            for i in 0..self.channels.len() {
                let Some(packet_num) = self.packet_ahead(i, ram)? else { continue };
                if next.is_none_or(|(least, _)| packet_num < least) {
                    next = Some((packet_num, i));
                }
            }
            let Some((_, i)) = next.filter(|_| self.cut.is_none()) else { return Ok(()) };
            self.take(i, ram)?;
            if self.cut.is_some() {
                return Ok(());
            }
        }
    }

    /// Number of the packet ahead of a channel that has not had its SYNC.
    fn packet_ahead(&mut self, i: usize, ram: &RamWalk) -> Step<Option<u64>> {
        let Some(channel) = self.channels.get_mut(i) else { return Ok(None) };
        if channel.is_synced || channel.is_ended {
            return Ok(None);
        }
        if let Some((_, packet)) = &channel.ahead {
            return Ok(Some(packet.packet_num));
        }
        match channel.look_ahead(ram, &mut self.device_state) {
            Ok(true) => Ok(channel.ahead.as_ref().map(|(_, packet)| packet.packet_num)),
            Ok(false) if self.is_finishing => Ok(None),
            Ok(false) => {
                let offset = channel.reader.position();
                cut_or_fail(&mut self.cut, Halt::Truncated { offset }, &channel.name).map(|()| None)
            }
            Err(halt) => cut_or_fail(&mut self.cut, halt, &channel.name).map(|()| None),
        }
    }

    /// Takes the packet ahead of a channel with its pages.
    fn take(&mut self, i: usize, ram: &mut RamWalk) -> Step<()> {
        let Some(channel) = self.channels.get_mut(i) else { return Ok(()) };
        let Some((at, packet)) = channel.ahead.take() else { return Ok(()) };
        if let Some(pages) = &packet.pages {
            self.compressions.insert(pages.compression);
            if let Err(halt) = channel.pages(at, pages, ram) {
                return cut_or_fail(&mut self.cut, halt, &channel.name);
            }
        }
        channel.is_synced = packet.is_sync;
        Ok(())
    }
}

/// A channel that ends is remembered, anything else that is wrong with it is an error.
fn cut_or_fail(cut: &mut Option<ChannelCut>, halt: Halt, channel: &str) -> Step<()> {
    match halt {
        Halt::Truncated { offset } => {
            cut.get_or_insert(ChannelCut { channel: channel.to_owned(), offset });
            Ok(())
        }
        halt => Err(halt.in_channel(channel)),
    }
}

impl MultifdChannel<'_> {
    /// Reads the next packet that is not of device state; `false` if the channel ends.
    fn look_ahead(&mut self, ram: &RamWalk, device_state: &mut DeviceState) -> Step<bool> {
        loop {
            let at = self.reader.position();
            if !self.reader.fill(1)? {
                self.is_ended = true;
                return Ok(false);
            }
            match self.reader.decode(|octets| Packet::decode(octets, ram.page))? {
                Packet::Ram(packet) => {
                    self.ahead = Some((at, packet));
                    return Ok(true);
                }
                Packet::DeviceState(packet) => {
                    let bytes = u64::from(packet.payload_bytes);
                    device_state.packets = device_state.packets.saturating_add(1);
                    device_state.bytes = device_state.bytes.saturating_add(bytes);
                    self.reader.skip(bytes)?;
                }
            }
        }
    }

    fn pages(&mut self, at: u64, pages: &PacketPages, ram: &mut RamWalk) -> Step<()> {
        if ram.entries.is_none() {
            return Err(Halt::malformed(at, StreamFault::PacketBeforeBlockList));
        }
        let block = ram.find_block(at, &pages.block)?;
        for (offsets, kind) in [(&pages.normal, PageKind::Normal), (&pages.zero, PageKind::Zero)] {
            for offset in offsets {
                // The payload is counted as a whole: of compressed pages nothing tells what one took.
                ram.page(at, block, *offset, kind, 0)?;
            }
        }
        if let Some(block) = ram.blocks.get_mut(block) {
            block.count_contents(u64::from(pages.payload_bytes));
        }
        ram.channel_pages = ram
            .channel_pages
            .saturating_add(u64::try_from(pages.normal.len().saturating_add(pages.zero.len())).unwrap_or(0));
        self.payload(pages, block, ram)?;
        pages.zero.iter().try_for_each(|offset| ram.clear(block, *offset))
    }

    fn payload(&mut self, pages: &PacketPages, block: usize, ram: &mut RamWalk) -> Step<()> {
        if pages.normal.is_empty() {
            return Ok(());
        }
        let at = self.reader.position();
        if pages.compression == Compression::None && ram.files.is_none() {
            return self.reader.skip(u64::from(pages.payload_bytes));
        }
        let payload_bytes = usize::try_from(pages.payload_bytes).unwrap_or(usize::MAX);
        if !self.reader.fill(payload_bytes)? {
            return Err(self.reader.truncated());
        }
        if self.decoder.is_none() {
            let made = PayloadDecoder::of(pages.compression).map_err(|source| Halt::Io { offset: at, source })?;
            self.decoder = Some((pages.compression, made));
        }
        let payload = self.reader.buffered().get(..payload_bytes).unwrap_or_default();
        let page_bytes = ram.page.usize_bytes();
        let octets = match &mut self.decoder {
            Some((compression, _)) if *compression != pages.compression => {
                return Err(Halt::malformed(at, StreamFault::CompressionChanged));
            }
            Some((_, Some(decoder))) => {
                let decoded = decoder.decode(payload, pages.normal.len(), page_bytes);
                let refused = |why: crate::inflate::BadPayload| {
                    Halt::malformed(at, StreamFault::BadPayload { what: "payload of a packet", why: why.text() })
                };
                decoded.map_err(refused)?
            }
            _ => payload,
        };
        for (offset, page) in pages.normal.iter().zip(octets.chunks_exact(page_bytes)) {
            ram.store(block, *offset, page)?;
        }
        self.reader.consume(payload_bytes);
        Ok(())
    }
}
