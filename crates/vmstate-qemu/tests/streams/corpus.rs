//! The sections of a corpus of streams, which is not part of the repository.
//!
//! It is looked for in `$VMFERRY_CORPUS`, then beside the repository; without it the test says so and passes.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::images;
use crate::recorded::image_of;
use crate::sections;

fn streams() -> Vec<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let folder = env::var_os("VMFERRY_CORPUS").map_or(beside, PathBuf::from).join("streams");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("skipped: no corpus in {}; set VMFERRY_CORPUS", folder.display());
        return Vec::new();
    };
    let mut streams: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(|path| is_main_channel(path)).collect();
    streams.sort();
    streams
}

/// `NAME.bin.zst`, where the other channels are `NAME.ROLE.bin.zst`. Release numbers have points too.
fn is_main_channel(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    name.strip_suffix(".bin.zst").is_some_and(|name| path.with_file_name(format!("{name}.json")).exists())
}

#[test]
fn every_section_with_an_image_comes_back() {
    let entries = images::all();
    let streams = streams();
    let (mut passed, mut failures) = (0, Vec::new());
    for path in &streams {
        let name = path.file_name().unwrap().to_str().unwrap();
        let octets = zstd::decode_all(&*fs::read(path).unwrap()).unwrap();
        // Such streams have no description.
        if name.contains("-postcopy.") || name.contains("-cancelled.") {
            continue;
        }
        let sections = sections::of_stream(&octets).unwrap_or_else(|error| panic!("{name}: {error}"));
        for section in &sections {
            match image_of(&entries, section).map(|entry| entry.check(section)) {
                Some(Ok(())) => passed += 1,
                Some(Err(error)) => failures.push(format!("{name}: {error}")),
                None => {}
            }
        }
    }
    println!("{passed} sections of {} streams came back", streams.len());
    assert!(failures.is_empty(), "{} sections do not come back:\n{}", failures.len(), failures.join("\n"));
    assert!(streams.is_empty() || passed >= 300, "only {passed} sections");
}
