//! What `check --stream` foretells, and what real QEMUs do then.
//!
//! Each case of `cases.toml` is saved by one release, after its firmware ran for a moment, and loaded by another. A
//! stream that is foretold to load and is refused is the worst error, and fails the test, as does the opposite. With
//! `VMFERRY_FORETOLD=all` every case is tried with every pair of releases, otherwise with one, which differs from case
//! to case. The table that is printed has precision and recall.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../kit/mod.rs"]
mod kit;
#[path = "../kit/real_qemu.rs"]
mod real_qemu;
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kit::{qemu, run};
use real_qemu::Qemu;
use serde::Deserialize;
use table::{LEVELS, Table};

const RELEASES: [&str; 4] = ["5.2", "7.2", "10.0", "11.1"];

/// How long the firmware runs.
const MOMENT: Duration = Duration::from_millis(400);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    machine: Option<String>,
    source: Vec<String>,
    destination: Option<Vec<String>>,
    memory: Option<String>,
}

/// One case between two releases.
#[derive(Debug, Clone, Copy)]
struct Attempt<'c> {
    case: &'c Case,
    from: usize,
    to: usize,
    board: &'static str,
}

#[test]
fn real_destinations_do_what_is_foretold() {
    if RELEASES.iter().any(|release| qemu(&format!("qemu-{release}-x86_64")).is_none()) {
        return;
    }
    let cases: Cases = toml::from_str(include_str!("cases.toml")).unwrap();
    let attempts = attempts(&cases.case, std::env::var_os("VMFERRY_FORETOLD").is_some_and(|all| all == "all"));
    let folder = tempfile::tempdir().unwrap();
    for release in RELEASES {
        let mut dump = Command::new(qemu(&format!("qemu-{release}-x86_64")).unwrap());
        dump.args(["-M", "pc", "-dump-vmstate"]).arg(schema(folder.path(), release));
        assert!(dump.output().unwrap().status.success(), "{release}");
    }
    let (next, table) = (AtomicUsize::new(0), Mutex::new(Table::default()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(attempt) = attempts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some((loads, verdicts)) = one(*attempt, folder.path()) {
                        table.lock().unwrap().add(&attempt.to_string(), loads, verdicts);
                    }
                }
            });
        }
    });
    let table = table.into_inner().unwrap();
    println!("{table}");
    assert!(table.loaded() >= 20 && table.refused() >= 20, "too few of either to say anything: {table}");
    assert!(table.wrong().is_empty(), "foretold wrongly: {:#?}", table.wrong());
}

fn schema(folder: &Path, release: &str) -> PathBuf {
    folder.join(format!("{release}.json"))
}

fn attempts(cases: &[Case], all: bool) -> Vec<Attempt<'_>> {
    let boards = |case: &Case| match case.machine.as_deref() {
        Some("q35") => vec!["q35"],
        Some("pc") => vec!["i440fx"],
        _ => vec!["i440fx", "q35"],
    };
    let pairs = RELEASES.len() * RELEASES.len();
    let mut attempts = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let boards = boards(case);
        let whole = boards.iter().flat_map(|board| (0..pairs).map(move |pair| (*board, pair)));
        let chosen: Vec<_> = match all {
            true => whole.collect(),
            // Seven is prime to the number of pairs: neighbours differ, and all are met.
            false => vec![(boards[number % boards.len()], number * 7 % pairs)],
        };
        attempts.extend(chosen.into_iter().map(|(board, pair)| Attempt {
            case,
            from: pair / RELEASES.len(),
            to: pair % RELEASES.len(),
            board,
        }));
    }
    attempts
}

/// Whether the destination loads the stream, and what was foretold at each level; `None` if an end does not know its
/// arguments, or the source cannot be saved.
fn one(attempt: Attempt<'_>, folder: &Path) -> Option<(bool, [String; LEVELS.len()])> {
    let Attempt { case, from, to, board } = attempt;
    let scratch = tempfile::tempdir_in(folder).unwrap();
    for (name, len) in [("d0", 1 << 20), ("f", 1_474_560), ("rom64", 64 << 10), ("rom128", 128 << 10)] {
        std::fs::File::create(scratch.path().join(name)).unwrap().set_len(len).unwrap();
    }
    let machine = format!("pc-{board}-{}", RELEASES[from.min(to)]);
    let words = |given: &[String], memory: &str| -> Vec<String> {
        let mut words: Vec<String> = ["-M", &machine, "-m", memory].map(str::to_owned).to_vec();
        words.extend(given.iter().map(|word| {
            let files = ["d0", "f", "rom64", "rom128"].into_iter();
            files.fold(word.clone(), |word, name| {
                word.replace(&format!("@{name}@"), scratch.path().join(name).to_str().unwrap())
            })
        }));
        words
    };
    let source = words(&case.source, "32");
    let given = case.destination.as_ref().unwrap_or(&case.source);
    let destination = words(given, case.memory.as_deref().unwrap_or("32"));
    let start = |release: usize, words: &[String], more: &[&'static str]| {
        let words: Vec<&str> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Qemu::try_start(RELEASES[release], &words).ok()
    };
    let (stream, reference) = (scratch.path().join("stream"), scratch.path().join("reference"));
    let mut saving = start(from, &source, &[])?;
    saving.run_for(MOMENT);
    saving.try_save(&stream).ok()?;
    drop(saving);
    start(to, &destination, &[])?.try_save(&reference).ok()?;
    let loads = start(to, &destination, &["-incoming", "defer"])?.load(&stream).is_ok();

    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (schema, reference) = (text(&schema(folder, RELEASES[to])), text(&reference));
    let verdicts = LEVELS.map(|level| {
        let mut words = vec!["check".to_owned(), "--json".to_owned(), "--stream".to_owned(), text(&stream)];
        match level {
            "schema" => words.push(schema.clone()),
            "machine" => words.extend([schema.clone(), "--machine".to_owned(), machine.clone()]),
            _ => words.extend(["--reference".to_owned(), reference.clone(), schema.clone()]),
        }
        let ran = run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let document = ran.document();
        assert_eq!(document["level"], level);
        document["verdict"].as_str().unwrap().to_owned()
    });
    Some((loads, verdicts))
}

impl std::fmt::Display for Attempt<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { case, from, to, board } = self;
        write!(f, "{} on {board}, {} to {}", case.name, RELEASES[*from], RELEASES[*to])
    }
}
