//! Every stream of the corpus against the decode that QEMU's own script prints, and against its sidecar.
//!
//! The corpus is not part of the repository. It is looked for in `$VMFERRY_CORPUS`, then beside the repository; without
//! it the tests say so and pass.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failed test may panic")]

mod corpus_folder;

use std::fs;

use corpus_folder::{corpus, main_channel, read, sidecars};
use serde_json::{Map, Value};
use vmferry_inspect::{Analysis, Dialect, Options, Source, analyze};

fn analysis(name: &str, octets: &[u8]) -> Analysis {
    analyze(Source::from_octets(octets), &Options::default(), &mut ()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The octets after one mutation of `mutations.jsonl`.
fn mutated(octets: &[u8], mutation: &Value) -> Vec<u8> {
    let offset = usize::try_from(mutation["offset"].as_u64().unwrap()).unwrap();
    let text = mutation["data"].as_str().unwrap_or_default();
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    let data: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    let mut octets = octets.to_vec();
    match mutation["operation"].as_str().unwrap() {
        "flip" | "set" => octets[offset..offset + data.len()].copy_from_slice(&data),
        "truncate" => octets.truncate(offset),
        "insert" => drop(octets.splice(offset..offset, data)),
        "delete" => {
            let length = usize::try_from(mutation["length"].as_u64().unwrap()).unwrap();
            octets.drain(offset..offset + length);
        }
        operation => panic!("unknown operation {operation}"),
    }
    octets
}

fn json(analysis: &Analysis) -> Value {
    serde_json::from_str(&analysis.to_json().unwrap()).unwrap()
}

/// A value of the official decode in our form: its text is parsed, and nothing else is changed.
///
/// `docs/spec/vmdesc.md` section A7: integers are hexadecimal, negative ones also decimal; octets are pairs of digits
/// with blanks between; subsections stand among the fields, under their full names.
fn official(value: &Value, ours: &Value) -> Value {
    match value {
        Value::String(text) => official_text(text, ours),
        Value::Array(values) => {
            let ours = ours.as_array().cloned().unwrap_or_default();
            let at = |i: usize| ours.get(i).unwrap_or(&Value::Null);
            values.iter().enumerate().map(|(i, value)| official(value, at(i))).collect()
        }
        Value::Object(fields) => Value::Object(official_object(fields, ours)),
        value => value.clone(),
    }
}

fn official_text(text: &str, ours: &Value) -> Value {
    let Some(hex) = text.strip_prefix("0x") else { return Value::String(text.replace(' ', "")) };
    if let Some((_, decimal)) = hex.split_once(" (") {
        return Value::from(decimal.trim_end_matches(')').parse::<i64>().unwrap());
    }
    let number = u64::from_str_radix(hex, 16).unwrap();
    if number > 1 << 53 {
        return Value::String(format!("0x{number:x}"));
    }
    // The script shows the "equal" types of 8, 16 and 64 bits as signed, ours are as typed; none of them is negative
    // here.
    assert!(ours.is_number(), "{text} is a number, ours is {ours}");
    Value::from(number)
}

fn official_object(fields: &Map<String, Value>, ours: &Value) -> Map<String, Value> {
    let mut object = Map::new();
    let mut subsections = Map::new();
    for (name, value) in fields {
        if let Some(subsection) = ours["subsections"].get(name) {
            subsections.insert(name.clone(), official(value, subsection));
        } else {
            object.insert(name.clone(), official(value, &ours[name]));
        }
    }
    if !subsections.is_empty() {
        object.insert("subsections".to_owned(), Value::Object(subsections));
    }
    object
}

fn first_difference(path: &str, a: &Value, b: &Value) -> Option<String> {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => a
            .iter()
            .find_map(|(key, a)| first_difference(&format!("{path}.{key}"), a, b.get(key).unwrap_or(&Value::Null)))
            .or_else(|| b.keys().find(|key| !a.contains_key(*key)).map(|key| format!("{path}: only ours has {key}"))),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(i, (a, b))| first_difference(&format!("{path}[{i}]"), a, b))
        }
        _ => (a != b).then(|| format!("{path}: official {a}, ours {b}")),
    }
}

