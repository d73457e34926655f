//! The page on a stream.

use std::collections::HashSet;
use std::path::Path;

use vmferry_inspect::html::{AnalysisPage, write_analysis};
use vmferry_inspect::limits::{HTML_BYTES_LIMIT, HTML_ROW_COUNT_LIMIT};
use vmferry_inspect::stream_map::SpanKind;
use vmferry_inspect::{Analysis, AnalyzeError, Object, Options, Scalar, Source, Value, Warning, analyze};

use crate::{golden, markup};

const NONE: &[u8] = include_bytes!("../data/none-10.0.bin");

/// Whatever might be taken for markup.
const HOSTILE: &str =
    "<script>alert('x')</script>\"><img src=http://x onerror=\"1\">&amp;\u{1b}[2J\u{202e}</details></main>";

fn recorded() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let streams = names.filter(|path| path.to_str().unwrap().ends_with(".bin.zst"));
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap())
    };
    let streams: Vec<_> = streams.map(read).collect();
    assert!(streams.len() > 5);
    streams
}

fn read(octets: &[u8]) -> Analysis {
    analyze(Source::from_octets(octets), &Options::default(), &mut ()).unwrap()
}

fn page(analysis: &Analysis, name: &str, fault: Option<&str>) -> String {
    let mut html = Vec::new();
    write_analysis(AnalysisPage { analysis, name, fault }, &mut html).unwrap();
    String::from_utf8(html).unwrap()
}

#[test]
fn a_small_stream_has_its_page() {
    golden::hold("none-10.0.html", &page(&read(NONE), "none-10.0.bin", None));
}

#[test]
fn every_section_block_and_field_of_real_streams_is_there() {
    for (name, octets) in recorded() {
        let analysis = read(&octets);
        let html = page(&analysis, &name, None);
        let elements = markup::read(&html);
        let texts = |tag: &str| elements.iter().filter(|e| e.tag == tag).map(|e| e.text.clone()).collect::<Vec<_>>();
        let devices: Vec<_> = analysis.sections.iter().map(|s| format!("{}/{}", s.name, s.instance_id)).collect();
        assert_eq!(texts("h4"), devices, "{name}");
        let rows: HashSet<_> = texts("th").into_iter().collect();
        assert!(analysis.ram.blocks.iter().all(|block| rows.contains(&block.id)), "{name}");
        let fields: HashSet<_> = texts("span").into_iter().chain(texts("small")).collect();
        for section in &analysis.sections {
            for (field, _) in &section.state.fields {
                let first = format!("{field}[0]");
                assert!(fields.contains(field) || fields.contains(&first), "{name}: {} {field}", section.name);
            }
            for (subsection, _) in &section.state.subsections {
                assert!(fields.contains(subsection), "{name}: {subsection}");
            }
        }
        // Values as they are in the document.
        let offsets: HashSet<_> = texts("code").into_iter().collect();
        assert!(analysis.sections.iter().all(|s| offsets.contains(&format!("0x{:x}", s.offset))), "{name}");
    }
}

#[test]
fn the_map_has_every_octet_once() {
    for (name, octets) in recorded() {
        let map = read(&octets).map;
        let mut at = 0;
        for span in &map.spans {
            assert_eq!(span.offset, at, "{name}");
            at += span.bytes;
        }
        assert_eq!((at, map.unread_bytes), (octets.len() as u64, Some(0)), "{name}");
        assert_eq!(map.spans[0].kind, SpanKind::Head);
        let last: Vec<_> = map.spans.iter().rev().take(2).map(|span| span.kind.clone()).collect();
        assert_eq!(last, [SpanKind::Description, SpanKind::End], "{name}");
        // From a pipe, the same.
        let piped = analyze(Source::pipe(&octets[..]), &Options::default(), &mut ()).unwrap();
        assert_eq!(piped.map, map, "{name}");
    }
}

#[test]
fn what_pages_take_is_what_ram_takes() {
    for (name, octets) in recorded() {
        let analysis = read(&octets);
        let pages: u64 = analysis.ram.blocks.iter().map(|block| block.bytes.total()).sum();
        let ram =
            analysis.map.spans.iter().filter(|span| span.kind == SpanKind::Ram).map(|span| span.bytes).sum::<u64>();
        // Around the pages are the list of blocks, and headers, end records and footers of the sections.
        let parts: u64 = analysis.map.spans.iter().filter(|s| s.kind == SpanKind::Ram).map(|span| span.elements).sum();
        let list: u64 = 8 + analysis.ram.blocks.iter().map(|block| 1 + block.id.len() as u64 + 8).sum::<u64>();
        let start = 1 + 4 + 1 + 3 + 4 + 4;
        assert_eq!(ram, pages + list + start + (parts - 1) * 5 + parts * (8 + 5), "{name}");
    }
}

