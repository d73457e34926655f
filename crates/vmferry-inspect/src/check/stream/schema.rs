//! A stream against the destination's schema: sections, versions, fields and subsections that it really carries.
//!
//! With one of our schemas the stream's description becomes that of a writer without conditions, and is compared with
//! the reader's by the rules of [`crate::check::check`]. Of what those find only breaks count: which field a condition
//! brings is decided, since the stream has it or has not, and what a value may be is for a reference to say.
//!
//! QEMU's dumps tell neither codecs nor conditions, and name fields that changed their names: of those, sections,
//! versions and subsections are compared.

use std::collections::HashMap;

use vmferry_wire::description::{Contents, Field as DescribedField, Vmsd};

use super::recorded::{Recorded, RecordedSection};
use super::reference::path_of;
use super::releases::releases;
use super::report::{Found, StreamFinding};
use super::rules::StreamRule;
use crate::check::compare::{At, Link, Place};
use crate::check::finding::{Direction, Finding, Findings};
use crate::check::layout::Side;
use crate::check::limits::PAIR_COUNT_LIMIT;
use crate::check::schema::{Class, Description, Field, Gate, Schema};
use crate::check::{Renames, Severity};

/// A schema with its descriptions by name.
#[derive(Debug)]
pub(super) struct SchemaIndex<'s> {
    schema: &'s Schema,
    classes: HashMap<&'s str, Vec<&'s Class>>,
    descriptions: HashMap<&'s str, Vec<&'s Description>>,
}

impl<'s> SchemaIndex<'s> {
    pub(super) fn new(schema: &'s Schema) -> Self {
        let mut index = Self { schema, classes: HashMap::new(), descriptions: HashMap::new() };
        for class in &schema.classes {
            index.classes.entry(&class.description.name).or_default().push(class);
            index.add(&class.description);
        }
        index
    }

    fn add(&mut self, description: &'s Description) {
        self.descriptions.entry(&description.name).or_default().push(description);
        let fields = description.fields.iter();
        fields.flat_map(|field| field.description.iter().chain(&field.key)).for_each(|nested| self.add(nested));
        description.subsections.iter().for_each(|subsection| self.add(subsection));
        if let Some(older) = &description.older {
            self.add(&older.description);
        }
    }

    /// Whether it says what a machine type makes of the properties.
    pub(super) fn knows_machine(&self, machine: &str) -> bool {
        let is_told = self.schema.is_evaluated || !self.schema.machine_types.is_empty();
        is_told && self.schema.knows(machine)
    }

    /// Whether a section's description is in it.
    pub(super) fn describes(&self, description: &str) -> bool {
        self.classes.contains_key(description)
    }

    /// Whether it tells that the machine has this section; QEMU's dumps tell no instances.
    pub(super) fn has_instance(&self, idstr: &str, instance_id: u32) -> bool {
        let mut instances = self.schema.classes.iter().filter_map(|class| class.instances.as_ref()).flatten();
        instances.any(|instance| instance.is_called(idstr, instance_id))
    }

    /// Whether a description knows a subsection; `None` if the description is not in it.
    pub(super) fn knows_subsection(&self, description: &str, subsection: &str) -> Option<bool> {
        self.subsection(description, subsection).map(|known| !known.is_empty())
    }

    /// The forms of a subsection; `None` if the description that it stands in is not there.
    fn subsection(&self, description: &str, subsection: &str) -> Option<&[&'s Description]> {
        let holders = self.descriptions.get(description)?;
        let is_listed = holders.iter().any(|holder| holder.subsections.iter().any(|listed| listed.name == subsection));
        let forms = self.descriptions.get(subsection).filter(|_| is_listed);
        Some(forms.map_or(&[], Vec::as_slice))
    }

    /// The classes that a section can be of.
    fn candidates(&self, section: &RecordedSection, renames: &Renames) -> Vec<&'s Class> {
        if self.schema.is_detailed {
            let is_it = |class: &&Class| {
                let instances = class.instances.as_deref().unwrap_or_default();
                instances.iter().any(|instance| instance.is_called(&section.idstr, section.instance_id))
            };
            return self.schema.classes.iter().filter(is_it).collect();
        }
        let name = section.description_name();
        let classes = self.classes.get(name).or_else(|| {
            let renamed = self.classes.keys().find(|other| renames.class(other) == renames.class(name))?;
            self.classes.get(renamed)
        });
        classes.cloned().unwrap_or_default()
    }
}

/// Compares a stream with a schema, on a machine type if one is given.
pub(super) fn compare(
    stream: &Recorded,
    index: &SchemaIndex<'_>,
    machine: Option<&str>,
    renames: &Renames,
    found: &mut Found,
) {
    let mut pairs_left = PAIR_COUNT_LIMIT;
    for section in &stream.sections {
        let candidates = index.candidates(section, renames);
        if candidates.is_empty() {
            unknown(section, index, found);
            continue;
        }
        let outcomes = candidates.into_iter().map(|class| {
            let findings = one(section, index.schema, class, machine, renames, &mut pairs_left);
            findings.into_iter().filter(|finding| finding.severity == Severity::Break).collect::<Vec<_>>()
        });
        // Several classes may send sections of one description; which one it is the stream does not say.
        let best = outcomes.min_by_key(Vec::len).unwrap_or_default();
        let is_refused = !best.is_empty();
        for finding in best {
            found.add(in_stream(section, finding));
        }
        if let (Some(vmsd), false, false) = (&section.vmsd, is_refused, index.schema.is_detailed) {
            subsections(section, index, vmsd, &path_of(section), found);
        }
    }
}

