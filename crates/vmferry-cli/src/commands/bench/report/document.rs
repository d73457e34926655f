//! The JSON document, described in `docs/cli.md`.

use serde_json::{Map, Value, json};

use super::Report;
use crate::commands::bench::results::{Ended, Measured, Row, Verdict};

impl Report {
    /// The document of `--json` and `bench.json`.
    pub(in crate::commands::bench) fn document(&self) -> Value {
        let peer = match &self.peer {
            Ok(peer) => json!({ "program": peer.place(), "version": peer.version }),
            Err(_) => Value::Null,
        };
        json!({
            "vmferry": env!("CARGO_PKG_VERSION"),
            "optimized": self.is_optimized,
            "command": self.command,
            "machine": self.host.json(),
            "peer": peer,
            "no_peer": self.peer.as_ref().err(),
            "pairs": self.pairs,
            "measurements": self.ended.iter().map(ended).collect::<Vec<_>>(),
        })
    }
}

fn ended(ended: &Ended) -> Value {
    match ended {
        Ended::Measured(measured) => self::measured(measured),
        Ended::LeftOut { name, why } => json!({ "name": name, "outcome": "left-out", "why": why }),
        Ended::Failed { name, why } => json!({ "name": name, "outcome": "failed", "why": why }),
    }
}

fn measured(measured: &Measured) -> Value {
    let Measured { name, title, unit, also: _, rows, targets, notes } = measured;
    let targets = targets.iter().map(|target| {
        let verdict = measured.verdict(target);
        let times = match &verdict {
            Verdict::Met(times) | Verdict::Missed(times) => times.json(),
            Verdict::Open => Value::Null,
        };
        json!({ "what": target.what, "least_times": target.times, "verdict": verdict.name(), "times": times })
    });
    json!({
        "name": name,
        "outcome": "measured",
        "title": title,
        "unit": unit.name,
        "better": if unit.more_is_better { "more" } else { "less" },
        "kinds": rows.iter().map(|row| kind(measured, row)).collect::<Vec<_>>(),
        "targets": targets.collect::<Vec<_>>(),
        "notes": notes,
    })
}

fn kind(measured: &Measured, row: &Row) -> Value {
    let Row { name, role, samples, also, failed } = row;
    let also: Map<String, Value> =
        measured.also.iter().zip(also).map(|(also, samples)| (also.key.to_owned(), samples.json())).collect();
    json!({
        "name": name,
        "role": role.name(),
        "figures": samples.json(),
        "also": also,
        "vmferry_times_as_good": measured.times_as_good(row).json(),
        "failed": failed,
    })
}
