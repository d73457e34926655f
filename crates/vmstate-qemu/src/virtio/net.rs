//! The network card.
//!
//! Device part, image `virtio-net-device` 11:
//!
//! | field | there |
//! |---|---|
//! | `mac` 6 octets, `tx_waiting` u32 of queue pair 0, `mergeable_rx_bufs` u32, `status` u16, `promisc` u8, `allmulti` u8 | |
//! | `mac_table.in_use` u32, `mac_table.macs` 6 for each | |
//! | `vlans` 512 octets, a bit for each; words of 32 bits in the order of the sender's host | |
//! | `has_vnet_hdr` u32 | |
//! | `multi_overflow`, `uni_overflow`, `alluni`, `nomulti`, `nouni`, `nobcast`, `has_ufo` u8 | |
//! | maximal number of queue pairs u16, those in use u16, `tx_waiting` u32 of the pairs behind 0 that are in use | the maximum is above 1 |
//! | offloads in use u64 | the driver acknowledged `CTRL_GUEST_OFFLOADS` |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `virtio-net-device/rss` 1 in QEMU up to 10, 2 in QEMU 11 | [`Rss10Image`], [`RssImage`] | received packets are spread over queues, or their hash is reported |
//!
//! The maximum is configuration, and the section does not tell it; [`QueuePairs`] says what is done without it. A
//! subsection `virtio-net-device/backend`, of `vhost-user` back ends that move their state, was never seen and is
//! refused.
//!
//! Source: `docs/spec/virtio-state.md` section 4.2; streams of QEMU 5.2 to 11.1.

use vmstate::schema::Kind;
use vmstate::{Input, LoadError, Reason, Refused, SaveError, Sink, VmState, Wire};

use super::body::read;
use super::{Around, DevicePart, QUEUES_MAX, Virtio};
use crate::arrays::Octets;

/// Most entries of the filter of addresses.
pub const MAC_TABLE_MAX: usize = 64;
/// Most queue pairs: each has two queues, and there is one more.
pub const PAIRS_MAX: u16 = 511;
const _: () = assert!(PAIRS_MAX as usize * 2 < QUEUES_MAX);
/// Most entries of the table that hashes choose a queue from.
pub const INDIRECTION_MAX: usize = 128;

/// The section of QEMU 11.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-net", version = 11)]
pub struct VirtioNetImage {
    /// All of it.
    pub virtio: Virtio<NetImage>,
}

/// The section of QEMU up to 10.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-net", version = 11)]
pub struct VirtioNet10Image {
    /// All of it.
    pub virtio: Virtio<Net10Image>,
}

/// The device part of QEMU 11.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-net-device", version = 11)]
pub struct NetImage {
    /// Its fields.
    pub card: CardImage,
    /// Spreading by hashes.
    #[vmstate(subsection)]
    pub rss: Option<RssImage>,
}

/// The device part of QEMU up to 10.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-net-device", version = 11)]
pub struct Net10Image {
    /// Its fields.
    pub card: CardImage,
    /// Spreading by hashes.
    #[vmstate(subsection)]
    pub rss: Option<Rss10Image>,
}

/// The fields of the device part. That they are an image of their own shows nowhere on the wire.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "card", version = 1)]
pub struct CardImage {
    /// Address of the card.
    pub mac: [u8; 6],
    /// Whether a transmission of queue pair 0 waits.
    pub tx_waiting: u32,
    /// Whether received packets may have several buffers.
    pub mergeable_rx_bufs: u32,
    /// Bit 0: the link is up.
    pub status: u16,
    /// Every packet is received.
    pub promisc: u8,
    /// Every multicast packet is received.
    pub allmulti: u8,
    /// Entries of the filter of addresses. Differs from QEMU: it drops those above 64, which no sender has.
    #[vmstate(name = "mac_table.in_use")]
    pub mac_table_in_use: u32,
    /// The filter, unicast first.
    #[vmstate(name = "mac_table.macs", buffer, len = mac_table_in_use, scale = 6, max = MAC_TABLE_MAX * 6)]
    pub mac_table_macs: Vec<u8>,
    /// The filter of VLANs.
    pub vlans: Octets<512>,
    /// The peer takes headers with its packets.
    pub has_vnet_hdr: u32,
    /// Multicast addresses were too many for the filter.
    pub multi_overflow: u8,
    /// Unicast addresses were too many for the filter.
    pub uni_overflow: u8,
    /// Every unicast packet is received.
    pub alluni: u8,
    /// No multicast packet is received.
    pub nomulti: u8,
    /// No unicast packet is received.
    pub nouni: u8,
    /// No broadcast is received.
    pub nobcast: u8,
    /// The peer splits UDP.
    pub has_ufo: u8,
    /// Queue pairs, and offloads behind them.
    pub pairs: QueuePairs,
}

