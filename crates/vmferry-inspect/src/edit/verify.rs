//! Reads the result again: it must be a sound stream that differs from the input in what was asked for, and in nothing
//! else.

use std::collections::HashMap;
use std::io::{Read, Seek, Write};

use crate::Options;
use crate::analysis::{Analysis, PageBytes, RamReport};
use crate::diff::{self, DiffFault, Stream};
use crate::edit::error::EditError;
use crate::edit::{DescriptionFate, Draft, Edited};
use crate::source::Source;

impl From<DiffFault> for EditError {
    fn from(fault: DiffFault) -> EditError {
        match fault {
            DiffFault::Analyze(error) => EditError::Analyze(error),
            DiffFault::Truncated { offset } => EditError::Truncated { offset },
            DiffFault::Io(error) => EditError::Read(error),
        }
    }
}

/// Checks `output`, which has so many octets.
pub(super) fn verify<O: Read + Write + Seek>(
    draft: Draft<'_>,
    output: &mut O,
    fate: DescriptionFate,
    octets: u64,
) -> Result<Edited, EditError> {
    let unsound = |reason: String| EditError::NotVerified { reason };
    let result = Stream::read(Source::Seekable(Box::new(output)).into(), &Options::default(), &mut ());
    let mut result = result.map_err(|fault| unsound(fault.to_string()))?;
    let Draft { stream: mut input, bodies, renamed, renamed_blocks, configuration, force, notes, .. } = draft;

    let (before, after) = (&input.analysis, &result.analysis);
    if after.configuration != configuration {
        return Err(unsound("the configuration is another one".to_owned()));
    }
    if before.sections.len() != after.sections.len() {
        return Err(unsound(format!("{} sections instead of {}", after.sections.len(), before.sections.len())));
    }
    for (index, (before, after)) in before.sections.iter().zip(&after.sections).enumerate() {
        let name = renamed.get(&index).unwrap_or(&before.name);
        let edited = bodies.get(&index).map(|body| u64::try_from(body.len()).unwrap_or(u64::MAX));
        let is_same = &after.name == name
            && after.instance_id == before.instance_id
            && after.version == before.version
            && after.body_bytes == edited.unwrap_or(before.body_bytes)
            && after.parts == before.parts;
        if !is_same {
            return Err(unsound(format!("section {name:?} came out another one")));
        }
    }
    let is_described = match fate {
        DescriptionFate::Kept => before.end.vmdesc,
        DescriptionFate::Edited | DescriptionFate::Rebuilt => true,
        DescriptionFate::Absent | DescriptionFate::Stripped => after.end.vmdesc,
    };
    if !after.end.eof || after.end.vmdesc != is_described {
        return Err(unsound("its end is not that of the input".to_owned()));
    }
    if renamed_ram(&before.ram, &renamed_blocks) != renamed_ram(&after.ram, &[]) {
        return Err(unsound("its RAM is not that of the input".to_owned()));
    }
    // Without a description there is less to be told; a new oddity is told anyway.
    let is_stripped = fate == DescriptionFate::Stripped;
    if let Some(text) = new_warning(before, after).filter(|_| !is_stripped && !force.0) {
        return Err(unsound(format!("a new warning: {text}")));
    }
    let (changes, left_out) = diff::changes(&mut input, &mut result).map_err(|(_, error)| EditError::Read(error))?;
    let mut notes = notes;
    if left_out > 0 {
        notes.push(format!("{left_out} further changes are left out"));
    }
    Ok(Edited { changes, renamed_blocks, description: fate, octets, notes })
}

/// The report on RAM with the new names, which are in some of the pages' records: what these take is left out.
fn renamed_ram(ram: &RamReport, renamed: &[(String, String)]) -> RamReport {
    let mut ram = ram.clone();
    for block in &mut ram.blocks {
        block.bytes = PageBytes::default();
        if let Some((_, new)) = renamed.iter().find(|(old, _)| *old == block.id) {
            block.id.clone_from(new);
        }
    }
    ram
}

/// A warning of the result that the input does not have as often. Names in it may be new.
fn new_warning<'a>(before: &Analysis, after: &'a Analysis) -> Option<&'a str> {
    let mut known: HashMap<&str, usize> = HashMap::new();
    for warning in &before.warnings {
        let count = known.entry(&warning.text).or_default();
        *count = count.saturating_add(1);
    }
    if after.warnings.len() <= before.warnings.len() {
        return None;
    }
    let mut texts = after.warnings.iter().map(|warning| warning.text.as_str());
    texts.find(|text| match known.get_mut(text) {
        Some(count) if *count > 0 => {
            *count = count.saturating_sub(1);
            false
        }
        _ => true,
    })
}
