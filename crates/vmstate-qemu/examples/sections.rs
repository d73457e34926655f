//! Cuts the sections of devices out of streams: `sections STREAM SECTIONS KEEP [STREAM SECTIONS KEEP]…`.
//!
//! KEEP has parts of id strings, separated by commas: sections with one of them are kept; an empty one keeps all. What
//! `tests/data/record.py` calls. The form is on the page of `tests/streams/sections.rs`.

#![allow(clippy::indexing_slicing, reason = "that of the tests, whose module this uses")]

use std::error::Error;
use std::{env, fs};

#[path = "../tests/streams/sections.rs"]
#[expect(dead_code, reason = "the rest is for the tests")]
mod sections;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    for task in arguments.chunks(3) {
        let [stream, target, keep] = task else { return Err("a stream without names for its sections".into()) };
        let mut sections = sections::of_stream(&fs::read(stream)?)?;
        sections.retain(|section| keep.split(',').any(|part| section.device.idstr.contains(part)));
        fs::write(target, zstd::encode_all(sections::to_text(&sections).as_bytes(), 19)?)?;
    }
    Ok(())
}
