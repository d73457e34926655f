//! Mends a stored stream: drops subsections, sets fields, renames, changes the machine type, mends the description.
//!
//! ```text
//!  input ─ analyze ─> sections, description (the map)
//!            │
//!  edits ────┼─ bodies of sections, in memory, one at a time     sections.rs, place.rs, value.rs
//!            ├─ id strings, RAM block names                      names.rs, ram_names.rs
//!            ├─ machine type                                     machine.rs
//!            └─ description, made to fit again                   description.rs
//!            │
//!            v
//!  splices ── copy (everything else octet for octet) ─> output ─ analyze, compare (verify.rs)
//! ```
//!
//! Pages are copied through and never held. Refused is what cannot be vouched for: `--force` does some of it all the
//! same; without a map nothing is found at all. A result counts only after it was read again and differs from the input
//! in what was asked for and in nothing else.

mod description;
mod error;
mod machine;
mod names;
mod place;
mod ram_names;
mod sections;
mod splice;
mod value;
mod verify;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{self, Read, Seek, Write};
use std::ops::Range;

use serde::ser::{Serialize, SerializeMap, Serializer};
use vmferry_wire::configuration::Configuration;
use vmferry_wire::description::Description;

pub use error::EditError;

use crate::Options;
use crate::analysis::{Analysis, SectionReport};
use crate::diff::{Difference, Stream};
use crate::edit::error::Force;
use crate::edit::splice::Splices;
use crate::source::{Progress, Source};
use crate::value::JsonInteger;

/// What to change. Subsections are dropped first, then fields are set, each in its order; then names are changed. Paths
/// are those of the input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Paths of subsections.
    pub drop_subsections: Vec<String>,
    /// Paths of fields and their new values.
    pub set: Vec<(String, String)>,
    /// Old and new id strings of sections or names of RAM blocks.
    pub rename: Vec<(String, String)>,
    /// The machine type's new name.
    pub machine: Option<String>,
    /// What becomes of the description behind the stream.
    pub description: DescriptionEdit,
    /// Whether to do what cannot be vouched for.
    pub force: bool,
}

/// What becomes of the description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DescriptionEdit {
    /// It stays as it is; where an edit would make it wrong, it is written anew with that edit.
    #[default]
    Keep,
    /// It is left out.
    Strip,
    /// It is written anew from what the stream was found to hold, without the known defects.
    Rebuild,
}

/// What was done with the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptionFate {
    /// There was none and there is none.
    Absent,
    /// It is as it was.
    Kept,
    /// It has the edits.
    Edited,
    /// It is gone.
    Stripped,
    /// It is new.
    Rebuilt,
}

impl DescriptionFate {
    /// The word in the document.
    pub fn word(self) -> &'static str {
        match self {
            DescriptionFate::Absent => "absent",
            DescriptionFate::Kept => "kept",
            DescriptionFate::Edited => "edited",
            DescriptionFate::Stripped => "stripped",
            DescriptionFate::Rebuilt => "rebuilt",
        }
    }
}

/// What an edit did, as found by reading the result again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Edited {
    /// What differs from the input; A is the input.
    pub changes: Vec<Difference>,
    /// Names of RAM blocks that changed.
    pub renamed_blocks: Vec<(String, String)>,
    /// What became of the description.
    pub description: DescriptionFate,
    /// Octets of the result.
    pub octets: u64,
    /// What may surprise.
    pub notes: Vec<String>,
}

impl Serialize for Edited {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Edited { changes, renamed_blocks, description, octets, notes } = self;
        let blocks: Vec<_> = renamed_blocks.iter().map(|(a, b)| HashMap::from([("a", a), ("b", b)])).collect();
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("changes", changes)?;
        map.serialize_entry("renamed_blocks", &blocks)?;
        map.serialize_entry("description", description.word())?;
        map.serialize_entry("octets", &JsonInteger(*octets))?;
        map.serialize_entry("notes", notes)?;
        map.end()
    }
}

impl Edited {
    /// Writes the JSON document.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_json(&self, out: impl Write) -> io::Result<()> {
        Ok(serde_json::to_writer_pretty(out, self)?)
    }
}

