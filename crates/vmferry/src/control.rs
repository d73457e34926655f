//! What a control plane sets and reads: parameters, capabilities, status and statistics.
//!
//! Names, units and defaults are QEMU's (`docs/spec/control.md` sections 3, 4, 5 and 8); a QMP server maps them one
//! to one. Where a default differs, the item says so.

mod multifd;
mod restore;

use std::fmt;

use crate::convergence::{OvertimeAction, Settings, ThrottleParameters};
use crate::dirty_limit::DirtyLimitStats;
use crate::memory::TARGET_PAGE_BYTES;
use crate::source::background;

pub use multifd::{MultifdCompression, MultifdParameters, ZeroPageDetection};
pub use restore::{Restore, RestoreMode};

/// Migration parameters that may be set at any time; bandwidth and downtime act at once on a running migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// Longest pause of the guest that is aimed at, in milliseconds, 0 ..= 2 000 000. Default 300.
    pub downtime_limit_ms: u64,
    /// Upper bound of the transfer rate before switch-over, in bytes per second; 0 is unlimited. Default 128 MiB/s.
    pub max_bandwidth: u64,
    /// Bytes of pages that capability `xbzrle` remembers; a power of two, a page or more. Default 64 MiB.
    pub xbzrle_cache_bytes: u64,
    /// Bytes per second that the last pages will have; 0, the default, is to be measured.
    pub avail_switchover_bandwidth: u64,
    /// How capability `auto-converge` throttles the vCPUs.
    pub throttle: ThrottleParameters,
    /// How often the dirty rate of vCPUs that have a limit is looked at, in milliseconds, 1 to 1000. Default 1000.
    pub vcpu_dirty_limit_period_ms: u64,
    /// What capability `dirty-limit` lets each vCPU dirty, in MiB per second, 1 or more. Default 1.
    pub vcpu_dirty_limit_mb_per_s: u64,
    /// Longest pause that a guest is given that does not converge, in milliseconds, 0 ..= 2 000 000: the limit is
    /// doubled each time that it stalls, up to this. 0, the default, is no such ramp. Our own.
    pub downtime_limit_max_ms: u64,
    /// Longest time before the guest is stopped, in milliseconds; 0, the default, is any. Our own.
    pub total_time_limit_ms: u64,
    /// What becomes of a migration that takes longer. Our own.
    pub overtime_action: OvertimeAction,
    /// Who looks for zero pages. Default multifd.
    pub zero_page_detection: ZeroPageDetection,
    /// Of capability `multifd`.
    pub multifd: MultifdParameters,
    /// With `mapped-ram` and `multifd`, the channels' pages go past the kernel's cache (`O_DIRECT`). Default off.
    pub direct_io: bool,
    /// How a destination takes pages out of a file of `mapped-ram`. Default read. Our own.
    pub restore: RestoreMode,
}

impl Parameters {
    /// Largest accepted `downtime-limit`, in milliseconds.
    pub const DOWNTIME_LIMIT_MAX_MS: u64 = 2_000_000;

    /// Largest accepted `x-vcpu-dirty-limit-period`, in milliseconds.
    pub const VCPU_DIRTY_LIMIT_PERIOD_MAX_MS: u64 = 1000;

    /// What the model of convergence goes by.
    #[must_use]
    pub fn convergence(&self, capabilities: &Capabilities) -> Settings {
        Settings {
            downtime_limit_ms: self.downtime_limit_ms,
            downtime_limit_max_ms: self.downtime_limit_max_ms,
            avail_switchover_bandwidth: self.avail_switchover_bandwidth,
            throttle: (capabilities.auto_converge || capabilities.dirty_limit).then_some(self.throttle),
            dirty_limit_mb_per_s: capabilities.dirty_limit.then_some(self.vcpu_dirty_limit_mb_per_s),
            total_time_limit_ms: self.total_time_limit_ms,
        }
    }

