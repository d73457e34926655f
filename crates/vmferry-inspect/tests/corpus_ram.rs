//! RAM that is extracted from the streams of the corpus, against what a real QEMU made of them.
//!
//! The reference is `loads` of a sidecar: the hash of guest memory after a real QEMU had loaded the stream. It runs
//! over the block of main memory from an offset on, or over the blocks of several NUMA nodes in order.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failed test may panic")]

mod corpus_folder;

use std::fs;
use std::io::Read as _;
use std::path::Path;

use corpus_folder::{Stream, corpus, sidecars, stream};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use vmferry_inspect::{Analysis, BlockReport, Dialect, Options, analyze};

fn extract(stream: &Stream, folder: &Path) -> Analysis {
    let mut options = Options::default();
    options.extract_ram = Some(folder.join("ram"));
    for (name, octets) in &stream.kept {
        let path = folder.join(name);
        fs::write(&path, octets).unwrap();
        // The file of `x-ignore-shared` is that of the backend `m0`.
        options.shared_ram.push((name.replace("ram", "m"), path));
    }
    analyze(stream.inputs(), &options, &mut ()).unwrap_or_else(|error| panic!("{}: {error}", stream.name))
}

/// Hash of main memory, as the sidecar describes it.
fn hash(analysis: &Analysis, sidecar: &Value, reference: &Value, folder: &Path) -> String {
    let offset = reference["block_offset"].as_u64().unwrap();
    let whole = offset + reference["length"].as_u64().unwrap();
    let main: Vec<_> = match analysis.ram.blocks.iter().find(|block| block.used_bytes == whole) {
        Some(block) => vec![block.id.clone()],
        None => {
            let arguments = sidecar["argv"].as_array().unwrap().iter().filter_map(Value::as_str);
            arguments.filter_map(|argument| Some(argument.split_once("memdev=")?.1.to_owned())).collect()
        }
    };
    let mut octets = Vec::new();
    for block in main {
        fs::File::open(folder.join("ram").join(block.replace('/', "_"))).unwrap().read_to_end(&mut octets).unwrap();
    }
    assert_eq!(octets.len() as u64, whole);
    let digest = Sha256::digest(&octets[usize::try_from(offset).unwrap()..]);
    digest.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[test]
fn extracted_ram_is_what_a_real_qemu_loaded() {
    let Some(corpus) = corpus() else { return };
    let (mut compared, mut wrong) = (0, Vec::new());
    for (name, sidecar) in sidecars(&corpus) {
        let loads = sidecar["loads"].as_object().unwrap();
        let references: Vec<_> = loads.values().map(|load| &load["ram"]).filter(|ram| ram.is_object()).collect();
        let Some(reference) = references.first() else { continue };
        let folder = tempfile::tempdir().unwrap();
        let stream = stream(&corpus, &name, &sidecar);
        let analysis = extract(&stream, folder.path());
        let hash = hash(&analysis, &sidecar, reference, folder.path());
        compared += 1;
        if hash != reference["sha256"].as_str().unwrap() {
            wrong.push(format!("{name}: {:?}", analysis.warnings));
        }
    }
    println!("RAM of {compared} streams compared");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared >= 50, "only {compared} streams in the corpus");
}

#[test]
fn pages_of_multifd_streams_are_counted_as_the_source_counted_them() {
    let Some(corpus) = corpus() else { return };
    let mut compared = 0;
    for (name, sidecar) in sidecars(&corpus) {
        let stream = stream(&corpus, &name, &sidecar);
        if stream.channels.is_empty() {
            continue;
        }
        let analysis = analyze(stream.inputs(), &Options::default(), &mut ()).unwrap();
        let sum = |pages: fn(&BlockReport) -> u64| analysis.ram.blocks.iter().map(pages).sum::<u64>();
        let counters = &sidecar["result"]["ram"];
        let normal = sum(|block| block.normal_pages);
        if sidecar["qemu"]["major"].as_u64().unwrap() >= 10 {
            assert_eq!(normal, counters["normal"], "{name}");
        } else {
            // The last page of a full packet may be sent once more, uncounted (docs/spec/multifd.md section 6).
            assert!(normal >= counters["normal"].as_u64().unwrap(), "{name}");
        }
        assert_eq!(sum(|block| block.zero_pages), counters["duplicate"], "{name}");
        let pages = counters["total"].as_u64().unwrap() / analysis.ram.page_bytes;
        assert_eq!(sum(|block| block.distinct_pages), pages, "{name}");
        assert_eq!(analysis.warnings, [], "{name}");
        let has = |dialect| analysis.dialects.contains(&dialect);
        assert!(has(Dialect::Multifd), "{name}");
        assert_eq!(has(Dialect::MultifdZlib), name.ends_with("multifd-zlib"), "{name}");
        assert_eq!(has(Dialect::MultifdZstd), name.ends_with("multifd-zstd"), "{name}");
        compared += 1;
    }
    assert!(compared >= 6, "only {compared} multifd streams in the corpus");
}

#[test]
fn channels_that_are_cut_or_left_out_are_reported() {
    let Some(corpus) = corpus() else { return };
    for (name, sidecar) in sidecars(&corpus) {
        let mut stream = stream(&corpus, &name, &sidecar);
        if stream.channels.is_empty() {
            continue;
        }
        let half = stream.channels[0].1.len() / 2;
        stream.channels[0].1.truncate(half);
        let cut = analyze(stream.inputs(), &Options::default(), &mut ()).unwrap();
        assert!(cut.is_truncated() && cut.end.eof, "{name}: the main channel is whole");
        let last = &cut.warnings.last().unwrap().text;
        assert_eq!(*last, format!("channel ch0 is cut short at its offset 0x{half:x}"), "{name}");
        assert!(cut.sections.iter().any(|section| section.name == "globalstate"), "{name}");
        stream.channels.remove(0);
        let fewer = analyze(stream.inputs(), &Options::default(), &mut ()).unwrap();
        assert!(fewer.warnings.iter().any(|warning| warning.text.contains("were not given: 0")), "{name}");
    }
}
