//! Whether a destination will load a stream.
//!
//! | octets | |
//! |---|---|
//! | 4 | length of the stream, big endian |
//! | length | the stream |
//! | rest | the reference; the stream itself if there is none |
//!
//! Oracles: no panic, memory within libFuzzer's limit; a stream is never foretold to be refused by the machine that
//! saved it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vmferry_inspect::check::stream::{Destination, Recorded, check_stream, text};
use vmferry_inspect::check::{Renames, Verdict};
use vmferry_inspect::{Options, Source, html};

fuzz_target!(|data: &[u8]| {
    let Some((len, rest)) = data.split_first_chunk::<4>() else { return };
    let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX).min(rest.len());
    let (stream, reference) = rest.split_at(len);
    let read = |octets: &[u8]| Recorded::read(Source::from_octets(octets), &Options::default(), &mut ()).ok();
    let Some(stream) = read(stream) else { return };
    let other = read(reference);
    let mut destination = Destination::default();
    destination.reference = Some(other.as_ref().unwrap_or(&stream));
    let report = check_stream(&stream, &destination, &Renames::default()).expect("no machine type was given");
    if other.is_none() {
        assert_ne!(report.verdict(), Verdict::Incompatible, "{}", text(&report, true));
    }
    let mut page = Vec::new();
    html::write_stream_report("stream", &report, &mut page).expect("a vector takes everything");
    report.to_json().expect("every key is a string");
});
