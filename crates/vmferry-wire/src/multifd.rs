//! Multifd: what further channels carry, beside the main one.
//!
//! ```text
//! channel = handshake *( packet payload )
//! ```
//!
//! | octets of the handshake | meaning |
//! |---|---|
//! | 0..4 | magic `11 22 33 44` |
//! | 4..8 | version 1 |
//! | 8..24 | UUID of the VM, zero if it has none |
//! | 24 | number of the channel |
//! | 25..64 | reserved |
//!
//! | octets of a RAM packet | meaning |
//! |---|---|
//! | 0..8 | magic, version |
//! | 8..12 | flags: 0x01 SYNC, 0x3e compression, 0x40 device state (another layout follows) |
//! | 12..16 | pages allocated, at most P |
//! | 16..20 | pages with contents |
//! | 20..24 | octets of the payload |
//! | 24..32 | number of the packet, over all channels |
//! | 32..36 | zero pages |
//! | 36..64 | reserved |
//! | 64..320 | name of the RAM block, padded by NUL |
//! | 320..320+8P | offsets in the block: first the pages with contents, then zero pages |
//!
//! P is what fits 512 KiB: 128 for pages of 4 KiB. Source: `docs/spec/multifd.md` sections 1, 3, 4, 5 and 7.

use crate::decode::{Cursor, DecodeResult, Step, run};
use crate::error::Reason;
use crate::limits::MULTIFD_COMPRESSED_BYTES_LIMIT;
use crate::name::Name;
use crate::ram::TargetPage;

/// The first word of a channel and of every packet.
pub const MULTIFD_MAGIC: u32 = 0x1122_3344;

/// The only version of handshake and packets.
pub const MULTIFD_VERSION: u32 = 1;

/// Octets of a handshake.
pub const HANDSHAKE_BYTES: usize = 64;

/// Octets of pages that one packet may describe.
pub const PACKET_PAGES_BYTES: u64 = 512 << 10;

/// Octets of a RAM packet before its offsets.
const RAM_PACKET_HEAD_BYTES: usize = 320;

const SYNC: u32 = 0x01;
const COMPRESSION: u32 = 0x3e;
const DEVICE_STATE: u32 = 0x40;

/// Octets of a name in a packet.
const NAME_FIELD_BYTES: usize = 256;

/// What a channel starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// UUID of the VM; zero if it was never set.
    pub uuid: [u8; 16],
    /// Number of the channel, from 0.
    pub id: u8,
}

impl Handshake {
    /// Decodes the 64 octets; reserved ones are not looked at.
    ///
    /// # Errors
    ///
    /// Another magic or version.
    pub fn decode(input: &[u8]) -> DecodeResult<Handshake> {
        run(input, |c| {
            magic_and_version(c)?;
            let uuid = c.array()?;
            let id = c.u8()?;
            c.take(HANDSHAKE_BYTES - 25)?;
            Ok(Handshake { uuid, id })
        })
    }

    /// Appends the 64 octets.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MULTIFD_MAGIC.to_be_bytes());
        out.extend_from_slice(&MULTIFD_VERSION.to_be_bytes());
        out.extend_from_slice(&self.uuid);
        out.push(self.id);
        out.extend_from_slice(&[0; HANDSHAKE_BYTES - 25]);
    }
}

/// How the payload of a packet is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// The pages themselves.
    None,
    /// One zlib stream over all packets of the channel.
    Zlib,
    /// One zstd frame over all packets of the channel.
    Zstd,
    /// Raw deflate, page by page.
    Qpl,
    /// zlib, page by page.
    Uadk,
    /// gzip, packet by packet.
    Qatzip,
}

impl Compression {
    const fn flag(self) -> u32 {
        match self {
            Compression::None => 0,
            Compression::Zlib => 0x02,
            Compression::Zstd => 0x04,
            Compression::Qpl => 0x08,
            Compression::Uadk => 0x10,
            Compression::Qatzip => 0x20,
        }
    }

    fn of_flags(flags: u32) -> Option<Compression> {
        [
            Compression::None,
            Compression::Zlib,
            Compression::Zstd,
            Compression::Qpl,
            Compression::Uadk,
            Compression::Qatzip,
        ]
        .into_iter()
        .find(|compression| compression.flag() == flags & COMPRESSION)
    }
}

/// A packet, without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// Pages, or the end of an interval, or both.
    Ram(RamPacket),
    /// State of a device, since QEMU 10.0.
    DeviceState(DeviceStatePacket),
}