    /// The first parameter that is outside its range: what it is, and what is accepted.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        if self.downtime_limit_ms > Self::DOWNTIME_LIMIT_MAX_MS {
            let (found, most) = (self.downtime_limit_ms, Self::DOWNTIME_LIMIT_MAX_MS);
            return Some(format!("downtime-limit is {found} ms; accepted are 0 to {most} ms"));
        }
        if self.downtime_limit_max_ms > Self::DOWNTIME_LIMIT_MAX_MS {
            let (found, most) = (self.downtime_limit_max_ms, Self::DOWNTIME_LIMIT_MAX_MS);
            return Some(format!("x-ferry-downtime-limit-max is {found} ms; accepted are 0 to {most} ms"));
        }
        if let Some(fault) = self.throttle.fault() {
            return Some(fault);
        }
        if !(1..=Self::VCPU_DIRTY_LIMIT_PERIOD_MAX_MS).contains(&self.vcpu_dirty_limit_period_ms) {
            let (found, most) = (self.vcpu_dirty_limit_period_ms, Self::VCPU_DIRTY_LIMIT_PERIOD_MAX_MS);
            return Some(format!("x-vcpu-dirty-limit-period is {found} ms; accepted are 1 to {most} ms"));
        }
        if self.vcpu_dirty_limit_mb_per_s == 0 {
            return Some("vcpu-dirty-limit is 0 MB/s; accepted is 1 or more".to_owned());
        }
        if !self.xbzrle_cache_bytes.is_power_of_two() || self.xbzrle_cache_bytes < TARGET_PAGE_BYTES {
            let found = self.xbzrle_cache_bytes;
            return Some(format!(
                "xbzrle-cache-size is {found} bytes; accepted are powers of two of a page, {TARGET_PAGE_BYTES} bytes, or more"
            ));
        }
        self.multifd.fault()
    }
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            downtime_limit_ms: 300,
            max_bandwidth: 128 << 20,
            xbzrle_cache_bytes: 64 << 20,
            avail_switchover_bandwidth: 0,
            throttle: ThrottleParameters::default(),
            vcpu_dirty_limit_period_ms: 1000,
            vcpu_dirty_limit_mb_per_s: 1,
            downtime_limit_max_ms: 0,
            total_time_limit_ms: 0,
            overtime_action: OvertimeAction::default(),
            zero_page_detection: ZeroPageDetection::default(),
            multifd: MultifdParameters::default(),
            direct_io: false,
            restore: RestoreMode::default(),
        }
    }
}

/// Migration capabilities; fixed while a migration runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Emit `MIGRATION` and `MIGRATION_PASS` events. Default off.
    pub events: bool,
    /// The destination reports its verdict before the source lets go. Default on.
    ///
    /// Differs from QEMU: off there. Without it a source cannot know whether the destination loaded the last section.
    pub return_path: bool,
    /// Pages that were sent before go as differences, from the second pass on; the source's alone. Default off.
    pub xbzrle: bool,
    /// The vCPUs of a guest that does not converge are throttled ([`Parameters::throttle`]); the source's alone, and
    /// only where the machine can. Default off.
    pub auto_converge: bool,
    /// Pages move on channels of their own ([`Parameters::multifd`]); the same at both ends. Default off.
    pub multifd: bool,
    /// The channels' pages go to the network without a copy in the kernel (`MSG_ZEROCOPY`); needs `multifd`, TCP and
    /// no compression; the source's alone. Default off.
    pub zero_copy_send: bool,
    /// The guest's memory here is given back to the host once the destination is known to have the guest, which then
    /// cannot run here any more; the source's alone. Default off.
    ///
    /// Differs from QEMU: there pages are freed in postcopy alone, and precopy keeps them.
    pub release_ram: bool,
    /// Blocks whose memory is a shared mapping of a file with a name are not sent: the destination maps the same file.
    /// The same at both ends. Default off.
    pub ignore_shared: bool,
    /// Pages have fixed places in a file; only `file:`, and the same at both ends. Default off.
    pub mapped_ram: bool,
    /// The image of one instant is sent while the guest runs on, here; the source's alone. Needs a kernel that makes
    /// writers wait (userfaultfd). Default off.
    pub background_snapshot: bool,
    /// The vCPUs of a guest that does not converge are limited to what each may dirty
    /// ([`Parameters::vcpu_dirty_limit_mb_per_s`]); in place of `auto-converge`; the source's alone, and only where
    /// the machine has dirty rings. Default off.
    pub dirty_limit: bool,
}

