//! The floppy disk controller.
//!
//! | image, version | fields |
//! |---|---|
//! | `fdc` 2, the device on the ISA bus | `state` |
//! | `fdc` 2, within it | `sra`, `srb`, `dor_vmstate`, `tdr`, `dsr`, `msr`, `status0`, `status1`, `status2` u8; `fifo` u8 × 512; `data_pos`, `data_len` u32; `data_state`, `data_dir`, `eot`, `timer0`, `timer1`, `precomp_trk`, `config`, `lock`, `pwrd` u8; `num_floppies` u8, must be equal; `drives` × 2 (since 1) |
//! | `fdrive` 1 | `head`, `track`, `sect` u8 |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `fdc/reset_sensei` 1 | `reset_sensei` i32 | drives are yet to be asked for their status after a reset |
//! | `fdc/result_timer` 1 | `result_timer` timer | a result waits for its time |
//! | `fdc/phase` 1 | `phase` u8 | the phase does not follow from the status; not seen, its width is from the schema dumps |
//! | `fdrive/media_rate` 1 | `media_rate` u8 | rates of drive and medium are compared: always by default |
//! | `fdrive/media_changed` 1 | `media_changed` u8 | the medium was changed |
//! | `fdrive/perpendicular` 1 | `perpendicular` u8 | the guest asked for that mode |
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`pc`), and their schema dumps.

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

use crate::arrays::Table;

/// Drives of a controller.
pub const DRIVES: u8 = 2;

/// The controller on the ISA bus.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "fdc", version = 2)]
pub struct IsaFdcImage {
    /// The controller.
    pub state: FdcImage,
}

/// The controller's own state.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "fdc", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct FdcImage {
    pub sra: u8,
    pub srb: u8,
    #[vmstate(name = "dor_vmstate")]
    pub dor: u8,
    pub tdr: u8,
    pub dsr: u8,
    pub msr: u8,
    pub status0: u8,
    pub status1: u8,
    pub status2: u8,
    /// Command, data or result.
    pub fifo: Table<u8, 512>,
    pub data_pos: u32,
    pub data_len: u32,
    pub data_state: u8,
    pub data_dir: u8,
    pub eot: u8,
    pub timer0: u8,
    pub timer1: u8,
    pub precomp_trk: u8,
    pub config: u8,
    pub lock: u8,
    pub pwrd: u8,
    /// Drives that the controller could have.
    #[vmstate(equal)]
    pub num_floppies: u8,
    /// The drives.
    #[vmstate(since = 1)]
    pub drives: [FloppyDriveImage; DRIVES as usize],
    /// After a reset.
    #[vmstate(subsection)]
    pub reset_sensei: Option<ResetSenseImage>,
    /// A result that waits.
    #[vmstate(subsection)]
    pub result_timer: Option<ResultTimerImage>,
    /// The phase.
    #[vmstate(subsection)]
    pub phase: Option<PhaseImage>,
}

impl Default for FdcImage {
    fn default() -> Self {
        Self {
            sra: 0,
            srb: 0,
            dor: 0,
            tdr: 0,
            dsr: 0,
            msr: 0,
            status0: 0,
            status1: 0,
            status2: 0,
            fifo: Table::default(),
            data_pos: 0,
            data_len: 0,
            data_state: 0,
            data_dir: 0,
            eot: 0,
            timer0: 0,
            timer1: 0,
            precomp_trk: 0,
            config: 0,
            lock: 0,
            pwrd: 0,
            num_floppies: DRIVES,
            drives: Default::default(),
            reset_sensei: None,
            result_timer: None,
            phase: None,
        }
    }
}

/// A drive.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "fdrive", version = 1)]
pub struct FloppyDriveImage {
    /// Head that was selected.
    pub head: u8,
    /// Track where the heads are.
    pub track: u8,
    /// Sector that comes next.
    pub sect: u8,
    /// Whether its medium was changed.
    #[vmstate(subsection)]
    pub media_changed: Option<MediaChangedImage>,
    /// Its rate.
    #[vmstate(subsection)]
    pub media_rate: Option<MediaRateImage>,
    /// Whether it records perpendicularly.
    #[vmstate(subsection)]
    pub perpendicular: Option<PerpendicularImage>,
}

/// The rate of the medium.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "fdrive/media_rate", version = 1)]
pub struct MediaRateImage {
    /// As in the data rate register.
    pub media_rate: u8,
}

/// Whether the medium was changed.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "fdrive/media_changed", version = 1)]
pub struct MediaChangedImage {
    /// 1 if so.
    pub media_changed: u8,
}

/// Whether the drive records perpendicularly.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "fdrive/perpendicular", version = 1)]
pub struct PerpendicularImage {
    /// As the guest set it.
    pub perpendicular: u8,
}

/// After a reset.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "fdc/reset_sensei", version = 1)]
pub struct ResetSenseImage {
    /// Drives that are yet to be asked.
    pub reset_sensei: i32,
}

/// A result that waits.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "fdc/result_timer", version = 1)]
pub struct ResultTimerImage {
    /// When it is ready.
    pub result_timer: TimerExpiry,
}

/// The phase.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "fdc/phase", version = 1)]
pub struct PhaseImage {
    /// Command, execution or result.
    pub phase: u8,
}
