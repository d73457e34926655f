//! Edits of any stream.
//!
//! Lines up to an empty one are the edits, the rest is the stream:
//!
//! | line | edit |
//! |---|---|
//! | `d PATH` | drop a subsection |
//! | `s PATH=VALUE` | set a field |
//! | `r OLD=NEW` | rename |
//! | `m NAME` | machine type |
//! | `S`, `R`, `F` | strip the description, rebuild it, force |
//!
//! Oracles: no panic, memory within libFuzzer's limit; without edits an accepted stream is copied octet for octet; what
//! an edit gives is accepted again and equals itself.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use vmferry_inspect::edit::{DescriptionEdit, EditError, Edits, edit};
use vmferry_inspect::{Options, Source};

fn edits(lines: &str) -> Edits {
    let mut edits = Edits::default();
    let pair = |text: &str| text.split_once('=').map(|(left, right)| (left.to_owned(), right.to_owned()));
    for line in lines.lines() {
        match line.split_at_checked(2) {
            Some(("d ", path)) => edits.drop_subsections.push(path.to_owned()),
            Some(("s ", set)) => edits.set.extend(pair(set)),
            Some(("r ", rename)) => edits.rename.extend(pair(rename)),
            Some(("m ", name)) => edits.machine = Some(name.to_owned()),
            _ => match line {
                "S" => edits.description = DescriptionEdit::Strip,
                "R" => edits.description = DescriptionEdit::Rebuild,
                "F" => edits.force = true,
                _ => {}
            },
        }
    }
    edits
}

fn edited(octets: &[u8], edits: &Edits) -> Result<Vec<u8>, EditError> {
    let mut output = Cursor::new(Vec::new());
    let done = edit(Source::from_octets(octets), &Options::default(), edits, &mut output, &mut ())?;
    assert_eq!(done.octets, output.get_ref().len() as u64);
    Ok(output.into_inner())
}

fuzz_target!(|data: &[u8]| {
    let at = data.windows(2).position(|pair| pair == b"\n\n").unwrap_or(0);
    let (lines, stream) = data.split_at(at);
    let stream = stream.strip_prefix(b"\n\n").unwrap_or(stream);
    match edited(stream, &Edits::default()) {
        Ok(copy) => assert!(copy == stream, "the copy differs"),
        Err(EditError::Analyze(_) | EditError::Truncated { .. }) => return,
        Err(error) => panic!("a stream that can be read is not copied: {error}"),
    }
    let edits = edits(&String::from_utf8_lossy(lines));
    if let Ok(result) = edited(stream, &edits) {
        let again = edited(&result, &Edits::default()).expect("the result is a stream");
        assert!(again == result);
    }
});