impl Capabilities {
    /// What is wrong with the combination, if anything.
    ///
    /// # Errors
    ///
    /// A capability needs another one, or excludes it.
    pub fn check(self) -> Result<(), String> {
        if self.zero_copy_send && !self.multifd {
            return Err("zero-copy-send needs multifd".to_owned());
        }
        if self.multifd && self.xbzrle {
            return Err("multifd and xbzrle exclude each other".to_owned());
        }
        if self.mapped_ram && self.xbzrle {
            return Err("mapped-ram and xbzrle exclude each other".to_owned());
        }
        // Differs from QEMU: it writes such a stream, and cannot read it (docs/spec/ram.md section A4).
        if self.mapped_ram && self.ignore_shared {
            return Err("mapped-ram and x-ignore-shared exclude each other".to_owned());
        }
        if let Some(conflict) = background::conflict(&self) {
            return Err(conflict);
        }
        if self.dirty_limit && self.auto_converge {
            return Err("dirty-limit and auto-converge exclude each other".to_owned());
        }
        Ok(())
    }

    /// The capabilities that both ends must have alike, which the stream names (`docs/spec/stream.md` section 3.3), and
    /// whether they are on.
    pub(crate) fn validated(self) -> [(&'static str, bool); 2] {
        [("x-ignore-shared", self.ignore_shared), ("mapped-ram", self.mapped_ram)]
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            events: false,
            return_path: true,
            xbzrle: false,
            auto_converge: false,
            multifd: false,
            zero_copy_send: false,
            release_ram: false,
            ignore_shared: false,
            mapped_ram: false,
            background_snapshot: false,
            dirty_limit: false,
        }
    }
}

/// Where a migration stands. The words are QEMU's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// Nothing was started yet.
    #[default]
    None,
    /// Connecting, or, at the destination, listening.
    Setup,
    /// Pages move while the guest runs.
    Active,
    /// The guest is stopped; last pages and devices move, the destination's verdict is awaited.
    Device,
    /// The destination has the guest.
    Completed,
    /// An error ended the attempt; at the source the guest is what it was before.
    Failed,
    /// A cancellation was asked for and has not taken effect yet.
    Cancelling,
    /// The attempt was cancelled; at the source the guest is what it was before.
    Cancelled,
}

impl Status {
    /// The word on the wire of QMP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Setup => "setup",
            Self::Active => "active",
            Self::Device => "device",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether an attempt is under way.
    #[must_use]
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Setup | Self::Active | Self::Device | Self::Cancelling)
    }

    /// Whether an attempt has ended.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the guest of this process does. The words are QEMU's run states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunState {
    /// Created, never started.
    #[default]
    Prelaunch,
    /// Waits for an incoming migration.
    InMigrate,
    /// Runs.
    Running,
    /// Stopped by `stop`, or loaded and not started.
    Paused,
    /// Stopped by a migration that moves the last pages.
    FinishMigrate,
    /// Was moved away; only an explicit `cont` starts it again here.
    PostMigrate,
    /// The guest powered itself off.
    Shutdown,
    /// An internal error (a CPU that cannot go on) stopped the guest.
    InternalError,
}

impl RunState {
    /// The word on the wire of QMP and in the `globalstate` section.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prelaunch => "prelaunch",
            Self::InMigrate => "inmigrate",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::FinishMigrate => "finish-migrate",
            Self::PostMigrate => "postmigrate",
            Self::Shutdown => "shutdown",
            Self::InternalError => "internal-error",
        }
    }

    /// Whether the guest runs.
    #[must_use]
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Running)
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Counters of RAM, as `query-migrate` reports them under `ram`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RamStats {
    /// Bytes sent in all, device state and headers included.
    pub transferred: u64,
    /// Bytes of RAM that are dirty now.
    pub remaining: u64,
    /// Bytes of all blocks that take part.
    pub total: u64,
    /// Zero pages sent (QEMU's `duplicate`).
    pub zero_pages: u64,
    /// Pages sent with their content.
    pub normal_pages: u64,
    /// Bytes of [`RamStats::normal_pages`].
    pub normal_bytes: u64,
    /// Pages dirtied per second in the last period.
    pub dirty_pages_rate: u64,
    /// Rate in megabit per second (10^6) in the last window.
    pub mbps: f64,
    /// Dirty synchronisations so far.
    pub dirty_sync_count: u64,
    /// Bytes of a target page.
    pub page_size: u64,
    /// Pages sent per second in the last window.
    pub pages_per_second: u64,
    /// Bytes sent while the guest ran.
    pub precopy_bytes: u64,
    /// Bytes sent while the guest was stopped.
    pub downtime_bytes: u64,
    /// Bytes sent on multifd channels.
    pub multifd_bytes: u64,
    /// How often, counted by channel and synchronisation, the kernel copied pages that `zero-copy-send` was to spare.
    pub missed_zero_copy: u64,
}