/// Subsections, at any depth, that a QEMU does not load.
fn subsections(section: &RecordedSection, index: &SchemaIndex<'_>, vmsd: &Vmsd, path: &str, found: &mut Found) {
    let below = |name: &str| format!("{path}.{name}");
    for field in &vmsd.fields {
        if let Contents::Struct(nested) = &field.contents {
            subsections(section, index, nested, &below(&field.name), found);
        }
    }
    for sent in &vmsd.subsections {
        let path = below(&sent.name);
        let refusal = match index.subsection(&vmsd.name, &sent.name) {
            Some([]) => Some((StreamRule::Subsection, "no such subsection".to_owned())),
            Some(known) if !known.iter().any(|known| known.loading(sent.version).is_some()) => {
                let versions = known.iter().map(|known| format!("{} to {}", known.minimum_version, known.version));
                let shown = format!("loads {}", versions.collect::<Vec<_>>().join(", "));
                Some((StreamRule::SectionVersion, shown))
            }
            Some(_) | None => None,
        };
        if let Some((rule, expected)) = refusal {
            found.add(StreamFinding {
                severity: Severity::Break,
                rule,
                path,
                offset: Some(section.offset),
                found: format!("sent in version {}", sent.version),
                expected,
                question: None,
                harmless: None,
            });
        } else {
            subsections(section, index, sent, &path, found);
        }
    }
}

fn in_stream(section: &RecordedSection, finding: Finding) -> StreamFinding {
    let Finding { severity, rule, section: class, path, old, new, .. } = finding;
    let below = path.strip_prefix(&class).unwrap_or_default();
    StreamFinding {
        severity,
        rule: StreamRule::Schema(rule),
        path: format!("{}{below}", path_of(section)),
        offset: Some(section.offset),
        found: old,
        expected: new,
        question: None,
        harmless: None,
    }
}

/// The findings about a section if it is of this class.
fn one(
    section: &RecordedSection,
    schema: &Schema,
    class: &Class,
    machine: Option<&str>,
    renames: &Renames,
    pairs_left: &mut usize,
) -> Vec<Finding> {
    let mut written = match &section.vmsd {
        Some(vmsd) => description(vmsd),
        None => Description::named(section.description_name(), section.version),
    };
    // The header counts, not what the description says.
    written.version = section.version;
    let mut findings = Findings::default();
    let writer = Side { is_detailed: true, tells_numbers: true, properties: None, is_evaluated: false };
    let mut link = Link {
        writer,
        reader: Side::new(schema, class, machine),
        direction: Direction::Forward,
        machine: None,
        class: &class.name,
        renames,
        findings: &mut findings,
        pairs_left,
    };
    let place = Place { path: class.name.clone(), scopes: vec![&class.name], only_if: None };
    if let Some(read) = link.versions(&place, &written, &class.description)
        && section.vmsd.is_some()
        && schema.is_detailed
    {
        let at = |description| At { description, version: section.version, is_nested: false };
        link.descriptions(&place, at(&written), at(read));
    }
    findings.finish().0
}

/// A section that the schema does not have.
fn unknown(section: &RecordedSection, index: &SchemaIndex<'_>, found: &mut Found) {
    let name = section.description_name();
    let is_of_the_engine = matches!(section.idstr.as_str(), "globalstate");
    if is_of_the_engine || section.is_iterative || (!index.schema.is_detailed && releases().is_undumped(name)) {
        return;
    }
    // A section may be registered without a class, also that of a device on a bus.
    let (severity, question) = match index.schema.is_detailed {
        true => (Severity::Break, None),
        false => (Severity::Risk, Some("is it no section that the destination registers without a device class?")),
    };
    found.add(StreamFinding {
        severity,
        rule: StreamRule::Section,
        path: path_of(section),
        offset: Some(section.offset),
        found: format!("a section of version {}", section.version),
        expected: "no such class".to_owned(),
        question: question.map(str::to_owned),
        harmless: None,
    });
}

/// What a stream wrote, as the description of a writer that always writes it.
fn description(vmsd: &Vmsd) -> Description {
    Description {
        fields: vmsd.fields.iter().map(field).collect(),
        subsections: vmsd.subsections.iter().map(description).collect(),
        ..Description::named(&vmsd.name, vmsd.version)
    }
}

fn field(described: &DescribedField) -> Field {
    let nested = match &described.contents {
        Contents::Struct(vmsd) => Some(Box::new(description(vmsd))),
        Contents::Plain | Contents::EmptyStruct | Contents::Flat(_) => None,
    };
    Field {
        name: plain_name(&described.name).to_owned(),
        since: 0,
        is_tested: false,
        elements: described.array_len,
        size: described.size,
        description: nested,
        key: None,
        codec: Some(described.type_name.clone()),
        test: None,
        gate: Gate::default(),
        count: None,
        limit: None,
        pinned: None,
        is_pointer: false,
    }
}

/// The name of a field without the number that tells repeated names apart (`docs/spec/vmdesc.md` A4).
fn plain_name(name: &str) -> &str {
    let number = name.strip_suffix(']').and_then(|name| name.rsplit_once('['));
    match number {
        Some((plain, digits)) if !plain.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()) => plain,
        _ => name,
    }
}

impl Description {
    /// One without contents.
    fn named(name: &str, version: u32) -> Self {
        Self {
            name: name.to_owned(),
            version,
            minimum_version: version,
            fields: Vec::new(),
            subsections: Vec::new(),
            gate: Gate::default(),
            priority: None,
            is_early: false,
            locals: Vec::new(),
            checks: Vec::new(),
            unmigratable: None,
            older: None,
        }
    }
}
