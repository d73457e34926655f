//! An SD card, or an eMMC.
//!
//! | field | octets | 5.2 | 7.2 | 10.0 | 11.1 |
//! |---|---|---|---|---|---|
//! | `mode` u32 | 4 | yes | yes | yes | unused |
//! | `state` i32, `cid`, `csd` u8 × 16, `rca` u16, `card_status` u32, `sd_status` 1 octet, `vhs` u32 | 47 | | | | |
//! | a bit for each group for write protection | 8 for each 64 | `wp_groups` | `wp_group_bmap` | `wp_group_bmap` | `wp_group_bmap` |
//! | `blk_len`, `multi_blk_cnt`, `erase_start`, `erase_end` u32, `pwd` u8 × 16, `pwd_len` u32 | 36 | | | | |
//! | `function_group` u8 × 6, `current_cmd` u8, `expecting_acmd` bool, `blk_written` u32, `data_start` u64, `data_offset` u32 | 24 | | | | |
//! | `data` u8 × 512, 512 unused (since 1) | 1024 | | | | |
//! | `enable` bool | 1 | yes | yes | unused | unused |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `sd-card/ocr-state` 1 | `ocr` u32, `ocr_power_timer` timer | the card is not powered up |
//! | `sd-card/ext_csd_modes-state` 1 | `ext_csd_rw` u8 × 192 | by an eMMC, in 11.1 |
//!
//! The schema dump of 11.1 has a second subsection of the last name, with the state of a replay protected block: a
//! loader that looks names up finds the first, so such a card could not be loaded. No recorded machine sent it.
//!
//! Source: streams of QEMU 5.2, 7.2, 10.0 and 11.1 (`virt` of riscv64 with `sdhci-pci`, `sifive_u`), and their schema
//! dumps. They load version 2 only.

use vmstate::VmState;
use vmstate::codecs::TimerExpiry;

use crate::arrays::Table;

/// Most groups for write protection: far above those of the cards seen, whose bits fit into one word.
pub const WRITE_GROUPS_MAX: usize = 1 << 20;

/// A card as QEMU 11.1 sends it.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "sd-card", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct SdCardImage {
    /// Groups for write protection: configuration.
    #[vmstate(local)]
    pub wpgrps_size: u32,
    #[vmstate(name = "unused", unused = 4)]
    pub unused_mode: (),
    pub state: i32,
    pub cid: [u8; 16],
    pub csd: [u8; 16],
    pub rca: u16,
    pub card_status: u32,
    #[vmstate(buffer)]
    pub sd_status: [u8; 1],
    pub vhs: u32,
    #[vmstate(bitmap, len = wpgrps_size, max = WRITE_GROUPS_MAX)]
    pub wp_group_bmap: Vec<u64>,
    pub blk_len: u32,
    pub multi_blk_cnt: u32,
    pub erase_start: u32,
    pub erase_end: u32,
    pub pwd: [u8; 16],
    pub pwd_len: u32,
    pub function_group: [u8; 6],
    pub current_cmd: u8,
    pub expecting_acmd: bool,
    pub blk_written: u32,
    pub data_start: u64,
    pub data_offset: u32,
    pub data: Table<u8, 512>,
    #[vmstate(unused = 512, since = 1)]
    pub unused: (),
    #[vmstate(name = "unused", unused = 1)]
    pub unused_enable: (),
    /// Sent while the card is not powered up.
    #[vmstate(subsection)]
    pub ocr_state: Option<OcrStateImage>,
    /// Sent by an eMMC.
    #[vmstate(subsection)]
    pub ext_csd_modes_state: Option<ExtCsdModesImage>,
}

impl SdCardImage {
    /// The template of a card with so many groups for write protection, at most [`WRITE_GROUPS_MAX`].
    #[must_use]
    pub fn with_write_groups(wpgrps_size: u32) -> Self {
        let wp_group_bmap = vec![0; (wpgrps_size as usize).min(WRITE_GROUPS_MAX).div_ceil(64)];
        Self { wpgrps_size, wp_group_bmap, ..Self::default() }
    }
}

/// A card as QEMU 10.0 sends it.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "sd-card", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct SdCard10Image {
    /// Groups for write protection: configuration.
    #[vmstate(local)]
    pub wpgrps_size: u32,
    pub mode: u32,
    pub state: i32,
    pub cid: [u8; 16],
    pub csd: [u8; 16],
    pub rca: u16,
    pub card_status: u32,
    #[vmstate(buffer)]
    pub sd_status: [u8; 1],
    pub vhs: u32,
    #[vmstate(bitmap, len = wpgrps_size, max = WRITE_GROUPS_MAX)]
    pub wp_group_bmap: Vec<u64>,
    pub blk_len: u32,
    pub multi_blk_cnt: u32,
    pub erase_start: u32,
    pub erase_end: u32,
    pub pwd: [u8; 16],
    pub pwd_len: u32,
    pub function_group: [u8; 6],
    pub current_cmd: u8,
    pub expecting_acmd: bool,
    pub blk_written: u32,
    pub data_start: u64,
    pub data_offset: u32,
    pub data: Table<u8, 512>,
    #[vmstate(unused = 512, since = 1)]
    pub unused: (),
    #[vmstate(name = "unused", unused = 1)]
    pub unused_enable: (),
    /// Sent while the card is not powered up.
    #[vmstate(subsection)]
    pub ocr_state: Option<OcrStateImage>,
}

