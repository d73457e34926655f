//! How much the laboratory runs, and `docs/breaks.md`, which says where each break is.
//!
//! The table of figures there is made by `VMFERRY_BLESS=1 cargo test -p vmstate-lab --test laboratory`; a run that does
//! not give the same fails, so that no pair gets lost unnoticed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use vmferry_inspect::{Options, Source, analyze};
use vmstate_lab::{Figures, Lab};

use crate::{breaks, recipes};

const START: &str =
    "<!-- made by the tests of vmstate-lab: VMFERRY_BLESS=1 cargo test -p vmstate-lab --test laboratory -->";

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/breaks.md")
}

fn all() -> Vec<(&'static str, Lab)> {
    let mut all = recipes::all();
    all.extend(breaks::all());
    all
}

#[test]
fn every_laboratory_runs_and_the_figures_are_those_of_the_page() {
    let mut made = format!("{START}\n\n");
    made +=
        "| laboratory | pairs | of them with an island's settings | chains | expected failures | expected differences ";
    made += "| refused loads left devices alone | streams compared |\n|---|---|---|---|---|---|---|---|\n";
    let mut sum = Figures::default();
    let mut row = |name: &str, figures: Figures| {
        let Figures { pairs, chains, expected_failures, expected_differences, .. } = figures;
        let Figures { sticky_pairs, refused_untouched, octet_comparisons, .. } = figures;
        writeln!(
            made,
            "| {name} | {pairs} | {sticky_pairs} | {chains} | {expected_failures} | {expected_differences} | {refused_untouched} | {octet_comparisons} |"
        )
        .unwrap();
    };
    for (name, lab) in all() {
        let report = lab.run();
        report.assert();
        assert!(report.figures.pairs > 0 && report.figures.chains_left_out == 0, "{name}");
        row(name, report.figures);
        sum = sum + report.figures;
    }
    row("**all**", sum);
    println!("{sum}");
    let text = fs::read_to_string(page()).unwrap();
    let (before, written) = text.split_once(START).expect("the page has the mark of the table");
    if env::var_os("VMFERRY_BLESS").is_some() {
        fs::write(page(), format!("{before}{made}")).unwrap();
    } else {
        let written = format!("{START}{written}");
        let line = made.lines().zip(written.lines()).find(|(made, written)| made != written);
        assert!(made == written, "docs/breaks.md has other figures; VMFERRY_BLESS=1 writes them: {line:?}");
    }
}

/// Break 17 of the survey: a tool that does not know what a release sends. Every stream of the laboratory is one.
#[test]
fn our_own_analysis_reads_every_stream_of_the_laboratory() {
    let mut read = 0;
    for (name, lab) in all() {
        for (release, machine, stream) in lab.streams() {
            let analysis = analyze(Source::from_octets(&stream.octets), &Options::default(), &mut ())
                .unwrap_or_else(|error| panic!("{name}, {release} {machine}: {error}"));
            assert!(!analysis.is_truncated() && analysis.end.vmdesc, "{name}, {release} {machine}");
            let devices = analysis.sections.iter().filter(|section| section.name != "ram").count();
            assert_eq!(devices, stream.sections.len(), "{name}, {release} {machine}");
            read += 1;
        }
    }
    assert!(read > 200, "only {read} streams");
}

/// Rows of the first table: break, what is done about it, tests.
fn rows(text: &str) -> Vec<[String; 4]> {
    let (before, _) = text.split_once(START).unwrap();
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = before.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #"));
    rows.filter_map(|line| <[String; 4]>::try_from(cells(line)).ok()).collect()
}

#[test]
fn the_page_has_each_break_with_a_test_that_exists() {
    let text = fs::read_to_string(page()).unwrap();
    let rows = rows(&text);
    let numbers: Vec<&str> = rows.iter().map(|[number, ..]| number.as_str()).collect();
    let expected: Vec<String> = (1..=27).map(|number: u32| number.to_string()).collect();
    assert_eq!(numbers, expected);
    for [number, _, _, tests_of_it] in &rows {
        let named: Vec<&str> = tests_of_it.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "break {number} names no test");
        for name in named {
            let (file, test) = name.split_once("::").map_or((name, None), |(file, test)| (file, Some(test)));
            let source = fs::read_to_string(tests().join(file));
            let source = source.unwrap_or_else(|error| panic!("break {number}: {file}: {error}"));
            if let Some(test) = test {
                assert!(source.contains(&format!("fn {test}()")), "break {number}: no test {test} in {file}");
            } else {
                assert!(source.contains("#[test]") || file.starts_with("ui/"), "break {number}: no test in {file}");
            }
        }
    }
    for file in fs::read_dir(tests().join("laboratory/breaks")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let number = name.trim_start_matches('b').get(..2).and_then(|number| number.parse::<u32>().ok());
        let Some(number) = number else { continue };
        let row = rows.iter().find(|row| row[0] == number.to_string()).unwrap();
        assert!(row[3].contains(&name), "docs/breaks.md does not name {name} for break {number}");
    }
}
