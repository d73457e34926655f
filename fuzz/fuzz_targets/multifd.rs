//! A stream and its channels.
//!
//! The first two octets say how many octets the main channel has; the next, how many the first further channel has in
//! units of 16; the rest is another one.
//!
//! Oracles: no panic, memory within libFuzzer's limit; a fault's offset is inside its channel; the page counts are the
//! same with and without extraction.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vmferry_inspect::{Analysis, AnalyzeError, Channel, Inputs, Options, Source, analyze};

fn run(main: &[u8], channels: [&[u8]; 2], options: &Options) -> Result<Analysis, AnalyzeError> {
    let named = [Channel::new("a", channels[0]), Channel::new("b", channels[1])];
    analyze(Inputs { main: Source::from_octets(main), channels: named.into() }, options, &mut ())
}

fuzz_target!(|data: &[u8]| {
    let Some((&[high, low, first], octets)) = data.split_first_chunk() else { return };
    let (main, rest) = octets.split_at(usize::from(u16::from_be_bytes([high, low])).min(octets.len()));
    let (first, second) = rest.split_at((usize::from(first) * 16).min(rest.len()));
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut extracting = Options::default();
    extracting.extract_ram = Some(folder.path().join("ram"));
    let counted = run(main, [first, second], &Options::default());
    let extracted = run(main, [first, second], &extracting);
    match (counted, extracted) {
        (Ok(counted), Ok(extracted)) => assert_eq!(counted.ram, extracted.ram),
        (Err(AnalyzeError::Malformed(fault)), _) => {
            let length = match fault.channel.as_deref() {
                Some("a") => first.len(),
                Some(_) => second.len(),
                None => main.len(),
            };
            assert!(fault.offset <= length as u64);
        }
        // A block whose file cannot be: too long for the file system, or its name unfit.
        _ => {}
    }
});
