//! What is known of QEMU's releases, and which of them a stream or a schema can be of.
//!
//! | file | from |
//! |---|---|
//! | `data/qemu-releases.tsv` | `-dump-vmstate` of the releases: descriptions and fields that some of them lack, all subsections |
//! | `data/qemu-sections.toml` | saving and loading with them: what no dump tells |
//!
//! Between two known releases something came or went at an unknown point. So a release is known as a [`Span`], and a
//! question about it has three answers. Nothing is known of releases before 5.2.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use serde::Deserialize;

use super::recorded::Recorded;
use super::tree::{Content, Node};

/// The releases that were asked, oldest first.
const RELEASES: [&str; 4] = ["5.2", "7.2", "10.0", "11.1"];

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Yes,
    No,
    Perhaps,
}

/// Some of [`RELEASES`], one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Set(u8);

impl Set {
    const ALL: Set = Set(0b1111);

    fn of(names: &[&str]) -> Option<Set> {
        names.iter().try_fold(Set(0), |set, name| {
            let place = RELEASES.iter().position(|release| release == name)?;
            Some(Set(set.0 | 1 << place))
        })
    }

    fn has(self, place: usize) -> bool {
        self.0 >> place & 1 == 1
    }

    fn first(self) -> Option<usize> {
        (0..RELEASES.len()).find(|place| self.has(*place))
    }

    fn last(self) -> Option<usize> {
        (0..RELEASES.len()).rfind(|place| self.has(*place))
    }
}

/// The releases that something can be of: those between two known ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    /// It is newer than this one.
    newer_than: Option<usize>,
    /// It is older than this one.
    older_than: Option<usize>,
}

impl Span {
    /// Narrows it to releases that have what `set` has.
    fn has(&mut self, set: Set) {
        let (Some(first), Some(last)) = (set.first(), set.last()) else { return };
        if let Some(before) = first.checked_sub(1) {
            self.newer_than = self.newer_than.max(Some(before));
        }
        if last + 1 < RELEASES.len() {
            self.older_than = Some(self.older_than.map_or(last + 1, |older| older.min(last + 1)));
        }
    }

    /// Narrows it to releases that lack what `set` has from some release to the newest.
    fn lacks(&mut self, set: Set) {
        if let (Some(first), true) = (set.first(), set.last() == Some(RELEASES.len() - 1)) {
            self.older_than = Some(self.older_than.map_or(first, |older| older.min(first)));
        }
    }

    /// Whether a release of the span has what those of `set` have.
    fn knows(self, set: Set) -> Known {
        let (Some(first), Some(last)) = (set.first(), set.last()) else { return Known::Perhaps };
        let is_begun = first == 0 || self.newer_than.is_some_and(|newer| newer >= first);
        let may_be_over = last + 1 < RELEASES.len() && self.older_than.is_none_or(|older| older > last);
        let comes_later =
            first.checked_sub(1).is_some_and(|before| self.older_than.is_some_and(|older| older <= before));
        let is_over = self.newer_than.is_some_and(|newer| newer > last);
        match (comes_later || is_over, is_begun && !may_be_over) {
            (true, _) => Known::No,
            (false, true) => Known::Yes,
            (false, false) => Known::Perhaps,
        }
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |place: Option<usize>| place.and_then(|place| RELEASES.get(place));
        match (name(self.newer_than), name(self.older_than)) {
            (Some(newer), Some(older)) => write!(f, "newer than {newer}, older than {older}"),
            (Some(newer), None) => write!(f, "newer than {newer}"),
            (None, Some(older)) => write!(f, "older than {older}"),
            (None, None) => f.write_str("not known"),
        }
    }
}

