//! Instructions that encoding and decoding an image of each kind take, counted by callgrind and compared with
//! `benches/instructions.txt`: `cargo bench -p vmstate --bench instructions`.
//!
//! This program runs itself under `valgrind --tool=callgrind` twice, with different numbers of repetitions; the
//! difference is free of everything around them. Counts do not depend on the load of the machine, but on the compiler
//! and, where the C library chooses a `memcpy`, a little on the processor; so a change of less than
//! [`TOLERANCE_PERCENT`] is none. `-- --bless` writes the file.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark may stop by panicking and documents nothing")]

#[path = "kinds/mod.rs"]
mod kinds;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use kinds::{Kind, decode_over, encoded};

const TOLERANCE_PERCENT: f64 = 5.0;
const FEW: u64 = 100;
const MANY: u64 = 1100;

/// Does `$body` with the type `$kind` for each kind.
macro_rules! for_each_kind {
    ($kind:ident => $body:expr) => {{
        use kinds::*;
        for_each_kind!(@ $kind => $body; Registers Array Structs Counted Buffer Bitmap List Tree Pointers Subsections)
    }};
    (@ $kind:ident => $body:expr; $first:ident $($rest:ident)*) => {{
        {
            type $kind = $first;
            $body
        }
        for_each_kind!(@ $kind => $body; $($rest)*)
    }};
    (@ $kind:ident => $body:expr;) => {{}};
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match &*arguments.iter().map(String::as_str).collect::<Vec<_>>() {
        ["--repeat", operation, kind, count] => repeat(operation, kind, count.parse().unwrap()),
        [] => return compare(false),
        ["--bless"] => return compare(true),
        _ => {
            eprintln!("usage: instructions [--bless]");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// What is counted.
fn repeat(operation: &str, kind: &str, count: u64) {
    for_each_kind!(K => if K::NAME == kind {
        match operation {
            "encode" => encode::<K>(count),
            _ => decode::<K>(count),
        }
    });
}

fn encode<K: Kind>(count: u64) {
    let (image, mut octets) = (K::full(), encoded::<K>());
    for _ in 0..count {
        octets.clear();
        black_box(&image).encode(&(), &mut octets).unwrap();
        black_box(&octets);
    }
}

fn decode<K: Kind>(count: u64) {
    let (mut octets, mut image) = (encoded::<K>(), K::template());
    octets.push(0x7e);
    for _ in 0..count {
        decode_over(black_box(&mut image), black_box(&octets));
    }
}

fn compare(bless: bool) -> ExitCode {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.txt");
    let committed = parse(&std::fs::read_to_string(&path).unwrap_or_default());
    let (mut text, mut changed) = (String::from("# kind; octets; instructions to encode; to decode\n"), 0);
    let mut counted = true;
    for_each_kind!(K => {
        let counts = ["encode", "decode"].map(|operation| count(operation, K::NAME));
        if let [Some(encode), Some(decode)] = counts {
            let _ = writeln!(text, "{}; {}; {encode}; {decode}", K::NAME, encoded::<K>().len());
            for (what, now, before) in [("encode", encode, 0), ("decode", decode, 1)].map(|(what, now, at)| {
                (what, now, committed.get(K::NAME).map(|counts: &[u64; 2]| if at == 0 { counts[0] } else { counts[1] }))
            }) {
                changed += usize::from(!report(K::NAME, what, now, before));
            }
        } else {
            counted = false;
        }
    });
    if !counted {
        eprintln!("valgrind is needed: it is in the package of that name");
        return ExitCode::from(4);
    }
    if bless {
        std::fs::write(&path, text).unwrap();
        return ExitCode::SUCCESS;
    }
    if changed > 0 {
        println!("{changed} counts changed by more than {TOLERANCE_PERCENT} %; if that is meant: -- --bless");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Prints one count; whether it is what was committed.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn report(kind: &str, what: &str, now: u64, before: Option<u64>) -> bool {
    let Some(before) = before else {
        println!("{kind:32} {what:8} {now:8}  new");
        return false;
    };
    let percent = (now as f64 - before as f64) * 100.0 / before as f64;
    println!("{kind:32} {what:8} {now:8}  {percent:+6.1} %");
    percent.abs() <= TOLERANCE_PERCENT
}

/// Instructions for one repetition; nothing if valgrind cannot be run.
fn count(operation: &str, kind: &str) -> Option<u64> {
    let total = |count: u64| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().unwrap())
            .args(["--repeat", operation, kind, &count.to_string()])
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stderr);
        let collected = text.lines().find_map(|line| line.split_once("Collected :"))?.1;
        collected.trim().parse::<u64>().ok()
    };
    Some((total(MANY)?.saturating_sub(total(FEW)?)) / (MANY - FEW))
}

fn parse(text: &str) -> BTreeMap<String, [u64; 2]> {
    let line = |line: &str| {
        let mut parts = line.split("; ");
        let (kind, _octets) = (parts.next()?.to_owned(), parts.next()?);
        Some((kind, [parts.next()?.parse().ok()?, parts.next()?.parse().ok()?]))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(line).collect()
}
