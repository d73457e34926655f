//! Migrations: `migrate`, `migrate-incoming`, `migrate_cancel`, `query-migrate`.
//!
//! Source: `docs/spec/control.md` sections 2.1 and 8. Members of `query-migrate` by status:
//!
//! | status | members |
//! |---|---|
//! | `none` | none |
//! | `setup`, `failed`, `cancelled`, and any at the destination | `status`, `error-desc` if there was an error |
//! | `setup`, `active` at a destination that listens on a socket | `socket-address` |
//! | `active`, `device`, `cancelling` | `status`, `total-time`, `setup-time`, `expected-downtime`, `ram` |
//! | `completed` | the same, with `downtime` for `expected-downtime` |
//! | these two, while the vCPUs are throttled | `cpu-throttle-percentage` as well |
//! | these two, with capability `dirty-limit`, while vCPUs are limited | `dirty-limit-throttle-time-per-round`, `dirty-limit-ring-full-time` as well |
//! | these two, with capability `xbzrle` | `xbzrle-cache` as well |
//!
//! Members of our own, with any status but `none`: `x-ferry-owner` (`source`, `destination` or `unknown`),
//! `x-ferry-stalled: true` while the last rounds brought no progress; `x-ferry-downtime-ms` once known,
//! `x-ferry-rounds`, `x-ferry-downtime-phases` and
//! `x-ferry-downtime-devices` (saved at the source, loaded at the destination) once there are any; `x-ferry-restore`
//! where a file of pages was to be mapped.

use serde_json::{Map, Value, json};
use vmferry::channel::Uri;
use vmferry::control::{DeviceTime, MigrationInfo, RamStats, Restore, Round, Status, XbzrleStats};

use super::{Context, nothing};
use crate::address;
use crate::arguments::Arguments;
use crate::error::CommandError;

/// Rounds shown at most, the last ones; a migration that never converges has any number.
const ROUNDS_SHOWN: usize = 256;

pub(super) fn migrate(context: &mut Context<'_>, mut arguments: Arguments) -> Result<Value, CommandError> {
    let resume = arguments.optional_bool("resume")?.unwrap_or(false);
    // Accepted and without effect: the command always returns at once.
    arguments.optional_bool("detach")?;
    let uri = address::take(&mut arguments)?;
    arguments.finish()?;
    if resume {
        return Err(CommandError::generic("cannot resume: no postcopy migration is paused"));
    }
    context.monitor.migrate(&uri)?;
    Ok(nothing())
}

pub(super) fn migrate_incoming(context: &mut Context<'_>, mut arguments: Arguments) -> Result<Value, CommandError> {
    let exit_on_error = arguments.optional_bool("exit-on-error")?.unwrap_or(true);
    let uri = address::take(&mut arguments)?;
    arguments.finish()?;
    context.monitor.migrate_incoming(&uri, exit_on_error)?;
    Ok(nothing())
}

pub(super) fn migrate_cancel(context: &mut Context<'_>, arguments: Arguments) -> Result<Value, CommandError> {
    arguments.finish()?;
    context.monitor.migrate_cancel();
    Ok(nothing())
}

pub(super) fn query_migrate(context: &mut Context<'_>, arguments: Arguments) -> Result<Value, CommandError> {
    arguments.finish()?;
    let info = context.monitor.migration();
    let mut members = describe(&info);
    if info.incoming
        && matches!(info.status, Status::Setup | Status::Active)
        && let Some(address) = context.monitor.listening().as_ref().and_then(socket_address)
    {
        members.insert("socket-address".to_owned(), json!([address]));
    }
    Ok(Value::Object(members))
}