/// Pages of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RamPacket {
    /// Whether the channel waits for the others behind this packet. Its pages, if any, come first.
    pub is_sync: bool,
    /// Counts the packets of all channels.
    pub packet_num: u64,
    /// The pages; `None` in a packet that has none, whose other fields are left over from earlier ones.
    pub pages: Option<PacketPages>,
}

/// The pages of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketPages {
    /// The RAM block.
    pub block: Name,
    /// How the payload is compressed.
    pub compression: Compression,
    /// Octets of payload behind the packet.
    pub payload_bytes: u32,
    /// Offsets in the block, in bytes, of the pages in the payload; multiples of the target page.
    pub normal: Vec<u64>,
    /// Offsets of zero pages.
    pub zero: Vec<u64>,
}

/// State of one device, whose meaning only the device knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceStatePacket {
    /// Id string of the section that it belongs to.
    pub idstr: Name,
    /// Instance id of that section.
    pub instance_id: u32,
    /// Octets of state behind the packet.
    pub payload_bytes: u32,
}

/// Offsets in every packet: what fits 512 KiB.
pub fn pages_per_packet(page: TargetPage) -> u32 {
    u32::try_from(PACKET_PAGES_BYTES / page.bytes()).unwrap_or(u32::MAX)
}

impl Packet {
    /// Decodes a packet up to its payload.
    ///
    /// Differs from QEMU: offsets must be multiples of the page, the payload of uncompressed pages must have their
    /// length, that of compressed ones at most [`MULTIFD_COMPRESSED_BYTES_LIMIT`]; QEMU checks none of them
    /// (`docs/spec/multifd.md` sections 3 and 5).
    ///
    /// # Errors
    ///
    /// Another magic or version; more pages than a packet has; an unknown compression of pages; a malformed block name;
    /// what is said above.
    pub fn decode(input: &[u8], page: TargetPage) -> DecodeResult<Packet> {
        run(input, |c| {
            magic_and_version(c)?;
            let flags = c.u32()?;
            if flags & DEVICE_STATE != 0 {
                return device_state(c, flags).map(Packet::DeviceState);
            }
            ram(c, flags, page).map(Packet::Ram)
        })
    }
}

impl RamPacket {
    /// Appends the packet in the form of QEMU 9.0 and later: a SYNC has no pages and no other content. `pages` must not
    /// be more than [`pages_per_packet`]; further offsets are left out.
    pub fn encode(&self, page: TargetPage, out: &mut Vec<u8>) {
        let start = out.len();
        let empty = PacketPages {
            block: Name::from_checked(""),
            compression: Compression::None,
            payload_bytes: 0,
            normal: Vec::new(),
            zero: Vec::new(),
        };
        let pages = self.pages.as_ref().unwrap_or(&empty);
        let count = |offsets: &[u64]| u32::try_from(offsets.len()).unwrap_or(u32::MAX);
        let flags = pages.compression.flag() | if self.is_sync { SYNC } else { 0 };
        let allocated = if self.pages.is_some() { pages_per_packet(page) } else { 0 };
        for word in [MULTIFD_MAGIC, MULTIFD_VERSION, flags, allocated, count(&pages.normal), pages.payload_bytes] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out.extend_from_slice(&self.packet_num.to_be_bytes());
        out.extend_from_slice(&count(&pages.zero).to_be_bytes());
        out.resize(start.saturating_add(64), 0);
        out.extend_from_slice(pages.block.as_bytes());
        out.resize(start.saturating_add(RAM_PACKET_HEAD_BYTES), 0);
        for offset in pages.normal.iter().chain(&pages.zero) {
            out.extend_from_slice(&offset.to_be_bytes());
        }
        out.resize(start.saturating_add(ram_packet_bytes(page)), 0);
    }
}

fn ram_packet_bytes(page: TargetPage) -> usize {
    let pages = usize::try_from(pages_per_packet(page)).unwrap_or(usize::MAX);
    pages.saturating_mul(8).saturating_add(RAM_PACKET_HEAD_BYTES)
}

fn magic_and_version(c: &mut Cursor<'_>) -> Step<()> {
    let magic = c.u32()?;
    c.expect("the magic of a multifd channel", u64::from(magic), u64::from(MULTIFD_MAGIC), 4)?;
    let version = c.u32()?;
    c.expect("the version of a multifd channel", u64::from(version), u64::from(MULTIFD_VERSION), 4)
}

