//! One reply to `query-migrate`, of ours or of QEMU's, and what is told about it.
//!
//! Source: `docs/spec/control.md` sections 5, 8 and 12. All members are optional; unknown ones are ignored; a status
//! that is not known is one that goes on.

use std::fmt::Write as _;

use indicatif::BinaryBytes;
use serde_json::{Value, json};

/// A reply to `query-migrate`.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Snapshot(Value);

/// Bytes in a megabit per second, QEMU's unit of rates.
const BYTES_PER_MEGABIT: f64 = 1e6 / 8.0;

impl Snapshot {
    pub(in crate::commands) fn new(reply: Value) -> Self {
        Self(reply)
    }

    /// The reply as it came.
    pub(in crate::commands) fn reply(&self) -> &Value {
        &self.0
    }

    /// The status; `none` if there is none.
    pub(in crate::commands) fn status(&self) -> &str {
        self.0.get("status").and_then(Value::as_str).unwrap_or("none")
    }

    /// Whether nothing will change any more.
    pub(in crate::commands) fn is_final(&self) -> bool {
        matches!(self.status(), "completed" | "failed" | "cancelled")
    }

    /// What went wrong.
    pub(in crate::commands) fn error(&self) -> Option<&str> {
        self.0.get("error-desc").and_then(Value::as_str)
    }

    /// Bytes of RAM, and how many of them are still to be sent; `None` before there are any.
    pub(in crate::commands) fn remaining_of_total(&self) -> Option<(u64, u64)> {
        let total = self.ram("total").and_then(Value::as_u64).filter(|total| *total > 0)?;
        Some((self.ram("remaining").and_then(Value::as_u64).unwrap_or(0).min(total), total))
    }

    /// Dirty synchronisations so far; each begins a round.
    pub(in crate::commands) fn round(&self) -> u64 {
        self.ram("dirty-sync-count").and_then(Value::as_u64).unwrap_or(0)
    }

    /// One line: `round 3, 812.44 MiB/s, 12.30 MiB left, 3.10 MiB/s dirtied, downtime about 45 ms`.
    pub(in crate::commands) fn line(&self) -> String {
        let Some((remaining, _)) = self.remaining_of_total() else { return self.status().to_owned() };
        let number = |member| self.ram(member).and_then(Value::as_f64).unwrap_or(0.0);
        let rate = whole(number("mbps") * BYTES_PER_MEGABIT);
        let dirty = whole(number("dirty-pages-rate") * number("page-size"));
        let mut line = format!(
            "round {}, {}/s, {} left, {}/s dirtied",
            self.round(),
            BinaryBytes(rate),
            BinaryBytes(remaining),
            BinaryBytes(dirty)
        );
        if let Some(ms) = self.0.get("expected-downtime").and_then(Value::as_u64) {
            let _ = write!(line, ", downtime about {ms} ms");
        }
        if self.status() != "active" {
            let _ = write!(line, " ({})", self.status());
        }
        line
    }

    /// What is printed once the migration has completed.
    pub(in crate::commands) fn summary(&self) -> String {
        let mut text = "migrated".to_owned();
        if let Some(ms) = self.0.get("total-time").and_then(Value::as_u64) {
            let _ = write!(text, " in {}.{:03} s", ms / 1000, ms % 1000);
        }
        if let Some(ms) = self.downtime_ms().as_f64() {
            let _ = write!(text, ", downtime {ms} ms");
        }
        text.push('\n');
        if let Some((_, total)) = self.remaining_of_total() {
            let count = |member| self.ram(member).and_then(Value::as_u64).unwrap_or(0);
            let _ = writeln!(
                text,
                "  {} sent for {} of RAM in {} {}: {} pages with content, {} zero",
                BinaryBytes(count("transferred")),
                BinaryBytes(total),
                self.round(),
                if self.round() == 1 { "round" } else { "rounds" },
                count("normal"),
                count("duplicate"),
            );
        }
        let phases: Vec<_> = self
            .list("x-ferry-downtime-phases")
            .filter_map(|phase| Some(format!("{} {:.2} ms", phase.get("name")?.as_str()?, phase.get("ms")?.as_f64()?)))
            .collect();
        if !phases.is_empty() {
            let _ = writeln!(text, "  downtime: {}", phases.join(", "));
        }
        text
    }

