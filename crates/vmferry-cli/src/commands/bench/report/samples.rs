//! A report with one of everything, for the tests of what is written of it.

use super::Report;
use crate::commands::bench::host::Host;
use crate::commands::bench::peer::Peer;
use crate::commands::bench::results::{Also, Ended, Measured, Role, Row, Target, Unit};
use crate::commands::bench::statistics::Samples;

fn row(name: &str, role: Role, figures: &[f64], also: &[f64]) -> Row {
    let also = if also.is_empty() { Vec::new() } else { vec![Samples(also.to_vec())] };
    Row { name: name.to_owned(), role, samples: Samples(figures.to_vec()), also, failed: None }
}

fn precopy() -> Measured {
    Measured {
        name: "precopy",
        title: "Moving a paused guest of 1024 MiB of random bytes".to_owned(),
        unit: Unit::GIB_PER_S,
        also: vec![Also { key: "downtime_ms", name: "downtime, ms", digits: 1 }],
        rows: vec![
            row("vmferry", Role::Ours, &[2.0, 1.5, 2.5], &[250.0, 251.0, 249.5]),
            row("QEMU 10.0.2", Role::Peer, &[1.0, 1.5, 2.0], &[260.0, 300.0, 255.0]),
            row("plain copy into fresh memory", Role::Limit, &[3.0, 3.125, 2.875], &[]),
        ],
        targets: vec![
            Target { what: "at least QEMU's rate", role: Role::Peer, times: 1.0 },
            Target { what: "at least 0.8 of a plain copy", role: Role::Limit, times: 0.8 },
        ],
        notes: vec!["Unix sockets.".to_owned()],
    }
}

fn sparse() -> Measured {
    let mut theirs = row("QEMU 10.0.2", Role::Peer, &[], &[]);
    theirs.failed = Some("the destination: it ended (it said: <no> | \"memory\" & no luck)".to_owned());
    Measured {
        name: "sparse",
        title: "Moving a guest that uses little".to_owned(),
        unit: Unit::SECONDS,
        also: Vec::new(),
        rows: vec![row("vmferry", Role::Ours, &[0.25, 0.5, 0.375], &[]), theirs],
        targets: vec![Target { what: "no longer than QEMU", role: Role::Peer, times: 1.0 }],
        notes: Vec::new(),
    }
}

pub(super) fn report() -> Report {
    Report {
        host: Host {
            processor: "A Processor, family 6 model 106".to_owned(),
            cores: 2,
            memory_gib: 24,
            kernel: "6.18.0".to_owned(),
            huge_pages: "madvise".to_owned(),
        },
        command: "vmferry bench --out results".to_owned(),
        peer: Ok(Peer { program: "/opt/qemu/bin/qemu-system-x86_64".into(), version: "10.0.2".to_owned() }),
        pairs: 3,
        is_optimized: true,
        ended: vec![
            Ended::Measured(precopy()),
            Ended::Measured(sparse()),
            Ended::LeftOut { name: "multifd", why: "it needs 5.0 GiB of memory, and 3.2 GiB are available".to_owned() },
            Ended::Failed { name: "limits", why: "a folder in /nowhere: no such file".to_owned() },
        ],
    }
}
