//! A few seconds of a running machine, ours or QEMU's: how much it dirties in windows of several lengths.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use vmferry::convergence::{Settings, ThrottleParameters};
use vmferry_qmp::Client;

use super::trace::Trace;
use crate::output::Output;

/// Parts of the whole time that the windows have, shortest first.
const WINDOWS_PERCENT: [u64; 4] = [5, 10, 25, 60];
/// Shortest and longest window that a machine measures, in milliseconds.
const WINDOW_MS: std::ops::RangeInclusive<u64> = 50..=60_000;
/// How much longer than its window a measurement may take.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// Measures for about `seconds`.
pub(super) fn sample(client: &mut Client, seconds: u64, output: Output) -> Result<Trace> {
    let memory_bytes = memory(client)?;
    let mut dirty = Vec::new();
    for percent in WINDOWS_PERCENT {
        let ms = (seconds.saturating_mul(10).saturating_mul(percent)).clamp(*WINDOW_MS.start(), *WINDOW_MS.end());
        let bytes = measure(client, ms)?;
        output.detail(&format!("in {ms} ms the guest dirties {bytes} bytes"));
        dirty.push((ms, bytes));
    }
    Ok(Trace { memory_bytes, dirty })
}

/// Bytes of the guest's memory.
fn memory(client: &mut Client) -> Result<u64> {
    let summary = client.execute("query-memory-size-summary", Value::Null);
    let summary = summary.context("asking for the size of memory")?;
    summary.get("base-memory").and_then(Value::as_u64).filter(|bytes| *bytes > 0).context("the machine has no memory")
}

/// Bytes that the guest dirties in a window: by the dirty log, or by samples where the machine has no other way.
fn measure(client: &mut Client, ms: u64) -> Result<u64> {
    for mode in ["dirty-bitmap", "page-sampling"] {
        let arguments = json!({"calc-time": ms, "calc-time-unit": "millisecond", "mode": mode});
        if let Err(error) = client.execute("calc-dirty-rate", arguments) {
            if mode == "page-sampling" {
                return Err(error).context("the machine cannot measure its dirty rate (QEMU can from 8.2 on)");
            }
            continue;
        }
        if let Some(bytes) = await_result(client, ms)? {
            return Ok(bytes);
        }
    }
    bail!("the machine could not measure anything: its memory is too small to be sampled")
}

fn await_result(client: &mut Client, ms: u64) -> Result<Option<u64>> {
    let deadline = Instant::now() + Duration::from_millis(ms) + PATIENCE;
    loop {
        let reply = client.execute("query-dirty-rate", json!({"calc-time-unit": "millisecond"}))?;
        if reply.get("status").and_then(Value::as_str) == Some("measured") {
            if let Some(bytes) = reply.get("x-ferry-dirty-bytes").and_then(Value::as_u64) {
                return Ok(Some(bytes));
            }
            let rate = reply.get("dirty-rate").and_then(Value::as_i64).context("the machine tells no rate")?;
            // MiB per second; -1 is nothing measured.
            return Ok(u64::try_from(rate).ok().map(|rate| rate.saturating_mul(ms).saturating_mul(1 << 20) / 1000));
        }
        if Instant::now() > deadline {
            bail!("the measurement does not end");
        }
        thread::sleep(POLL);
    }
}

/// What the machine's own parameters say: settings, and its limit of the bandwidth in bytes per second.
pub(super) fn settings(client: &mut Client) -> Result<(Settings, u64)> {
    let parameters = client.execute("query-migrate-parameters", Value::Null)?;
    let capabilities = client.execute("query-migrate-capabilities", Value::Null)?;
    let number = |name: &str, default: u64| parameters.get(name).and_then(Value::as_u64).unwrap_or(default);
    let of = |item: &&Value| item.get("capability").and_then(Value::as_str) == Some("auto-converge");
    let item = capabilities.as_array().and_then(|items| items.iter().find(of));
    let auto_converge = item.and_then(|item| item.get("state")).and_then(Value::as_bool).unwrap_or(false);
    let defaults = ThrottleParameters::default();
    let throttle = ThrottleParameters {
        trigger_percent: number("throttle-trigger-threshold", defaults.trigger_percent),
        initial_percent: number("cpu-throttle-initial", defaults.initial_percent),
        increment_percent: number("cpu-throttle-increment", defaults.increment_percent),
        is_tail_slow: parameters.get("cpu-throttle-tailslow").and_then(Value::as_bool).unwrap_or(false),
        max_percent: number("max-cpu-throttle", defaults.max_percent),
    };
    let settings = Settings {
        downtime_limit_ms: number("downtime-limit", 300),
        downtime_limit_max_ms: number("x-ferry-downtime-limit-max", 0),
        avail_switchover_bandwidth: number("avail-switchover-bandwidth", 0),
        throttle: auto_converge.then_some(throttle),
        dirty_limit_mb_per_s: None,
        total_time_limit_ms: number("x-ferry-total-time-limit", 0),
    };
    Ok((settings, number("max-bandwidth", 0)))
}