#[test]
fn a_cut_stream_says_so_at_any_place() {
    for cut in (0..NONE.len()).step_by(7) {
        let analysis = read(&NONE[..cut]);
        let html = page(&analysis, "cut", None);
        markup::read(&html);
        assert_eq!(html.contains(">cut short</span>"), !analysis.end.eof, "{cut}");
        assert_eq!(analysis.map.read_bytes(), cut as u64, "{cut}");
    }
}

#[test]
fn a_damaged_stream_shows_the_fault_and_what_was_read() {
    let mut octets = NONE.to_vec();
    octets[usize::try_from(read(NONE).sections[1].offset).unwrap()] = 0x55;
    let Err(AnalyzeError::Malformed(fault)) = analyze(Source::from_octets(&octets), &Options::default(), &mut ())
    else {
        panic!("accepted")
    };
    let html = page(&fault.partial, "damaged", Some(&fault.to_string()));
    markup::read(&html);
    assert!(html.contains(">damaged</span>") && html.contains(&format!("at offset 0x{:x}", fault.offset)), "{html}");
    assert!(html.contains("timer/0"));
}

#[test]
fn names_of_a_stream_are_never_markup() {
    let mut analysis = read(NONE);
    let object = Object {
        fields: vec![
            (HOSTILE.to_owned(), Value::Text(HOSTILE.to_owned())),
            ("list".to_owned(), Value::List(vec![Value::Octets(HOSTILE.as_bytes().into()), Value::Null])),
            (HOSTILE.repeat(3), Value::Object(Object { fields: Vec::new(), subsections: Vec::new() })),
        ],
        subsections: vec![(HOSTILE.to_owned(), Object::default())],
    };
    for section in &mut analysis.sections {
        section.name = HOSTILE.to_owned();
        section.state = object.clone();
    }
    for span in &mut analysis.map.spans {
        span.kind = SpanKind::Section(HOSTILE.to_owned(), 0);
    }
    let mut block = read(&recorded()[0].1).ram.blocks[0].clone();
    block.id = HOSTILE.to_owned();
    analysis.ram.blocks.push(block);
    analysis.warnings.push(Warning { offset: analysis.sections[0].offset, text: HOSTILE.to_owned() });
    let html = page(&analysis, HOSTILE, Some(HOSTILE));
    markup::read(&html);
    assert!(html.matches("&lt;script&gt;alert").count() > 10, "{html}");
}

#[test]
fn a_page_is_bounded_and_says_what_it_lacks() {
    let mut analysis = read(NONE);
    let long = "<".repeat(3_000);
    let row = |i: i32| (format!("{long}{i}"), Value::Scalar(Scalar::Unsigned(123_456)));
    let deep = Value::Object(Object { fields: (0..8).map(row).collect(), subsections: Vec::new() });
    let mut section = analysis.sections[0].clone();
    section.state.fields = vec![("c".to_owned(), Value::List(vec![Value::Null; 30_000]))];
    analysis.sections = vec![section.clone()];
    section.state.fields = vec![("a".to_owned(), Value::List(vec![deep; 100]))];
    analysis.sections.extend(vec![section.clone(); 40]);
    section.state.fields.clear();
    analysis.sections.extend(vec![section; 2000]);
    analysis.warnings = vec![Warning { offset: 0, text: long.clone() }; 3000];
    let html = page(&analysis, &long, Some(&long));
    // Tables outside of the limit are bounded by their rows.
    let slack = 4 * HTML_ROW_COUNT_LIMIT as u64 * 2500;
    assert!((html.len() as u64) < HTML_BYTES_LIMIT + slack, "{}", html.len());
    assert!(html.contains("10,001 values left out"), "one device has too many");
    assert!(html.contains("2,000 warnings left out"));
    assert!(html.contains("1,041 sections left out"));
    markup::read(&html);
}

#[test]
fn a_full_page_ends_soundly() {
    let mut analysis = read(NONE);
    let mut section = analysis.sections[0].clone();
    section.state.fields = (0..15_000).map(|i| ("<".repeat(200) + &i.to_string(), Value::Null)).collect();
    analysis.sections = vec![section; 40];
    let html = page(&analysis, "full", None);
    markup::read(&html);
    assert!((html.len() as u64) < HTML_BYTES_LIMIT + 100_000, "{}", html.len());
    assert!(html.contains("devices left out") && html.contains("values left out"), "both are told");
}