    /// The JSON document of the command. What the machine does not tell is absent.
    pub(in crate::commands) fn document(&self) -> Value {
        let mut document = json!({ "status": self.status() });
        let mut add = |name: &str, value: Option<Value>| {
            if let (Some(value), Some(members)) = (value.filter(|value| !value.is_null()), document.as_object_mut()) {
                members.insert(name.to_owned(), value);
            }
        };
        add("total_ms", self.0.get("total-time").cloned());
        add("setup_ms", self.0.get("setup-time").cloned());
        add("downtime_ms", Some(self.downtime_ms()));
        add("error", self.error().map(Value::from));
        add("owner", self.0.get("x-ferry-owner").cloned());
        add(
            "ram",
            self.0.get("ram").map(|ram| {
                json!({
                    "total_bytes": ram.get("total"),
                    "transferred_bytes": ram.get("transferred"),
                    "normal_pages": ram.get("normal"),
                    "zero_pages": ram.get("duplicate"),
                    "postcopy_requests": ram.get("postcopy-requests"),
                    "dirty_sync_count": ram.get("dirty-sync-count"),
                })
            }),
        );
        add(
            "rounds",
            self.0.get("x-ferry-rounds").map(|_| {
                let rounds = self.list("x-ferry-rounds").map(|round| {
                    json!({
                        "pages_sent": round.get("pages-sent"),
                        "zero_pages": round.get("zero-pages"),
                        "bytes": round.get("bytes"),
                        "ms": round.get("ms"),
                        "dirty_rate_pages_s": round.get("dirty-rate-pages-s"),
                    })
                });
                rounds.collect()
            }),
        );
        add("downtime_phases", self.0.get("x-ferry-downtime-phases").cloned());
        document
    }

    /// Exact where the machine tells it so, else whole milliseconds.
    fn downtime_ms(&self) -> Value {
        self.0.get("x-ferry-downtime-ms").or_else(|| self.0.get("downtime")).cloned().unwrap_or_default()
    }

    fn ram(&self, member: &str) -> Option<&Value> {
        self.0.get("ram")?.get(member)
    }

    fn list(&self, member: &str) -> impl Iterator<Item = &Value> {
        self.0.get(member).and_then(Value::as_array).into_iter().flatten()
    }
}

/// A rate as a whole number of bytes.
fn whole(rate: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, as wanted")]
    let whole = rate as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What QEMU 10.0 answers in the middle.
    fn active() -> Snapshot {
        Snapshot::new(json!({
            "status": "active", "expected-downtime": 300, "setup-time": 5, "total-time": 1234,
            "ram": {
                "total": 1 << 30, "remaining": 512 << 20, "mbps": 8.388_608, "dirty-pages-rate": 256,
                "page-size": 4096, "dirty-sync-count": 3, "transferred": 1 << 20, "normal": 256, "duplicate": 7,
                "postcopy-requests": 0,
            },
        }))
    }

    #[test]
    fn the_line_has_round_rate_remainder_dirty_rate_and_downtime() {
        let expected = "round 3, 1.00 MiB/s, 512.00 MiB left, 1.00 MiB/s dirtied, downtime about 300 ms";
        assert_eq!(active().line(), expected);
        assert_eq!(Snapshot::new(json!({"status": "setup"})).line(), "setup");
        assert_eq!(Snapshot::new(json!({})).line(), "none");
    }

    #[test]
    fn only_three_statuses_are_final() {
        for status in ["completed", "failed", "cancelled"] {
            assert!(Snapshot::new(json!({ "status": status })).is_final());
        }
        for status in ["setup", "active", "device", "cancelling", "failing", "one-of-the-future"] {
            assert!(!Snapshot::new(json!({ "status": status })).is_final());
        }
        assert!(!Snapshot::new(json!({})).is_final());
    }

    #[test]
    fn the_document_has_what_qemu_tells() {
        let document = active().document();
        let ram = json!({
            "total_bytes": 1 << 30, "transferred_bytes": 1 << 20, "normal_pages": 256, "zero_pages": 7,
            "postcopy_requests": 0, "dirty_sync_count": 3,
        });
        assert_eq!(document, json!({"status": "active", "total_ms": 1234, "setup_ms": 5, "ram": ram}));
    }

    #[test]
    fn document_and_summary_have_what_ours_tells_more() {
        let snapshot = Snapshot::new(json!({
            "status": "completed", "total-time": 1050, "downtime": 13, "x-ferry-downtime-ms": 12.25,
            "x-ferry-owner": "destination", "x-ferry-downtime-phases": [{"name": "devices", "ms": 1.5}],
            "x-ferry-rounds": [{"pages-sent": 1, "zero-pages": 2, "bytes": 3, "ms": 4.5, "dirty-rate-pages-s": 6.0}],
        }));
        assert_eq!(
            snapshot.document(),
            json!({
                "status": "completed", "total_ms": 1050, "downtime_ms": 12.25, "owner": "destination",
                "rounds": [{"pages_sent": 1, "zero_pages": 2, "bytes": 3, "ms": 4.5, "dirty_rate_pages_s": 6.0}],
                "downtime_phases": [{"name": "devices", "ms": 1.5}],
            })
        );
        assert_eq!(snapshot.summary(), "migrated in 1.050 s, downtime 12.25 ms\n  downtime: devices 1.50 ms\n");
    }
}
