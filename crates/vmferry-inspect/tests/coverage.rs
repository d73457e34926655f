//! How much of the corpus is decoded; `docs/analyze.md` has the result.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failed test may panic")]

mod corpus_folder;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use corpus_folder::{corpus, sidecars, stream};
use vmferry_inspect::{AnalyzeError, Options, analyze};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/analyze.md");
const BEGIN: &str = "<!-- made by crates/vmferry-inspect/tests/coverage.rs; VMFERRY_BLESS=1 makes it anew -->\n";
const END: &str = "<!-- end of what is made -->";

/// Streams without warning, with, and failed.
#[derive(Default)]
struct Row([u32; 3]);

/// The table, and what is told of each stream that is not without warning.
fn table(corpus: &Path) -> String {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut told = String::new();
    for (name, sidecar) in sidecars(corpus) {
        let stream = stream(corpus, &name, &sidecar);
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::default();
        options.extract_ram = Some(folder.path().join("ram"));
        for (file, octets) in &stream.kept {
            fs::write(folder.path().join(file), octets).unwrap();
            options.shared_ram.push((file.replace("ram", "m"), folder.path().join(file)));
        }
        let outcome = analyze(stream.inputs(), &options, &mut ());
        let (analysis, place) = match &outcome {
            Ok(analysis) if analysis.warnings.is_empty() => (analysis, 0),
            Ok(analysis) => (analysis, 1),
            Err(AnalyzeError::Malformed(fault)) => (&fault.partial, 2),
            Err(error) => panic!("{name}: {error}"),
        };
        let words: Vec<_> = analysis.dialects.iter().map(|dialect| dialect.word()).collect();
        rows.entry(words.join(", ")).or_default().0[place] += 1;
        if let Err(error) = &outcome {
            writeln!(told, "- `{name}`: {error}").unwrap();
        }
        for warning in &analysis.warnings {
            writeln!(told, "- `{name}`: at 0x{:x}: {}", warning.offset, warning.text).unwrap();
        }
    }
    let mut table = String::from("| dialects | without warning | with | failed |\n|---|---|---|---|\n");
    let mut sum = [0; 3];
    for (words, Row(counts)) in rows {
        writeln!(table, "| {words} | {} | {} | {} |", counts[0], counts[1], counts[2]).unwrap();
        sum = std::array::from_fn(|i| sum[i] + counts[i]);
    }
    writeln!(table, "| **all** | **{}** | **{}** | **{}** |\n\nWhat is told of them:\n", sum[0], sum[1], sum[2])
        .unwrap();
    table + &told
}

#[test]
fn the_page_has_the_coverage_of_the_corpus() {
    let Some(corpus) = corpus() else { return };
    let table = table(&corpus);
    let page = fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (stands, after) = rest.split_once(END).unwrap();
    if env::var_os("VMFERRY_BLESS").is_some() {
        fs::write(PAGE, [before, BEGIN, &table, END, after].concat()).unwrap();
        return;
    }
    assert_eq!(stands, table, "VMFERRY_BLESS=1 makes the table anew");
}