#[test]
fn every_official_decode_is_equal() {
    let Some(corpus) = corpus() else { return };
    let mut compared = 0;
    for (name, sidecar) in sidecars(&corpus) {
        let Some(file) = sidecar["analyzer"]["file"].as_str() else { continue };
        let decode: Value = serde_json::from_slice(&read(&corpus.join("streams").join(file))).unwrap();
        let ours = json(&analysis(&name, &main_channel(&corpus, &sidecar)));
        let decode = decode.as_object().unwrap();
        let mut devices = 0;
        for section in ours["sections"].as_array().unwrap() {
            let key = format!("{} ({})", section["name"].as_str().unwrap(), section["section_id"]);
            let mut state = section["fields"].clone();
            if section["subsections"] != Value::Object(Map::new()) {
                state["subsections"] = section["subsections"].clone();
            }
            let official = official(&decode[&key], &state);
            if let Some(difference) = first_difference(&format!("{name}: {key}"), &official, &state) {
                panic!("{difference}");
            }
            devices += 1;
        }
        check_ram(&name, decode, &ours);
        assert_eq!(devices + 1, decode.len(), "{name}: the script's sections are RAM and ours");
        assert_eq!(ours["warnings"].as_array().unwrap().iter().find(|w| !is_expected_warning(w)), None, "{name}");
        compared += 1;
    }
    println!("{compared} decodes are equal");
    assert!(compared >= 40, "only {compared} decodes in the corpus");
}

fn is_expected_warning(warning: &Value) -> bool {
    // Multifd streams have their pages on other channels.
    warning["text"].as_str().unwrap().contains("are on multifd channels")
}

fn check_ram(name: &str, decode: &Map<String, Value>, ours: &Value) {
    let (_, ram) = decode.iter().find(|(key, _)| key.starts_with("ram (")).unwrap();
    let sizes = ram["section sizes"].as_object().unwrap();
    let blocks = ours["ram"]["blocks"].as_array().unwrap();
    assert_eq!(blocks.len(), sizes.len(), "{name}");
    for block in blocks {
        let size = sizes[block["id"].as_str().unwrap()].as_str().unwrap();
        let size = u64::from_str_radix(size.trim_start_matches("0x"), 16).unwrap();
        assert_eq!(block["used_length"], size, "{name}: {block}");
    }
}

/// Dialect words that the spec of a stream promises.
fn promised(spec: &Value) -> Vec<Dialect> {
    let capabilities = spec["caps"].as_array().or(spec["capabilities"].as_array()).cloned().unwrap_or_default();
    let has = |name: &str| capabilities.iter().any(|capability| capability == name);
    let words = [
        ("multifd", Dialect::Multifd),
        ("mapped-ram", Dialect::MappedRam),
        ("xbzrle", Dialect::Xbzrle),
        ("compress", Dialect::Compress),
        ("background-snapshot", Dialect::BackgroundSnapshot),
        ("x-ignore-shared", Dialect::IgnoreShared),
        ("postcopy-ram", Dialect::PostcopyAdvised),
        ("return-path", Dialect::ReturnPath),
        ("dirty-bitmaps", Dialect::DirtyBitmaps),
    ];
    let mut promised: Vec<_> = words.iter().filter(|(name, _)| has(name)).map(|(_, dialect)| *dialect).collect();
    // With both, pages are in the file and not on channels.
    if has("mapped-ram") {
        promised.retain(|dialect| *dialect != Dialect::Multifd);
    }
    promised
}