fn device_state(c: &mut Cursor<'_>, flags: u32) -> Step<DeviceStatePacket> {
    c.expect("SYNC with device state", u64::from(flags & SYNC), 0, 4)?;
    let idstr = padded_name(c, "section")?;
    let instance_id = c.u32()?;
    let payload_bytes = c.u32()?;
    if payload_bytes == 0 {
        let reason =
            Reason::OutOfRange { what: "the length of device state", found: 0, min: 1, max: u64::from(u32::MAX) };
        return Err(c.refuse_back(4, reason));
    }
    Ok(DeviceStatePacket { idstr, instance_id, payload_bytes })
}

fn ram(c: &mut Cursor<'_>, flags: u32, page: TargetPage) -> Step<RamPacket> {
    let limit = pages_per_packet(page);
    let allocated = counted(c, "the pages that a packet has room for", limit)?;
    let normal_pages = counted(c, "the pages with contents in a packet", allocated)?;
    let payload_bytes = c.u32()?;
    let packet_num = c.u64()?;
    let zero_pages = counted(c, "the zero pages in a packet", allocated.saturating_sub(normal_pages))?;
    c.take(28)?;
    let is_sync = flags & SYNC != 0;
    if normal_pages == 0 && zero_pages == 0 {
        // Up to QEMU 8.2 everything else is left over from the packet before.
        c.take(ram_packet_bytes(page).saturating_sub(64))?;
        return Ok(RamPacket { is_sync, packet_num, pages: None });
    }
    let Some(compression) = Compression::of_flags(flags) else {
        let what = "the compression of a packet";
        let reason =
            Reason::OutOfRange { what, found: u64::from(flags & COMPRESSION), min: 0, max: u64::from(COMPRESSION) };
        return Err(c.refuse_back(56, reason));
    };
    check_payload(c, compression, normal_pages, payload_bytes, page)?;
    let block = padded_name(c, "RAM block")?;
    let normal = offsets(c, normal_pages, page)?;
    let zero = offsets(c, zero_pages, page)?;
    let unused = limit.saturating_sub(normal_pages).saturating_sub(zero_pages);
    c.take(usize::try_from(unused).unwrap_or(usize::MAX).saturating_mul(8))?;
    let pages = PacketPages { block, compression, payload_bytes, normal, zero };
    Ok(RamPacket { is_sync, packet_num, pages: Some(pages) })
}

fn counted(c: &mut Cursor<'_>, what: &'static str, max: u32) -> Step<u32> {
    let found = c.u32()?;
    if found <= max {
        return Ok(found);
    }
    Err(c.refuse_back(4, Reason::OutOfRange { what, found: u64::from(found), min: 0, max: u64::from(max) }))
}

fn check_payload(
    c: &Cursor<'_>,
    compression: Compression,
    normal_pages: u32,
    payload_bytes: u32,
    page: TargetPage,
) -> Step<()> {
    // The length stands 44 octets before the name, where the cursor is.
    const BACK: u64 = 44;
    let whole = u64::from(normal_pages).saturating_mul(page.bytes());
    let found = u64::from(payload_bytes);
    if compression == Compression::None || normal_pages == 0 {
        return c.expect("the length of a packet's payload", found, whole, BACK);
    }
    let max = MULTIFD_COMPRESSED_BYTES_LIMIT;
    if found == 0 || found > max {
        let what = "the length of a packet's compressed payload";
        return Err(c.refuse_back(BACK, Reason::OutOfRange { what, found, min: 1, max }));
    }
    Ok(())
}

fn padded_name(c: &mut Cursor<'_>, what: &'static str) -> Step<Name> {
    let field: [u8; NAME_FIELD_BYTES] = c.array()?;
    let text = field.split(|octet| *octet == 0).next().unwrap_or_default();
    let back = u64::try_from(NAME_FIELD_BYTES).unwrap_or(0);
    Name::check(text, what).map(Name::from_checked).map_err(|reason| c.refuse_back(back, reason))
}