impl SdCard10Image {
    /// The template of a card with so many groups for write protection, at most [`WRITE_GROUPS_MAX`].
    #[must_use]
    pub fn with_write_groups(wpgrps_size: u32) -> Self {
        let wp_group_bmap = vec![0; (wpgrps_size as usize).min(WRITE_GROUPS_MAX).div_ceil(64)];
        Self { wpgrps_size, wp_group_bmap, ..Self::default() }
    }
}

/// A card as QEMU 7.2 sends it.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "sd-card", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct SdCard7Image {
    /// Groups for write protection: configuration.
    #[vmstate(local)]
    pub wpgrps_size: u32,
    pub mode: u32,
    pub state: i32,
    pub cid: [u8; 16],
    pub csd: [u8; 16],
    pub rca: u16,
    pub card_status: u32,
    #[vmstate(buffer)]
    pub sd_status: [u8; 1],
    pub vhs: u32,
    #[vmstate(bitmap, len = wpgrps_size, max = WRITE_GROUPS_MAX)]
    pub wp_group_bmap: Vec<u64>,
    pub blk_len: u32,
    pub multi_blk_cnt: u32,
    pub erase_start: u32,
    pub erase_end: u32,
    pub pwd: [u8; 16],
    pub pwd_len: u32,
    pub function_group: [u8; 6],
    pub current_cmd: u8,
    pub expecting_acmd: bool,
    pub blk_written: u32,
    pub data_start: u64,
    pub data_offset: u32,
    pub data: Table<u8, 512>,
    #[vmstate(unused = 512, since = 1)]
    pub unused: (),
    pub enable: bool,
    /// Sent while the card is not powered up.
    #[vmstate(subsection)]
    pub ocr_state: Option<OcrStateImage>,
}

impl SdCard7Image {
    /// The template of a card with so many groups for write protection, at most [`WRITE_GROUPS_MAX`].
    #[must_use]
    pub fn with_write_groups(wpgrps_size: u32) -> Self {
        let wp_group_bmap = vec![0; (wpgrps_size as usize).min(WRITE_GROUPS_MAX).div_ceil(64)];
        Self { wpgrps_size, wp_group_bmap, ..Self::default() }
    }
}

/// A card as QEMU 5.2 sends it.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "sd-card", version = 2)]
#[expect(missing_docs, reason = "registers, by their names in QEMU")]
pub struct SdCard5Image {
    /// Groups for write protection: configuration.
    #[vmstate(local)]
    pub wpgrps_size: u32,
    pub mode: u32,
    pub state: i32,
    pub cid: [u8; 16],
    pub csd: [u8; 16],
    pub rca: u16,
    pub card_status: u32,
    #[vmstate(buffer)]
    pub sd_status: [u8; 1],
    pub vhs: u32,
    #[vmstate(bitmap, len = wpgrps_size, max = WRITE_GROUPS_MAX)]
    pub wp_groups: Vec<u64>,
    pub blk_len: u32,
    pub multi_blk_cnt: u32,
    pub erase_start: u32,
    pub erase_end: u32,
    pub pwd: [u8; 16],
    pub pwd_len: u32,
    pub function_group: [u8; 6],
    pub current_cmd: u8,
    pub expecting_acmd: bool,
    pub blk_written: u32,
    pub data_start: u64,
    pub data_offset: u32,
    pub data: Table<u8, 512>,
    #[vmstate(unused = 512, since = 1)]
    pub unused: (),
    pub enable: bool,
    /// Sent while the card is not powered up.
    #[vmstate(subsection)]
    pub ocr_state: Option<OcrStateImage>,
}

impl SdCard5Image {
    /// The template of a card with so many groups for write protection, at most [`WRITE_GROUPS_MAX`].
    #[must_use]
    pub fn with_write_groups(wpgrps_size: u32) -> Self {
        let wp_groups = vec![0; (wpgrps_size as usize).min(WRITE_GROUPS_MAX).div_ceil(64)];
        Self { wpgrps_size, wp_groups, ..Self::default() }
    }
}

/// A card that is not powered up.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "sd-card/ocr-state", version = 1)]
pub struct OcrStateImage {
    /// Operating conditions.
    pub ocr: u32,
    /// When it is.
    pub ocr_power_timer: TimerExpiry,
}

/// Registers of an eMMC.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "sd-card/ext_csd_modes-state", version = 1)]
pub struct ExtCsdModesImage {
    /// Those that a guest may write.
    pub ext_csd_rw: Table<u8, 192>,
}