/// What capability `xbzrle` did, as `query-migrate` reports it under `xbzrle-cache`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct XbzrleStats {
    /// Bytes of pages that the cache can hold.
    pub cache_bytes: u64,
    /// Bytes of records without their first 8; of a page whose difference was too long, the page.
    pub bytes: u64,
    /// Pages that the cache had.
    pub pages: u64,
    /// Pages that it did not have.
    pub cache_misses: u64,
    /// Misses per page sent in the last period.
    pub cache_miss_rate: f64,
    /// Bytes of pages per byte of differences in the last period; 0 if there were none.
    pub encoding_rate: f64,
    /// Pages whose difference was longer than the page.
    pub overflows: u64,
}

/// One pass over the dirty pages, from one dirty synchronisation to the next.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Round {
    /// Pages sent with content.
    pub pages_sent: u64,
    /// Pages sent as zero.
    pub zero_pages: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    /// Duration in milliseconds.
    pub ms: f64,
    /// Pages per second that the guest dirtied meanwhile, measured at the synchronisation that ended the round.
    pub dirty_rate_pages_s: f64,
}

/// One part of the time in which the guest stood still.
#[derive(Debug, Clone, PartialEq)]
pub struct DowntimePhase {
    /// What it was spent on: `stop`, `final-sync`, `last-pages`, `devices`, `load`, `handover`; in a
    /// background snapshot `protect` and `resume`.
    pub name: &'static str,
    /// Duration in milliseconds.
    pub ms: f64,
}

/// How long one device took while the guest stood still.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceTime {
    /// Id string of its section.
    pub section: String,
    /// Instance of its section.
    pub instance: u32,
    /// Duration in milliseconds: of its snapshot and encoding at the source, of its load at the destination.
    pub ms: f64,
}

/// Who may run the guest, as far as this side knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owner {
    /// The source.
    #[default]
    Source,
    /// The destination.
    Destination,
    /// Not to be known: the last byte was handed over and no verdict came back. Nobody resumes by himself.
    Unknown,
}

impl Owner {
    /// The word used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Unknown => "unknown",
        }
    }
}

/// Everything that is known of the current or last migration of this process.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MigrationInfo {
    /// Where it stands.
    pub status: Status,
    /// Whether this process is the destination.
    pub incoming: bool,
    /// Who may run the guest.
    pub owner: Owner,
    /// Milliseconds since the start; final once completed.
    pub total_time_ms: u64,
    /// Milliseconds from the start to the first page.
    pub setup_time_ms: u64,
    /// Milliseconds of downtime to be expected with what is dirty now.
    pub expected_downtime_ms: u64,
    /// Milliseconds for which the guest stood still, once known.
    pub downtime_ms: Option<f64>,
    /// RAM counters.
    pub ram: RamStats,
    /// Per cent of its time that each vCPU is made to sleep; `None` while they run freely.
    pub cpu_throttle_percent: Option<u8>,
    /// With capability `dirty-limit`, while vCPUs are limited.
    pub dirty_limit: Option<DirtyLimitStats>,
    /// The last rounds brought no progress: with these settings the guest does not converge.
    pub is_stalled: bool,
    /// With capability `xbzrle`, at the source.
    pub xbzrle: Option<XbzrleStats>,
    /// Rounds so far.
    pub rounds: Vec<Round>,
    /// Where the downtime went.
    pub downtime_phases: Vec<DowntimePhase>,
    /// The devices' parts of it, in the order of the stream: of phase `devices` at the source, of `load` at the
    /// destination.
    pub downtime_devices: Vec<DeviceTime>,
    /// At a destination that maps a file: what became of that.
    pub restore: Option<Restore>,
    /// What went wrong, in one line with causes.
    pub error: Option<String>,
    /// Why this machine cannot be migrated now; empty if it can.
    pub blocked_reasons: Vec<String>,
}

/// Something that a control plane passes on to its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The guest stopped.
    Stop,
    /// The guest runs.
    Resume,
    /// The status changed (`MIGRATION`, with capability `events`).
    Migration(Status),
    /// A dirty synchronisation took place (`MIGRATION_PASS`, with capability `events`).
    MigrationPass(u64),
    /// The guest powered itself off.
    Shutdown,
}
