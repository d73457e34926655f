//! Small devices on the ISA bus and on its ports.
//!
//! | image | section, version | fields |
//! |---|---|---|
//! | [`DmaImage`] | `dma` 1, instance 0 and 1 | `command`, `mask`, `flip_flop` u8; `dshift` i32; `regs`, four [`DmaChannelImage`] (since 1) |
//! | [`DmaChannelImage`] | `dma_regs` 1, within it | `now` i32 × 2; `base` u16 × 2; `mode`, `page`, `pageh`, `dack`, `eop` u8 |
//! | [`Port92Image`] | `port92` 1 | `outport` u8 |
//! | [`PcSpeakerImage`] | `pcspk` 1 | `data_on`, `dummy_refresh_clock` u8 |
//! | [`ParallelImage`] | `parallel_isa` 1 | `state.dataw`, `state.datar`, `state.status`, `state.control` u8; `state.irq_pending`, `state.epp_timeout` i32 |
//! | [`VmMouseImage`] | `vmmouse` 0 | `queue_size` i32, must be equal; `queue` u32 × 1024; `nb_queue`, `status` u16; `absolute` u8 |
//! | [`ApmImage`] | `APM State` 1, in others | `apmc`, `apms` u8 |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`, `q35`), and their schema dumps.

use vmstate::VmState;

use crate::arrays::Table;

/// The 8257 DMA controller, of which a PC has two: the second one has channels of 16 bits.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "dma", version = 1)]
pub struct DmaImage {
    /// Command register.
    pub command: u8,
    /// Channels that are masked, a bit for each.
    pub mask: u8,
    /// Which half of an address or count comes next.
    pub flip_flop: u8,
    /// By how many bits addresses are shifted: 0 or 1.
    pub dshift: i32,
    /// The channels.
    #[vmstate(since = 1)]
    pub regs: [DmaChannelImage; 4],
}

/// A channel.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "dma_regs", version = 1)]
pub struct DmaChannelImage {
    /// Address and count as they are.
    pub now: [i32; 2],
    /// Address and count as they were programmed.
    pub base: [u16; 2],
    /// Mode register.
    pub mode: u8,
    /// Bits 16 to 23 of the address.
    pub page: u8,
    /// Bits above.
    pub pageh: u8,
    /// Level of the acknowledgement.
    pub dack: u8,
    /// Whether the end of the process was signalled.
    pub eop: u8,
}

/// Port 0x92: gate of address line 20, and a quick reset.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "port92", version = 1)]
pub struct Port92Image {
    /// What was written to it.
    pub outport: u8,
}

/// The speaker.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "pcspk", version = 1)]
pub struct PcSpeakerImage {
    /// Whether it sounds.
    pub data_on: u8,
    /// A bit that toggles with every read.
    pub dummy_refresh_clock: u8,
}

/// The parallel port.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "parallel_isa", version = 1)]
pub struct ParallelImage {
    /// Data that was written.
    #[vmstate(name = "state.dataw")]
    pub dataw: u8,
    /// Data that is read.
    #[vmstate(name = "state.datar")]
    pub datar: u8,
    /// Status register.
    #[vmstate(name = "state.status")]
    pub status: u8,
    /// Control register.
    #[vmstate(name = "state.control")]
    pub control: u8,
    /// Whether the interrupt is pending.
    #[vmstate(name = "state.irq_pending")]
    pub irq_pending: i32,
    /// Whether the last access of the enhanced mode timed out.
    #[vmstate(name = "state.epp_timeout")]
    pub epp_timeout: i32,
}

/// Words that the queue of [`VmMouseImage`] has room for.
pub const VMMOUSE_QUEUE_WORDS: u16 = 1024;

/// The mouse behind VMware's back door.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "vmmouse", version = 0)]
pub struct VmMouseImage {
    /// Words in the queue: 1024 in all releases.
    #[vmstate(equal)]
    pub queue_size: i32,
    /// The queue, four words for each event.
    pub queue: Table<u32, { VMMOUSE_QUEUE_WORDS as usize }>,
    /// Words that are used.
    pub nb_queue: u16,
    /// Whether the guest has enabled it.
    pub status: u16,
    /// Whether positions are absolute.
    pub absolute: u8,
}

impl Default for VmMouseImage {
    fn default() -> Self {
        Self { queue_size: VMMOUSE_QUEUE_WORDS.into(), queue: Table::default(), nb_queue: 0, status: 0, absolute: 0 }
    }
}

/// Advanced power management, by which a guest calls the firmware.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "APM State", version = 1)]
pub struct ApmImage {
    /// Command.
    pub apmc: u8,
    /// Status.
    pub apms: u8,
}
