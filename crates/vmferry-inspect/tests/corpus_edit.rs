//! `diff` and `edit` on every stream of the corpus.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failed test may panic")]

mod corpus_folder;

use std::io::Cursor;

use corpus_folder::{corpus, sidecars, stream};
use vmferry_inspect::diff::diff;
use vmferry_inspect::edit::{DescriptionEdit, EditError, Edits, edit};
use vmferry_inspect::{Options, Source, analyze};

#[test]
fn every_stream_equals_itself_if_all_of_it_is_there() {
    let Some(corpus) = corpus() else { return };
    let (mut equal, mut without_channels) = (0, 0);
    for (name, sidecar) in sidecars(&corpus) {
        let stream = stream(&corpus, &name, &sidecar);
        let mut options = Options::default();
        let folder = tempfile::tempdir().unwrap();
        for (name, octets) in &stream.kept {
            let path = folder.path().join(name);
            std::fs::write(&path, octets).unwrap();
            options.shared_ram.push((name.replace("ram", "m"), path));
        }
        let Ok(found) = diff(stream.inputs(), stream.inputs(), [&options, &options], &mut ()) else {
            assert!(name.contains("cancelled"), "{name}");
            continue;
        };
        assert!(found.is_equal(), "{name}: {}", found.to_text());
        equal += 1;
        let options = Options::default();
        let alone = || Source::from_octets(&stream.main);
        let Ok(found) = diff(alone(), alone(), [&options, &options], &mut ()) else { continue };
        if !stream.channels.is_empty() || !stream.kept.is_empty() {
            assert!(!found.is_equal() && !found.not_compared.is_empty(), "{name}: {}", found.to_text());
            without_channels += 1;
        }
    }
    println!("{equal} streams equal themselves, {without_channels} not without their other files");
    assert!(equal > 50 && without_channels > 5, "{equal} {without_channels}");
}

#[test]
fn every_stream_is_copied_octet_for_octet_and_rebuilt() {
    let Some(corpus) = corpus() else { return };
    let (mut copied, mut rebuilt) = (0, 0);
    for (name, sidecar) in sidecars(&corpus) {
        let octets = stream(&corpus, &name, &sidecar).main;
        let mut copy = Cursor::new(Vec::new());
        match edit(Source::from_octets(&octets), &Options::default(), &Edits::default(), &mut copy, &mut ()) {
            Ok(_) => assert!(copy.into_inner() == octets, "{name}"),
            Err(EditError::Truncated { .. }) if name.contains("cancelled") => continue,
            Err(error) => panic!("{name}: {error}"),
        }
        copied += 1;
        let edits = Edits { description: DescriptionEdit::Rebuild, ..Edits::default() };
        let mut result = Cursor::new(Vec::new());
        match edit(Source::from_octets(&octets), &Options::default(), &edits, &mut result, &mut ()) {
            Ok(done) => assert_eq!(done.changes, [], "{name}"),
            Err(error) => {
                assert!(name.contains("postcopy") && error.to_string().contains("--force"), "{name}: {error}");
                continue;
            }
        }
        let analysis = |octets: &[u8]| analyze(Source::from_octets(octets), &Options::default(), &mut ()).unwrap();
        let (before, after) = (analysis(&octets), analysis(&result.into_inner()));
        assert_eq!((before.sections, before.warnings.len()), (after.sections, after.warnings.len()), "{name}");
        rebuilt += 1;
    }
    println!("{copied} streams copied, {rebuilt} rebuilt");
    assert!(copied > 50 && rebuilt > 50, "{copied} {rebuilt}");
}
