//! A mapped-ram file: the octets stand behind a configuration with that capability.
//!
//! Oracles: no panic, memory within libFuzzer's limit; a file and a pipe give the same counts, with and without
//! extraction.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vmferry_inspect::{Options, RamReport, Source, analyze};

const HEAD: &[u8] =
    b"QEVM\0\0\0\x03\x07\0\0\0\x04none\x05\x1aconfiguration/capabilities\0\0\0\x01\0\0\0\x01\x0amapped-ram\
    \x01\0\0\0\x01\x03ram\0\0\0\0\0\0\0\x04";

fn ram(source: Source<'_>, options: &Options) -> Option<RamReport> {
    analyze(source, options, &mut ()).ok().map(|analysis| analysis.ram)
}

fuzz_target!(|data: &[u8]| {
    let octets = [HEAD, data].concat();
    let counted = ram(Source::from_octets(&octets), &Options::default());
    assert_eq!(counted, ram(Source::pipe(&octets[..]), &Options::default()));
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut extracting = Options::default();
    extracting.extract_ram = Some(folder.path().join("ram"));
    // A block whose file cannot be, for its length or its name, ends only the extraction.
    if let Some(extracted) = ram(Source::from_octets(&octets), &extracting) {
        assert_eq!(counted, Some(extracted));
    }
});
