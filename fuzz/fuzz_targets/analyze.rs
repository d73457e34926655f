//! The analyzer on any stream.
//!
//! Oracles: no panic, memory within libFuzzer's limit; every offset is inside the stream; a file and a pipe give the
//! same report; the map of the stream has every octet once; the report in HTML is sound markup.

#![no_main]

#[path = "../../crates/vmferry-inspect/tests/html/markup.rs"]
mod markup;

use libfuzzer_sys::fuzz_target;
use vmferry_inspect::html::{AnalysisPage, write_analysis};
use vmferry_inspect::{Analysis, AnalyzeError, Options, Source, analyze, render};

fn text(outcome: &Result<Analysis, AnalyzeError>, end: u64) -> String {
    let (analysis, fault) = match outcome {
        Ok(analysis) => (analysis, String::new()),
        Err(AnalyzeError::Malformed(fault)) => {
            assert!(fault.offset <= end);
            (&fault.partial, fault.to_string())
        }
        Err(error) => panic!("reading memory failed: {error}"),
    };
    assert!(analysis.warnings.iter().all(|warning| warning.offset <= end));
    render::tree(analysis);
    let mapped = analysis.map.spans.iter().fold(0, |at, span| {
        assert_eq!(span.offset, at);
        at + span.bytes
    });
    assert!(mapped <= end);
    let mut html = Vec::new();
    let told = outcome.as_ref().err().map(ToString::to_string);
    let page = AnalysisPage { analysis, name: "stream", fault: told.as_deref() };
    write_analysis(page, &mut html).expect("memory can be written to");
    markup::read(std::str::from_utf8(&html).expect("a page is text"));
    analysis.to_json().expect("a report is JSON") + &fault
}

fuzz_target!(|data: &[u8]| {
    let end = data.len() as u64;
    let from_file = text(&analyze(Source::from_octets(data), &Options::default(), &mut ()), end);
    let from_pipe = text(&analyze(Source::pipe(data), &Options::default(), &mut ()), end);
    // The page size that only the description tells comes too late for a pipe.
    let page_size = |text: &str| text.lines().find(|line| line.contains("\"page_size\"")).map(str::to_owned);
    if page_size(&from_file) == page_size(&from_pipe) && !from_file.contains("in the description") {
        assert_eq!(from_file, from_pipe);
    }
});
