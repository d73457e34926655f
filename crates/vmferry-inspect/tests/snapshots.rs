//! State that `savevm` left inside a qcow2 image.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failed test may panic")]

use std::io::{Cursor, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use vmferry_inspect::qcow2::{Image, ImageError};
use vmferry_inspect::{Options, Source, analyze};

/// A stream of the same machine, over a file.
const NONE: &[u8] = include_bytes!("data/none-10.0.bin");

fn image(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(format!("{name}.qcow2.zst"));
    zstd::decode_all(&std::fs::read(path).unwrap()[..]).unwrap()
}

fn open(octets: &[u8]) -> Result<Image<'_>, ImageError> {
    Image::open(Cursor::new(octets))
}

fn state(octets: &[u8], name: Option<&str>) -> Vec<u8> {
    let mut state = Vec::new();
    open(octets).unwrap().into_state(name).unwrap().read_to_end(&mut state).unwrap();
    state
}

#[test]
fn the_state_is_the_stream_of_the_machine() {
    for (image_name, snapshot) in [("savevm-10.0", "first"), ("savevm-10.0", "2"), ("savevm-11.1", "ext")] {
        let octets = image(image_name);
        let state = state(&octets, Some(snapshot));
        let analysis = analyze(Source::from_octets(&state), &Options::default(), &mut ()).unwrap();
        assert_eq!(analysis.warnings, [], "{image_name}");
        assert!(analysis.end.eof && analysis.end.vmdesc, "{image_name}");
        let names: Vec<_> = analysis.sections.iter().map(|section| section.name.as_str()).collect();
        assert_eq!(names, ["timer", "globalstate"], "{image_name}");
        // Up to its first round it has the octets of a migration to a file.
        assert_eq!(state[..0x37], NONE[..0x37], "{image_name}");
        // Through the image itself, from any place.
        let read = open(&octets).unwrap().into_state(Some(snapshot)).unwrap();
        let direct = analyze(Source::Seekable(Box::new(read)), &Options::default(), &mut ()).unwrap();
        assert_eq!(direct.to_json().unwrap(), analysis.to_json().unwrap(), "{image_name}");
    }
}

#[test]
fn a_state_can_be_read_from_any_place() {
    let octets = image("savevm-10.0");
    let whole = state(&octets, Some("first"));
    let mut read = open(&octets).unwrap().into_state(Some("first")).unwrap();
    for at in (0..whole.len()).rev().step_by(97) {
        read.seek(SeekFrom::Start(at as u64)).unwrap();
        let mut octet = [0];
        read.read_exact(&mut octet).unwrap();
        assert_eq!(octet[0], whole[at]);
    }
    assert_eq!(read.seek(SeekFrom::End(5)).unwrap(), whole.len() as u64 + 5);
    assert_eq!(read.read(&mut [0]).unwrap(), 0);
    assert!(read.seek(SeekFrom::Start(0)).is_ok() && read.seek(SeekFrom::Current(-1)).is_err());
}

#[test]
fn which_snapshot_is_meant_must_be_clear() {
    let octets = image("savevm-10.0");
    let error = open(&octets).unwrap().into_state(None).unwrap_err().to_string();
    assert!(error.contains("not clear") && error.contains(r#"["first", "second"]"#), "{error}");
    let error = open(&octets).unwrap().into_state(Some("third")).unwrap_err().to_string();
    assert!(error.contains(r#"no snapshot "third""#), "{error}");
    assert_eq!(state(&image("savevm-11.1"), None), state(&image("savevm-11.1"), Some("ext")));
}

#[test]
fn damaged_images_give_errors_or_other_octets() {
    for name in ["savevm-10.0", "savevm-11.1"] {
        let octets = image(name);
        let mut refused = 0;
        // Header, tables and the first clusters, octet by octet; an image of large clusters is mostly zeros.
        let places = (0..octets.len()).filter(|at| *at < 104 || octets[*at] != 0);
        for at in places.take(4000) {
            let mut damaged = octets.clone();
            damaged[at] ^= 0x55;
            let Ok(image) = open(&damaged) else {
                refused += 1;
                continue;
            };
            let Ok(mut state) = image.into_state(Some("1")) else {
                refused += 1;
                continue;
            };
            let mut read = Vec::new();
            // A damaged length may promise anything: what is read is bounded here, not there.
            refused += u32::from(state.by_ref().take(1 << 20).read_to_end(&mut read).is_err());
        }
        assert!(refused > 20, "{name}: only {refused} refused");
        for cut in (0..octets.len()).step_by(octets.len() / 50) {
            let cut = &octets[..cut];
            let Ok(image) = open(cut) else { continue };
            let Ok(mut state) = image.into_state(Some("1")) else { continue };
            assert!(state.read_to_end(&mut Vec::new()).is_ok() || cut.len() < octets.len());
        }
    }
}

#[test]
fn compressed_clusters_are_refused() {
    let octets = image("savevm-10.0");
    let mut refused = 0;
    for at in (512..octets.len() - 8).step_by(8) {
        // What may be an entry of a table: the position of a cluster. That of a state's cluster is refused with the
        // bit.
        let word = u64::from_be_bytes(octets[at..at + 8].try_into().unwrap()) & !(1 << 63);
        if word == 0 || word % 512 != 0 || word > octets.len() as u64 {
            continue;
        }
        let mut damaged = octets.clone();
        damaged[at] |= 0x40;
        let state = open(&damaged).ok().and_then(|image| image.into_state(Some("1")).ok());
        let Some(mut state) = state else { continue };
        if let Err(error) = state.read_to_end(&mut Vec::new()) {
            refused += u32::from(error.to_string().contains("compressed"));
        }
    }
    assert!(refused >= 3, "{refused} clusters of the state");
}