/// Writes `input` with `edits` to `output`, which is empty, and reads it again.
///
/// # Errors
///
/// See [`EditError`]; the output is of no use then.
pub fn edit<O: Read + Write + Seek>(
    input: Source<'_>,
    options: &Options,
    edits: &Edits,
    output: &mut O,
    progress: &mut dyn Progress,
) -> Result<Edited, EditError> {
    let mut draft = Draft::new(Stream::read(input.into(), options, progress)?, Force(edits.force));
    for path in &edits.drop_subsections {
        draft.drop_subsection(path)?;
    }
    for (path, value) in &edits.set {
        draft.set(path, value)?;
    }
    draft.splice_bodies();
    for (old, new) in &edits.rename {
        draft.rename(old, new)?;
    }
    if let Some(name) = &edits.machine {
        draft.set_machine(name)?;
    }
    draft.splice_configuration()?;
    let description = draft.splice_description(edits.description)?;
    draft.splice_package_lengths()?;
    draft.check_fixed_places(options.stream_offset)?;
    let splices = std::mem::take(&mut draft.splices);
    let octets = splices.copy(&mut *draft.stream.file, output, progress)?;
    verify::verify(draft, output, description, octets)
}

/// An edit while it is made.
struct Draft<'a> {
    stream: Stream<'a>,
    /// The configuration of the result.
    configuration: Option<Configuration>,
    /// The description of the result, if there is one.
    description: Option<Description>,
    /// The description's octets in the input, with type and length.
    trailer: Option<Range<u64>>,
    /// For each section of the report its entry in the description.
    entries: Vec<Option<usize>>,
    /// Bodies that edits touched, by section.
    bodies: BTreeMap<usize, Vec<u8>>,
    /// New id strings, by section.
    renamed: BTreeMap<usize, String>,
    renamed_blocks: Vec<(String, String)>,
    is_configuration_changed: bool,
    is_description_stale: bool,
    splices: Splices,
    force: Force,
    notes: Vec<String>,
}

impl<'a> Draft<'a> {
    fn new(stream: Stream<'a>, force: Force) -> Draft<'a> {
        let trailer_offset = stream.analysis.trailer_offset;
        // The only map is one that stands where the stream ends.
        let located = stream.located.as_ref().filter(|located| Some(located.offset) == trailer_offset);
        let description = located.map(|located| located.description.clone());
        let trailer = located.map(|located| located.offset..located.offset.saturating_add(located.octets));
        let configuration = stream.analysis.configuration.clone();
        let entries = entries(&stream.analysis, description.as_ref());
        Draft {
            stream,
            configuration,
            description,
            trailer,
            entries,
            bodies: BTreeMap::new(),
            renamed: BTreeMap::new(),
            renamed_blocks: Vec::new(),
            is_configuration_changed: false,
            is_description_stale: false,
            splices: Splices::default(),
            force,
            notes: Vec::new(),
        }
    }

    fn sections(&self) -> &[SectionReport] {
        &self.stream.analysis.sections
    }
}

/// Entries of the description for the sections: of one id string and instance the k-th belongs to the k-th.
fn entries(analysis: &Analysis, description: Option<&Description>) -> Vec<Option<usize>> {
    let mut unused: HashMap<(&str, u32), VecDeque<usize>> = HashMap::new();
    for (index, device) in description.iter().flat_map(|description| description.devices.iter().enumerate()) {
        unused.entry((&device.idstr, device.instance_id)).or_default().push_back(index);
    }
    let packages = packages(analysis);
    let sections = analysis.sections.iter().map(|section| {
        // Sections in parts are not described, nor are those in a package.
        if section.parts.is_some() || packages.iter().any(|package| package.contains(&section.offset)) {
            return None;
        }
        unused.get_mut(&(section.name.as_str(), section.instance_id))?.pop_front()
    });
    sections.collect()
}

/// Where packages of commands are.
fn packages(analysis: &Analysis) -> Vec<Range<u64>> {
    let packages = analysis.commands.iter().filter_map(|command| {
        let start = command.offset.saturating_add(names::PACKAGED_BYTES);
        Some(start..start.saturating_add(u64::from(command.package_bytes?)))
    });
    packages.collect()
}