/// Feature bit of offloads that the driver changes.
const CTRL_GUEST_OFFLOADS: u32 = 1 << 2;

impl CardImage {
    fn check(&self, around: Around) -> Result<(), SaveError> {
        if self.pairs.guest_offloads.is_some() == Self::has_offloads(around) {
            return Ok(());
        }
        let refused = Refused::new("there if and only if the driver acknowledged CTRL_GUEST_OFFLOADS");
        Err(SaveError::new(refused).within("card.pairs.guest_offloads"))
    }

    fn has_offloads(around: Around) -> bool {
        around.features & CTRL_GUEST_OFFLOADS != 0
    }
}

macro_rules! card_is_part {
    ($($image:ty),+) => {$(
        impl DevicePart for $image {
            fn write_part(&self, around: Around, sink: &mut dyn Sink) -> Result<(), SaveError> {
                self.card.check(around)?;
                self.encode(&(), sink)
            }

            fn read_part(&mut self, around: Around, input: &mut Input<'_>) -> Result<(), LoadError> {
                self.card.pairs.guest_offloads = CardImage::has_offloads(around).then_some(0);
                self.decode(&(), Self::SCHEMA.version, input)
            }
        }
    )+};
}

card_is_part!(NetImage, Net10Image);

/// How the card's packets are spread, and which offloads are in use.
///
/// The template of a device has its own [`maximum`](Self::maximum). If that is 0, the maximum is taken from the stream:
/// it is 1 if, at the place where the numbers would be or behind the offloads there, stands what follows them, which is
/// a subsection, a section's footer, or nothing. Numbers of queue pairs do not begin with the octets of these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueuePairs {
    /// Most queue pairs of the card, up to [`PAIRS_MAX`]. If it is 1, neither it nor the number in use is on the wire;
    /// 0 is as good as 1 then.
    pub maximum: u16,
    /// Whether a transmission waits, of each pair in use behind pair 0.
    pub tx_waiting: Vec<u32>,
    /// Offloads in use, a bit for each feature; there if the driver acknowledged that it changes them.
    pub guest_offloads: Option<u64>,
}

/// First octets of a subsection and of a section's footer.
const SUBSECTION_MARK: u8 = 0x05;
const FOOTER_MARK: u8 = 0x7e;
/// How a subsection of the card or of its transport goes on.
const SUBSECTION_NAME: &[u8] = b"virtio";

impl QueuePairs {
    /// Whether a card with one pair ends here.
    fn is_single(&self, input: &mut Input<'_>) -> Result<bool, LoadError> {
        let before = if self.guest_offloads.is_some() { 8 } else { 0 };
        let ahead = input.peek(before + 1)?;
        match ahead.get(before) {
            // A card with more pairs has more octets: with fewer than this, either kind is cut.
            None => return Ok(true),
            Some(&FOOTER_MARK) => return Ok(true),
            Some(&SUBSECTION_MARK) => {}
            Some(_) => return Ok(false),
        }
        let ahead = input.peek(before + 2 + SUBSECTION_NAME.len())?;
        let name = ahead.get(before + 2..).unwrap_or_default();
        Ok(SUBSECTION_NAME.starts_with(name))
    }
}