fn offsets(c: &mut Cursor<'_>, count: u32, page: TargetPage) -> Step<Vec<u64>> {
    let mut offsets = Vec::new();
    for _ in 0..count {
        let offset = c.u64()?;
        c.expect("the low bits of a page's offset", offset & page.flag_mask(), 0, 8)?;
        offsets.push(offset);
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: TargetPage = TargetPage::KIB_4;

    fn pages(normal: &[u64], zero: &[u64]) -> PacketPages {
        PacketPages {
            block: Name::new("pc.ram", "RAM block").unwrap(),
            compression: Compression::None,
            payload_bytes: u32::try_from(normal.len()).unwrap() * 4096,
            normal: normal.to_vec(),
            zero: zero.to_vec(),
        }
    }

    fn encoded(packet: &RamPacket) -> Vec<u8> {
        let mut out = Vec::new();
        packet.encode(PAGE, &mut out);
        out
    }

    fn decoded(octets: &[u8]) -> RamPacket {
        match Packet::decode(octets, PAGE).unwrap().complete().unwrap() {
            (Packet::Ram(packet), used) => {
                assert_eq!(used, 1344);
                packet
            }
            (Packet::DeviceState(packet), _) => panic!("{packet:?}"),
        }
    }

    #[test]
    fn the_verified_handshake_is_read_and_written() {
        let uuid = *b"\0\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
        let handshake = Handshake { uuid, id: 0 };
        let mut out = Vec::new();
        handshake.encode(&mut out);
        assert_eq!(out[..24], *[&b"\x11\x22\x33\x44\0\0\0\x01"[..], &uuid].concat());
        assert_eq!(Handshake::decode(&out).unwrap().complete().unwrap(), (handshake, 64));
        assert!(Handshake::decode(b"QEVM\0\0\0\x03").is_err());
    }

    #[test]
    fn the_verified_data_packet_is_read_and_written() {
        // docs/spec/multifd.md section 3: 3 pages with contents, 125 zero pages, 12288 octets follow.
        let zero: Vec<u64> = (3..128).map(|page| page * 4096).collect();
        let packet = RamPacket { is_sync: false, packet_num: 2, pages: Some(pages(&[0, 4096, 8192], &zero)) };
        let octets = encoded(&packet);
        assert_eq!(
            octets[..40],
            *b"\x11\x22\x33\x44\0\0\0\x01\0\0\0\0\0\0\0\x80\0\0\0\x03\0\0\x30\0\0\0\0\0\0\0\0\x02\0\0\0\x7d\0\0\0\0"
        );
        assert_eq!(decoded(&octets), packet);
    }

    #[test]
    fn a_packet_without_pages_may_hold_anything_else() {
        let mut octets = encoded(&RamPacket { is_sync: true, packet_num: 7, pages: Some(pages(&[0], &[])) });
        octets[16..20].copy_from_slice(&[0; 4]);
        octets[20..24].copy_from_slice(&[0xff; 4]);
        octets[64..].fill(0xff);
        assert_eq!(decoded(&octets), RamPacket { is_sync: true, packet_num: 7, pages: None });
    }

    #[test]
    fn counts_names_and_offsets_that_cannot_be_are_refused() {
        let good = encoded(&RamPacket { is_sync: false, packet_num: 0, pages: Some(pages(&[0], &[4096])) });
        for (at, octets, offset) in [
            (12, &b"\0\0\0\x81"[..], 12),
            (16, b"\0\0\0\x81", 16),
            (32, b"\0\0\0\x80", 32),
            (20, b"\0\0\x10\x01", 20),
            (8, b"\0\0\0\x02\0\0\0\x80\0\0\0\x01\0\x10\0\x01", 20),
            (8, b"\0\0\0\x06", 8),
            (64, b"\0", 64),
            (320, b"\0\0\0\0\0\0\0\x05", 320),
            (328, b"\0\0\0\0\0\0\x10\x01", 328),
        ] {
            let mut bad = good.clone();
            bad[at..at + octets.len()].copy_from_slice(octets);
            let error = Packet::decode(&bad, PAGE).unwrap_err();
            assert_eq!(error.offset(), offset, "{error}");
        }
    }

    #[test]
    fn device_state_has_its_own_layout() {
        let mut octets = b"\x11\x22\x33\x44\0\0\0\x01\0\0\0\x40".to_vec();
        octets.extend_from_slice(b"0000:00:03.0/vfio");
        octets.resize(12 + 256, 0);
        octets.extend_from_slice(b"\0\0\0\x02\0\0\x10\0");
        let (packet, used) = Packet::decode(&octets, PAGE).unwrap().complete().unwrap();
        let Packet::DeviceState(packet) = packet else { panic!("{packet:?}") };
        assert_eq!((packet.idstr.as_str(), packet.instance_id, packet.payload_bytes), ("0000:00:03.0/vfio", 2, 4096));
        assert_eq!(used, 276);
        octets[11] |= 1;
        assert!(Packet::decode(&octets, PAGE).is_err(), "a barrier is no device's");
    }

    #[test]
    fn every_prefix_asks_for_more() {
        let octets = encoded(&RamPacket { is_sync: true, packet_num: 1, pages: Some(pages(&[0], &[])) });
        for cut in 0..octets.len() {
            let decoded = Packet::decode(&octets[..cut], PAGE).unwrap();
            assert!(matches!(decoded, crate::Decoded::NeedMore { total } if total > cut), "{cut}");
        }
    }
}