fn describe(info: &MigrationInfo) -> Map<String, Value> {
    let mut members = Map::new();
    if !info.blocked_reasons.is_empty() {
        members.insert("blocked-reasons".to_owned(), json!(info.blocked_reasons));
    }
    if info.status == Status::None {
        return members;
    }
    let mut add = |name: &str, value: Value| members.insert(name.to_owned(), value);
    add("status", json!(info.status.name()));
    if let Some(error) = &info.error {
        add("error-desc", json!(error));
    }
    let counted = matches!(info.status, Status::Active | Status::Device | Status::Cancelling | Status::Completed);
    if counted && !info.incoming {
        add("total-time", json!(info.total_time_ms));
        add("setup-time", json!(info.setup_time_ms));
        if info.status == Status::Completed {
            add("downtime", json!(whole_ms(info.downtime_ms.unwrap_or(0.0))));
        } else {
            add("expected-downtime", json!(info.expected_downtime_ms));
        }
        add("ram", ram(&info.ram, info.status));
        if let Some(percent) = info.cpu_throttle_percent {
            add("cpu-throttle-percentage", json!(percent));
        }
        if let Some(stats) = info.dirty_limit {
            add("dirty-limit-throttle-time-per-round", json!(stats.throttle_time_per_round_us));
            add("dirty-limit-ring-full-time", json!(stats.ring_full_time_us));
        }
        if let Some(stats) = &info.xbzrle {
            add("xbzrle-cache", xbzrle_cache(stats));
        }
    }
    if info.is_stalled && info.status.is_running() {
        add("x-ferry-stalled", json!(true));
    }
    add("x-ferry-owner", json!(info.owner.name()));
    if let Some(ms) = info.downtime_ms {
        add("x-ferry-downtime-ms", json!(ms));
    }
    if !info.rounds.is_empty() {
        let hidden = info.rounds.len().saturating_sub(ROUNDS_SHOWN);
        add("x-ferry-rounds", info.rounds.iter().skip(hidden).map(round).collect());
    }
    if !info.downtime_phases.is_empty() {
        let phases = info.downtime_phases.iter().map(|phase| json!({ "name": phase.name, "ms": phase.ms }));
        add("x-ferry-downtime-phases", phases.collect());
    }
    if !info.downtime_devices.is_empty() {
        let name = |time: &DeviceTime| format!("{}/{}", time.section, time.instance);
        let devices = info.downtime_devices.iter().map(|time| json!({ "name": name(time), "ms": time.ms }));
        add("x-ferry-downtime-devices", devices.collect());
    }
    if let Some(restore) = &info.restore {
        add("x-ferry-restore", restored(restore));
    }
    members
}

fn restored(restore: &Restore) -> Value {
    let Restore { mapped_bytes, mappings, cleared_pages, map_ms, filled_bytes, fill_ms, fault } = restore;
    let mut members = json!({
        "mapped-bytes": mapped_bytes,
        "mappings": mappings,
        "cleared-pages": cleared_pages,
        "map-ms": map_ms,
        "filled-bytes": filled_bytes,
        "complete": restore.is_complete(),
    });
    if let Some(members) = members.as_object_mut() {
        members.extend(fill_ms.map(|ms| ("fill-ms".to_owned(), json!(ms))));
        members.extend(fault.as_ref().map(|fault| ("fault".to_owned(), json!(fault))));
    }
    members
}

/// A socket's address as QMP describes it; what is no socket has none.
fn socket_address(uri: &Uri) -> Option<Value> {
    match uri {
        Uri::Tcp { host, port } => Some(json!({ "type": "inet", "host": host, "port": port.to_string() })),
        Uri::Unix(path) => Some(json!({ "type": "unix", "path": path.to_string_lossy() })),
        _ => None,
    }
}

fn ram(ram: &RamStats, status: Status) -> Value {
    let RamStats {
        transferred,
        remaining,
        total,
        zero_pages,
        normal_pages,
        normal_bytes,
        dirty_pages_rate,
        mbps,
        dirty_sync_count,
        page_size,
        pages_per_second,
        precopy_bytes,
        downtime_bytes,
        multifd_bytes,
        missed_zero_copy,
    } = *ram;
    let completed = status == Status::Completed;
    json!({
        "transferred": transferred,
        "remaining": if completed { 0 } else { remaining },
        "total": total,
        "duplicate": zero_pages,
        "normal": normal_pages,
        "normal-bytes": normal_bytes,
        "dirty-pages-rate": if completed { 0 } else { dirty_pages_rate },
        "mbps": mbps,
        "dirty-sync-count": dirty_sync_count,
        "page-size": page_size,
        "pages-per-second": pages_per_second,
        "precopy-bytes": precopy_bytes,
        "downtime-bytes": downtime_bytes,
        "multifd-bytes": multifd_bytes,
        "dirty-sync-missed-zero-copy": missed_zero_copy,
        // Of features that are not here, but which clients read without looking whether they are there.
        "postcopy-requests": 0,
        "postcopy-bytes": 0,
    })
}

fn xbzrle_cache(stats: &XbzrleStats) -> Value {
    let XbzrleStats { cache_bytes, bytes, pages, cache_misses, cache_miss_rate, encoding_rate, overflows } = *stats;
    json!({
        "cache-size": cache_bytes,
        "bytes": bytes,
        "pages": pages,
        "cache-miss": cache_misses,
        "cache-miss-rate": cache_miss_rate,
        "encoding-rate": encoding_rate,
        "overflow": overflows,
    })
}