/// The facts.
#[derive(Debug)]
pub(super) struct Releases {
    /// Description → releases, where some lack it.
    descriptions: HashMap<&'static str, Set>,
    /// Description, field → releases, where some that have the description lack the field.
    fields: HashMap<(String, String), Set>,
    /// Description, subsection → releases.
    subsections: HashMap<(String, String), Set>,
    sections: Sections,
    always: Vec<(String, String, Set)>,
    queue_size_checked: Set,
    switchover_start: Set,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sections {
    section: Vec<UndumpedSection>,
    silent: Vec<SilentSection>,
    data: Vec<DataFields>,
    configured: Vec<ConfiguredField>,
    compared: Vec<DataFields>,
    per_cpu: Vec<PerCpu>,
    always: Vec<Always>,
    field: Vec<UndumpedField>,
    queue_size: QueueSize,
    switchover_start: SwitchoverStart,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UndumpedSection {
    name: String,
    subsections: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SilentSection {
    name: String,
    shown_by: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DataFields {
    description: String,
    fields: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfiguredField {
    description: String,
    field: String,
    property: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PerCpu {
    description: String,
    field: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Always {
    description: String,
    subsection: String,
    releases: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UndumpedField {
    description: String,
    name: String,
    releases: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct QueueSize {
    checked_by: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SwitchoverStart {
    releases: Vec<String>,
}

/// The facts, read once.
#[expect(clippy::expect_used, reason = "the files are part of the source, and a test reads them")]
pub(super) fn releases() -> &'static Releases {
    static FACTS: LazyLock<Releases> = LazyLock::new(|| {
        let read = Releases::read(
            include_str!("../../../data/qemu-releases.tsv"),
            include_str!("../../../data/qemu-sections.toml"),
        );
        read.expect("sound files")
    });
    &FACTS
}

impl Releases {
    fn read(dumped: &'static str, sections: &str) -> Result<Self, String> {
        let sections: Sections = toml::from_str(sections).map_err(|error| error.to_string())?;
        let set = |names: &[&str]| Set::of(names).ok_or_else(|| format!("an unknown release in {names:?}"));
        let named = |names: &[String]| set(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let mut facts = Self {
            descriptions: HashMap::new(),
            fields: HashMap::new(),
            subsections: HashMap::new(),
            always: Vec::new(),
            queue_size_checked: named(&sections.queue_size.checked_by)?,
            switchover_start: named(&sections.switchover_start.releases)?,
            sections,
        };
        for line in dumped.lines().filter(|line| !line.starts_with('#')) {
            let [kind, description, name, names] = line.split('\t').collect::<Vec<_>>()[..] else {
                return Err(format!("{line:?} has not four columns"));
            };
            let having = set(&names.split(' ').collect::<Vec<_>>())?;
            let key = (description.to_owned(), name.to_owned());
            match kind {
                "description" => drop(facts.descriptions.insert(description, having)),
                "field" => drop(facts.fields.insert(key, having)),
                "subsection" => drop(facts.subsections.insert(key, having)),
                _ => return Err(format!("{kind:?} is no kind of fact")),
            }
        }
        for field in &facts.sections.field {
            facts.fields.insert((field.description.clone(), field.name.clone()), named(&field.releases)?);
        }
        for section in &facts.sections.section {
            for subsection in &section.subsections {
                facts.subsections.insert((section.name.clone(), subsection.clone()), Set::ALL);
            }
        }
        for Always { description, subsection, releases } in &facts.sections.always {
            facts.always.push((description.clone(), subsection.clone(), named(releases)?));
        }
        Ok(facts)
    }

    /// The releases that a freshly started machine's stream can be of, by what is in it.
    pub(super) fn span_of_reference(&self, stream: &Recorded) -> Span {
        let mut span = Span::default();
        for state in stream.sections.iter().filter_map(|section| section.state.as_ref()) {
            self.narrow(&mut span, state);
        }
        span
    }

    fn narrow(&self, span: &mut Span, node: &Node) {
        let of = |name: &str| (node.name.clone(), name.to_owned());
        if let Some(having) = self.descriptions.get(node.name.as_str()) {
            span.has(*having);
        }
        for entry in &node.entries {
            if let Some(having) = self.fields.get(&of(&entry.name)) {
                span.has(*having);
            }
            if let Content::Nodes(nodes) = &entry.content {
                nodes.first().into_iter().for_each(|node| self.narrow(span, node));
            }
        }
        for subsection in &node.subsections {
            if let Some(having) = self.subsections.get(&of(&subsection.name)) {
                span.has(*having);
            }
            self.narrow(span, subsection);
        }
        for (description, subsection, releases) in &self.always {
            if *description == node.name {
                match node.subsections.iter().any(|sent| sent.name == *subsection) {
                    true => span.has(*releases),
                    false => span.lacks(*releases),
                }
            }
        }
    }

    /// Whether a release of `span` knows a subsection.
    pub(super) fn knows_subsection(&self, span: Span, description: &str, subsection: &str) -> Known {
        let key = (description.to_owned(), subsection.to_owned());
        self.subsections.get(&key).map_or(Known::Perhaps, |having| span.knows(*having))
    }

    /// Whether a release of `span` has a field.
    pub(super) fn has_field(&self, span: Span, description: &str, field: &str) -> Known {
        let key = (description.to_owned(), field.to_owned());
        self.fields.get(&key).map_or(Known::Perhaps, |having| span.knows(*having))
    }

    /// Whether a release of `span` refuses a queue that is larger than its own. One newer than those that do not is
    /// taken for one that does: a refusal that was foretold in vain is the smaller harm.
    pub(super) fn checks_queue_size(&self, span: Span) -> Known {
        let before = self.queue_size_checked.first().and_then(|first| first.checked_sub(1));
        match span.newer_than >= before {
            true => Known::Yes,
            false => span.knows(self.queue_size_checked),
        }
    }

    /// Whether a release of `span` knows the command that announces the last phase.
    pub(super) fn knows_switchover_start(&self, span: Span) -> Known {
        span.knows(self.switchover_start)
    }

    /// Whether a section belongs to no device class, so that no dump has it.
    pub(super) fn is_undumped(&self, description: &str) -> bool {
        self.sections.section.iter().any(|section| section.name == description)
    }

    /// The descriptions of sections that show that a destination has a section which it does not send.
    pub(super) fn shown_by(&self, section: &str) -> Option<HashSet<&str>> {
        let silent = self.sections.silent.iter().find(|silent| silent.name == section)?;
        Some(silent.shown_by.iter().map(String::as_str).collect())
    }

    /// Whether a field is there or not by what the device holds.
    pub(super) fn is_data(&self, description: &str, field: &str) -> bool {
        let mut data = self.sections.data.iter().filter(|data| data.description == description);
        data.any(|data| data.fields.iter().any(|name| name == field))
    }

    /// The property that decides whether a field is there.
    pub(super) fn property_of(&self, description: &str, field: &str) -> Option<&str> {
        let mut configured = self.sections.configured.iter();
        let found = configured.find(|entry| entry.description == description && entry.field == field)?;
        Some(&found.property)
    }

    /// Whether a destination refuses a value of a field that is not its own, though no codec says so.
    pub(super) fn is_compared(&self, description: &str, field: &str) -> bool {
        let mut compared = self.sections.compared.iter().filter(|entry| entry.description == description);
        compared.any(|entry| entry.fields.iter().any(|name| name == field))
    }

    /// Whether an array has an element for each possible CPU.
    pub(super) fn is_per_cpu(&self, description: &str, field: &str) -> bool {
        self.sections.per_cpu.iter().any(|entry| entry.description == description && entry.field == field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(newer_than: Option<usize>, older_than: Option<usize>) -> Span {
        Span { newer_than, older_than }
    }

    #[test]
    fn what_came_between_two_releases_is_known_of_the_later_ones_only() {
        let since_10 = Set::of(&["10.0", "11.1"]).unwrap();
        assert_eq!(span(Some(2), None).knows(since_10), Known::Yes, "newer than 10.0");
        assert_eq!(span(Some(1), Some(3)).knows(since_10), Known::Perhaps, "between 7.2 and 11.1: it may be 8.0");
        assert_eq!(span(None, Some(1)).knows(since_10), Known::No, "older than 7.2");
        assert_eq!(span(None, Some(2)).knows(since_10), Known::Perhaps, "older than 10.0: it may be 9.0");
        assert_eq!(span(None, None).knows(Set::ALL), Known::Yes);
    }

    #[test]
    fn what_went_is_not_known_of_later_releases() {
        let until_7 = Set::of(&["5.2", "7.2"]).unwrap();
        assert_eq!(span(None, Some(1)).knows(until_7), Known::Yes);
        assert_eq!(span(None, Some(2)).knows(until_7), Known::Perhaps, "older than 10.0: it may be 9.0");
        assert_eq!(span(Some(1), None).knows(until_7), Known::Perhaps);
        assert_eq!(span(Some(2), None).knows(until_7), Known::No);
    }

    #[test]
    fn a_span_narrows_with_each_fact() {
        let mut narrowed = Span::default();
        narrowed.has(Set::of(&["7.2", "10.0", "11.1"]).unwrap());
        assert_eq!(narrowed, span(Some(0), None));
        narrowed.has(Set::of(&["5.2", "7.2", "10.0"]).unwrap());
        assert_eq!(narrowed, span(Some(0), Some(3)));
        narrowed.lacks(Set::of(&["10.0", "11.1"]).unwrap());
        assert_eq!(narrowed, span(Some(0), Some(2)));
        narrowed.lacks(Set::of(&["5.2"]).unwrap());
        assert_eq!(narrowed, span(Some(0), Some(2)), "what is gone in newer releases says nothing when it lacks");
    }

    #[test]
    fn the_files_are_read() {
        let facts = releases();
        assert_eq!(facts.knows_subsection(Span::default(), "e1000", "e1000/mit_state"), Known::Yes);
        assert_eq!(facts.knows_subsection(Span::default(), "e1000", "e1000/none"), Known::Perhaps);
        assert!(facts.is_data("ide_drive", "identify_data") && !facts.is_data("ide_drive", "status"));
    }
}