impl Wire for QueuePairs {
    const KIND: Kind = Kind::Codec { name: "queue pairs", octets: None };

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        let in_use = u16::try_from(self.tx_waiting.len()).unwrap_or(u16::MAX).saturating_add(1);
        let maximum = self.maximum.max(1);
        if in_use > maximum || maximum > PAIRS_MAX {
            let text = format!("{in_use} pairs of {maximum}, of which {PAIRS_MAX} are the limit");
            return Err(SaveError::new(Refused::new(text)));
        }
        if maximum > 1 {
            maximum.write_to(sink)?;
            in_use.write_to(sink)?;
            u32::write_all_to(&self.tx_waiting, sink)?;
        }
        self.guest_offloads.map_or(Ok(()), |offloads| offloads.write_to(sink))
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        self.tx_waiting.clear();
        let own = self.maximum;
        if own == 1 || (own == 0 && self.is_single(input)?) {
            self.maximum = 1;
        } else {
            let at = input.offset();
            read(&mut self.maximum, "max_queue_pairs", input)?;
            let refuse = |at, reason, name: &'static str| Err(LoadError::new(at, reason).within(name));
            let found = u64::from(self.maximum);
            if own != 0 && self.maximum != own {
                let reason = Reason::NotEqual { found, expected: own.into(), hint: None };
                return refuse(at, reason, "max_queue_pairs");
            }
            if !(2..=PAIRS_MAX).contains(&self.maximum) {
                return refuse(at, Reason::CountOverLimit { found, limit: PAIRS_MAX.into() }, "max_queue_pairs");
            }
            let at = input.offset();
            let mut in_use = 0_u16;
            read(&mut in_use, "curr_queue_pairs", input)?;
            if in_use == 0 || in_use > self.maximum {
                let reason = Refused::new(format!("{in_use} queue pairs in use, accepted are 1 to {}", self.maximum));
                return refuse(at, Reason::Refused(reason), "curr_queue_pairs");
            }
            self.tx_waiting = vec![0; usize::from(in_use) - 1];
            u32::read_all_from(&mut self.tx_waiting, input).map_err(|error| error.within("tx_waiting"))?;
        }
        self.guest_offloads.as_mut().map_or(Ok(()), |offloads| read(offloads, "guest_offloads", input))
    }
}

/// How received packets are spread over the queues, in QEMU 11.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-net-device/rss", version = 2, min = 1)]
pub struct RssImage {
    /// They are.
    pub enabled: bool,
    /// By the table, and not by the default alone.
    pub redirect: bool,
    /// Hashes are reported to the driver.
    pub populate_hash: bool,
    /// What the driver wants to be hashed, a bit for each kind of packet.
    pub hash_types: u32,
    /// What can be hashed, a bit for each kind of packet.
    #[vmstate(since = 2)]
    pub supported_hash_types: u32,
    /// Entries of the table.
    pub indirections_len: u16,
    /// Queue of packets that are not hashed.
    pub default_queue: u16,
    /// Key of the hash.
    pub key: Octets<40>,
    /// The table: queues.
    #[vmstate(len = indirections_len, max = INDIRECTION_MAX)]
    pub indirections_table: Vec<u16>,
}

/// How received packets are spread over the queues, in QEMU up to 10.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-net-device/rss", version = 1)]
pub struct Rss10Image {
    /// They are.
    pub enabled: bool,
    /// By the table, and not by the default alone.
    pub redirect: bool,
    /// Hashes are reported to the driver.
    pub populate_hash: bool,
    /// What the driver wants to be hashed, a bit for each kind of packet.
    pub hash_types: u32,
    /// Entries of the table.
    pub indirections_len: u16,
    /// Queue of packets that are not hashed.
    pub default_queue: u16,
    /// Key of the hash.
    pub key: Octets<40>,
    /// The table: queues.
    #[vmstate(len = indirections_len, max = INDIRECTION_MAX)]
    pub indirections_table: Vec<u16>,
}