#[test]
fn every_stream_is_walked_to_its_end() {
    let Some(corpus) = corpus() else { return };
    let mut walked = 0;
    for (name, sidecar) in sidecars(&corpus) {
        let octets = main_channel(&corpus, &sidecar);
        let analysis = analysis(&name, &octets);
        let is_postcopy = name.ends_with("-postcopy");
        for dialect in promised(&sidecar["spec"]) {
            assert!(analysis.dialects.contains(&dialect), "{name}: {dialect:?} is not in {:?}", analysis.dialects);
        }
        assert_eq!(analysis.dialects.contains(&Dialect::Postcopy), is_postcopy, "{name}");
        assert_eq!(analysis.is_truncated(), name.ends_with("-cancelled"), "{name}: {:?}", analysis.warnings);
        assert_eq!(analysis.end.vmdesc, analysis.end.eof && !is_postcopy, "{name}");
        for section in &analysis.sections {
            assert!(!section.is_end_guessed || is_postcopy, "{name}: {section:?}");
            // A guessed end is right: a wrong one would leave the next section in pieces.
            assert!(section.name.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{name}: {}", section.name);
        }
        if analysis.end.eof {
            assert!(analysis.sections.iter().any(|section| section.name == "globalstate"), "{name}");
        }
        walked += 1;
    }
    println!("{walked} streams walked");
    assert!(walked >= 50, "only {walked} streams in the corpus");
}

#[test]
fn pages_of_plain_streams_are_all_counted() {
    let Some(corpus) = corpus() else { return };
    for (name, sidecar) in sidecars(&corpus) {
        let analysis = analysis(&name, &main_channel(&corpus, &sidecar));
        let is_plain = analysis.dialects == [Dialect::Precopy];
        let counters = &sidecar["result"]["ram"];
        if !is_plain || !counters.is_object() {
            continue;
        }
        let sum = |pages: fn(&vmferry_inspect::BlockReport) -> u64| analysis.ram.blocks.iter().map(pages).sum::<u64>();
        assert_eq!(sum(|block| block.normal_pages), counters["normal"], "{name}");
        assert_eq!(sum(|block| block.zero_pages), counters["duplicate"], "{name}");
        let pages = counters["total"].as_u64().unwrap() / analysis.ram.page_bytes;
        assert_eq!(sum(|block| block.distinct_pages), pages, "{name}");
    }
}

#[test]
fn a_pipe_gives_the_same_report_as_a_file() {
    let Some(corpus) = corpus() else { return };
    for (name, sidecar) in sidecars(&corpus) {
        let octets = main_channel(&corpus, &sidecar);
        let from_file = analysis(&name, &octets);
        let from_pipe = analyze(Source::pipe(&octets[..]), &Options::default(), &mut ()).unwrap();
        assert_eq!(from_file.to_json().unwrap(), from_pipe.to_json().unwrap(), "{name}");
    }
}

#[test]
fn without_the_description_the_same_sections_are_found() {
    let Some(corpus) = corpus() else { return };
    for (name, sidecar) in sidecars(&corpus) {
        let octets = main_channel(&corpus, &sidecar);
        let with = analysis(&name, &octets);
        if !with.end.vmdesc {
            continue;
        }
        let text_at = octets.windows(2).rposition(|pair| pair == b"\x06\0").unwrap();
        let without = analysis(&name, &octets[..text_at]);
        let places = |analysis: &Analysis| -> Vec<_> {
            let sections = analysis.sections.iter();
            sections.map(|section| (section.name.clone(), section.offset, section.body_bytes)).collect()
        };
        assert_eq!(places(&with), places(&without), "{name}");
        assert!(without.end.eof && !without.end.vmdesc, "{name}");
    }
}

#[test]
fn mutated_streams_are_survived_and_damage_to_framing_is_reported() {
    let Some(corpus) = corpus() else { return };
    let text = fs::read_to_string(corpus.join("mutations.jsonl")).unwrap();
    let mutations: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut missed = Vec::new();
    for (name, sidecar) in sidecars(&corpus) {
        let mut own = mutations.iter().filter(|mutation| mutation["stream"] == *name).peekable();
        if own.peek().is_none() {
            continue;
        }
        let octets = main_channel(&corpus, &sidecar);
        for mutation in own {
            let octets = mutated(&octets, mutation);
            let from_file = analyze(Source::from_octets(&octets), &Options::default(), &mut ());
            let is_silent = matches!(&from_file, Ok(analysis) if analysis.warnings.is_empty());
            let error = mutation["error"].as_str().unwrap_or_default();
            let is_framing = ["section footer", "Unknown savevm section type", "Not a migration stream", "section id"]
                .iter()
                .any(|part| error.contains(part));
            if is_silent && is_framing {
                missed.push(format!("{mutation}"));
            }
        }
    }
    println!("{} mutations replayed", mutations.len());
    assert!(missed.is_empty(), "{} not reported: {:#?}", missed.len(), missed);
}