fn round(round: &Round) -> Value {
    let Round { pages_sent, zero_pages, bytes, ms, dirty_rate_pages_s } = *round;
    json!({
        "pages-sent": pages_sent,
        "zero-pages": zero_pages,
        "bytes": bytes,
        "ms": ms,
        "dirty-rate-pages-s": dirty_rate_pages_s,
    })
}

/// Milliseconds as QMP counts them: whole, and what began counts.
fn whole_ms(ms: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, as wanted")]
    let whole = ms.ceil() as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmferry::control::{DowntimePhase, Owner};

    fn names(info: &MigrationInfo) -> Vec<String> {
        let mut names: Vec<_> = describe(info).into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    }

    #[test]
    fn before_anything_the_reply_is_empty() {
        assert_eq!(describe(&MigrationInfo::default()), Map::new());
    }

    #[test]
    fn what_blocks_a_migration_is_told_before_one_is_tried() {
        let info = MigrationInfo { blocked_reasons: vec!["a share is mounted".to_owned()], ..MigrationInfo::default() };
        assert_eq!(Value::Object(describe(&info)), json!({"blocked-reasons": ["a share is mounted"]}));
    }

    #[test]
    fn members_depend_on_the_status() {
        let few = ["status", "x-ferry-owner"];
        let running = ["expected-downtime", "ram", "setup-time", "status", "total-time", "x-ferry-owner"];
        let completed = ["downtime", "ram", "setup-time", "status", "total-time", "x-ferry-owner"];
        for (status, expected) in [
            (Status::Setup, &few[..]),
            (Status::Active, &running),
            (Status::Device, &running),
            (Status::Cancelling, &running),
            (Status::Completed, &completed),
            (Status::Failed, &few),
            (Status::Cancelled, &few),
        ] {
            let info = MigrationInfo { status, ..MigrationInfo::default() };
            assert_eq!(names(&info), expected, "{status}");
            let incoming = MigrationInfo { incoming: true, ..info };
            assert_eq!(names(&incoming), few, "{status} at the destination");
        }
    }

    #[test]
    fn a_failure_has_its_text_and_its_owner() {
        let info = MigrationInfo {
            status: Status::Failed,
            owner: Owner::Unknown,
            error: Some("connection lost".to_owned()),
            ..MigrationInfo::default()
        };
        let members = Value::Object(describe(&info));
        let expected = json!({"status": "failed", "error-desc": "connection lost", "x-ferry-owner": "unknown"});
        assert_eq!(members, expected);
    }

    #[test]
    fn downtime_is_whole_milliseconds_and_exact_beside_it() {
        let info = MigrationInfo {
            status: Status::Completed,
            downtime_ms: Some(12.25),
            downtime_phases: vec![DowntimePhase { name: "devices", ms: 1.5 }],
            ..MigrationInfo::default()
        };
        let members = describe(&info);
        assert_eq!(members["downtime"], 13);
        assert_eq!(members["x-ferry-downtime-ms"], 12.25);
        assert_eq!(members["x-ferry-downtime-phases"], json!([{"name": "devices", "ms": 1.5}]));
    }

    #[test]
    fn nothing_remains_once_completed() {
        let ram = RamStats { remaining: 4096, dirty_pages_rate: 7, ..RamStats::default() };
        let info = MigrationInfo { status: Status::Completed, ram, ..MigrationInfo::default() };
        let shown = &describe(&info)["ram"];
        assert_eq!((&shown["remaining"], &shown["dirty-pages-rate"]), (&json!(0), &json!(0)));
        let info = MigrationInfo { status: Status::Active, ..info };
        let shown = &describe(&info)["ram"];
        assert_eq!((&shown["remaining"], &shown["dirty-pages-rate"]), (&json!(4096), &json!(7)));
    }

    #[test]
    fn only_the_last_rounds_are_shown() {
        let rounds = (0..300).map(|bytes| Round { bytes, ..Round::default() }).collect();
        let info = MigrationInfo { status: Status::Active, rounds, ..MigrationInfo::default() };
        let shown = describe(&info)["x-ferry-rounds"].as_array().unwrap().clone();
        assert_eq!((shown.len(), &shown[255]["bytes"]), (ROUNDS_SHOWN, &json!(299)));
    }
}
