//! What the demo tells: a document for scripts, a page for people.

use std::fmt::Write as _;

use indicatif::{BinaryBytes, HumanCount};
use serde_json::{Value, json};

/// Everything that was seen.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) mode: &'static str,
    pub(super) accel: &'static str,
    pub(super) machine: String,
    pub(super) memory_bytes: u64,
    pub(super) dirty_rate_mb_s: u64,
    /// The source's last `query-migrate`.
    pub(super) migration: Value,
    pub(super) passes_before: u64,
    pub(super) passes_after: u64,
    pub(super) checked_pages: u64,
    pub(super) bad_pages: u64,
    /// Longest distance between two time stamps of the guest across the move.
    pub(super) guest_gap_us: u64,
    /// What is not as it was; empty if all is well.
    /// How long each device took to load, as the destination says.
    pub(super) loaded: Value,
    pub(super) complaints: Vec<String>,
}

impl Report {
    pub(super) fn is_verified(&self) -> bool {
        self.complaints.is_empty()
    }

    fn number(&self, path: &[&str]) -> f64 {
        let found = path.iter().try_fold(&self.migration, |value, key| value.get(key));
        found.and_then(Value::as_f64).unwrap_or(0.0)
    }

    fn count(&self, path: &[&str]) -> u64 {
        let found = path.iter().try_fold(&self.migration, |value, key| value.get(key));
        found.and_then(Value::as_u64).unwrap_or(0)
    }

    fn list(&self, key: &str) -> &[Value] {
        self.migration.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// The document that `docs/cli.md` promises.
    pub(super) fn document(&self) -> Value {
        json!({
            "verified": self.is_verified(),
            "mode": self.mode,
            "accel": self.accel,
            "machine": self.machine,
            "memory_bytes": self.memory_bytes,
            "dirty_rate_mb_s": self.dirty_rate_mb_s,
            "total_ms": self.number(&["total-time"]),
            "downtime_ms": self.number(&["x-ferry-downtime-ms"]),
            "guest_gap_ms": self.guest_gap_us as f64 / 1000.0,
            "setup_ms": self.number(&["setup-time"]),
            "rounds": self.list("x-ferry-rounds").iter().map(round).collect::<Vec<_>>(),
            "ram": {
                "total_bytes": self.count(&["ram", "total"]),
                "transferred_bytes": self.count(&["ram", "transferred"]),
                "normal_pages": self.count(&["ram", "normal"]),
                "zero_pages": self.count(&["ram", "duplicate"]),
                "postcopy_requests": self.count(&["ram", "postcopy-requests"]),
            },
            "downtime_phases": self.list("x-ferry-downtime-phases"),
            "downtime_devices": {
                "saved": self.list("x-ferry-downtime-devices"),
                "loaded": self.loaded,
            },
            "guest": {
                "passes_before": self.passes_before,
                "passes_after": self.passes_after,
                "checked_pages": self.checked_pages,
                "bad_pages": self.bad_pages,
            },
            "complaints": self.complaints,
        })
    }

    /// The page for people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let seconds = self.number(&["total-time"]) / 1000.0;
        let sent = self.count(&["ram", "transferred"]);
        writeln!(out, "\n  round        pages      zero        sent       time    dirtied meanwhile")?;
        for (at, round) in self.list("x-ferry-rounds").iter().enumerate() {
            let count = |key| round.get(key).and_then(Value::as_u64).unwrap_or(0);
            let number = |key| round.get(key).and_then(Value::as_f64).unwrap_or(0.0);
            writeln!(
                out,
                "  {:>5} {:>12} {:>9} {:>11} {:>7.1} ms {:>10.1} MB/s",
                at + 1,
                HumanCount(count("pages-sent")).to_string(),
                HumanCount(count("zero-pages")).to_string(),
                BinaryBytes(count("bytes")).to_string(),
                number("ms"),
                number("dirty-rate-pages-s") * 4096.0 / 1e6,
            )?;
        }
        writeln!(out, "\n  moved      {} in {seconds:.2} s", BinaryBytes(sent))?;
        writeln!(
            out,
            "  downtime   {:.2} ms; the longest gap that the guest itself saw: {:.2} ms",
            self.number(&["x-ferry-downtime-ms"]),
            self.guest_gap_us as f64 / 1000.0
        )?;
        let phases = self.list("x-ferry-downtime-phases").iter().map(|phase| {
            let name = phase.get("name").and_then(Value::as_str).unwrap_or("?");
            let ms = phase.get("ms").and_then(Value::as_f64).unwrap_or(0.0);
            format!("{name} {ms:.2}")
        });
        writeln!(out, "             {} (ms)", phases.collect::<Vec<_>>().join(" · "))?;
        writeln!(
            out,
            "  guest      {} passes before, {} after; {} pages checked, {} bad\n",
            self.passes_before,
            self.passes_after,
            HumanCount(self.checked_pages),
            HumanCount(self.bad_pages)
        )?;
        if self.is_verified() {
            writeln!(out, "  \u{1b}[1;32mverified\u{1b}[0m   the guest runs on, and every page is as it left it")?;
        } else {
            writeln!(out, "  \u{1b}[1;31mNOT VERIFIED\u{1b}[0m")?;
            for complaint in &self.complaints {
                writeln!(out, "    {complaint}")?;
            }
        }
        Ok(())
    }
}

fn round(round: &Value) -> Value {
    let of = |key| round.get(key).cloned().unwrap_or(Value::Null);
    json!({
        "pages_sent": of("pages-sent"),
        "zero_pages": of("zero-pages"),
        "bytes": of("bytes"),
        "ms": of("ms"),
        "dirty_rate_pages_s": of("dirty-rate-pages-s"),
    })
}
