//! Cuts the sections of devices out of streams: `sections STREAM SECTIONS [STREAM SECTIONS]…`.
//!
//! What `tests/data/record.py` calls. The form is on the page of `tests/streams/sections.rs`.

#![allow(clippy::indexing_slicing, reason = "that of the tests, whose module this uses")]

use std::error::Error;
use std::{env, fs};

#[path = "../tests/streams/sections.rs"]
#[expect(dead_code, reason = "the rest is for the tests")]
mod sections;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    for pair in arguments.chunks(2) {
        let [stream, target] = pair else { return Err("a stream without a name for its sections".into()) };
        let sections = sections::of_stream(&fs::read(stream)?)?;
        fs::write(target, zstd::encode_all(sections::to_text(&sections).as_bytes(), 19)?)?;
    }
    Ok(())
}
