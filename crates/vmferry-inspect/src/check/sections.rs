//! Two dumps: machine types, the classes of each, and their sections.
//!
//! ```text
//! machine types that both know ── × forward, backward ── each class of the writer ── its partner at the reader
//!   (one comparison for those that make the same of all properties)
//! ```
//!
//! | partner of a class | |
//! |---|---|
//! | the class of its name, or of another name for it | compared |
//! | a class without a partner whose section has the same name | compared; whether it is the same device is asked |
//! | none | its sections are refused |
//!
//! Source: `docs/spec/vmdesc.md` C1 and D5, `docs/spec/compat.md` section 5.

use std::collections::{HashMap, HashSet};

use super::compare::{At, Link, Place, openness_described};
use super::finding::{Direction, Finding, Findings, Severity};
use super::layout::{Openness, Side};
use super::limits::PAIR_COUNT_LIMIT;
use super::renames::Renames;
use super::rules::Rule;
use super::schema::{Class, Instance, Schema};

/// Compares two dumps on one machine type, or on all that both know.
pub(super) fn compare(old: &Schema, new: &Schema, renames: &Renames, machines: &[Option<String>]) -> Findings {
    let mut findings = Findings::default();
    let mut pairs_left = PAIR_COUNT_LIMIT;
    for machine in machines {
        let machine = machine.as_deref();
        properties(old, new, renames, machine, &mut findings);
        for (direction, writer, reader) in [(Direction::Forward, old, new), (Direction::Backward, new, old)] {
            let mut load = Load {
                writer,
                reader,
                direction,
                machine,
                renames,
                findings: &mut findings,
                pairs_left: &mut pairs_left,
            };
            load.classes();
        }
    }
    findings
}

/// Compares what a machine type makes of the properties: those that are no gates shape what is sent all the same.
fn properties(old: &Schema, new: &Schema, renames: &Renames, machine: Option<&str>, findings: &mut Findings) {
    let Some(machine) = machine else { return };
    for class in &old.classes {
        let other = new.classes.iter().find(|other| renames.class(&other.name) == renames.class(&class.name));
        let Some(other) = other else { continue };
        let (before, after) = (Side::new(old, class, Some(machine)), Side::new(new, other, Some(machine)));
        let (Some(before), Some(after)) = (before.properties, after.properties) else { continue };
        let mut gates = HashSet::new();
        for description in [&class.description, &other.description] {
            description.gates(&mut gates);
        }
        // What a gate does is compared itself.
        for (name, value) in before.iter().filter(|(name, _)| !gates.contains(name.as_str())) {
            let Some((_, now)) = after.iter().find(|(other, now)| other == name && now != value) else { continue };
            findings.add(Finding {
                severity: Severity::Risk,
                direction: Direction::Both,
                rule: Rule::PropertyChanged,
                section: class.name.clone(),
                path: format!("{}.{name}", class.name),
                old: value.clone(),
                new: now.clone(),
                question: Some("does the guest see it, or does what is sent depend on it?".to_owned()),
                machines: vec![machine.to_owned()],
                harmless: None,
            });
        }
    }
}

/// One direction on one machine type.
struct Load<'s, 'c> {
    writer: &'s Schema,
    reader: &'s Schema,
    direction: Direction,
    machine: Option<&'c str>,
    renames: &'c Renames,
    findings: &'c mut Findings,
    pairs_left: &'c mut usize,
}

impl<'s> Load<'s, '_> {
    fn classes(&mut self) {
        let by_name = |schema: &'s Schema, renames: &Renames| -> HashMap<String, &'s Class> {
            schema.classes.iter().map(|class| (renames.class(&class.name).to_owned(), class)).collect()
        };
        let readers = by_name(self.reader, self.renames);
        let writers = by_name(self.writer, self.renames);
        // Classes without a partner, by the name of their section.
        let mut unpaired: HashMap<&str, Vec<&'s Class>> = HashMap::new();
        for class in &self.reader.classes {
            if !writers.contains_key(self.renames.class(&class.name)) {
                unpaired.entry(&class.description.name).or_default().push(class);
            }
        }
        for class in &self.writer.classes {
            match readers.get(self.renames.class(&class.name)) {
                Some(other) => self.pair(class, other),
                None => match unpaired.get_mut(class.description.name.as_str()).and_then(Vec::pop) {
                    Some(other) => self.renamed(class, other),
                    None => self.unknown(class),
                },
            }
        }
    }

    fn link<'l>(&'l mut self, class: &'s Class, other: &'s Class) -> Link<'s, 'l> {
        Link {
            writer: Side::new(self.writer, class, self.machine),
            reader: Side::new(self.reader, other, self.machine),
            direction: self.direction,
            machine: self.machine,
            class: &class.name,
            renames: self.renames,
            findings: self.findings,
            pairs_left: self.pairs_left,
        }
    }

    fn pair(&mut self, class: &'s Class, other: &'s Class) {
        let place = Place { path: class.name.clone(), scopes: vec![&class.name, &other.name], only_if: None };
        let (written, read) = (&class.description, &other.description);
        let mut link = self.link(class, other);
        link.sent_changed(&place, Rule::SectionGate, &written.gate, &read.gate);
        if let Openness::Closed(_) = link.writer.openness(&written.gate) {
            return;
        }
        if written.unmigratable.is_some() || read.unmigratable.is_some() {
            unmigratable(&mut link, &place, written.unmigratable.as_deref(), read.unmigratable.as_deref());
            return;
        }
        match (&class.instances, &other.instances) {
            (Some(sent), Some(known)) => instances(&mut link, &place, sent, known),
            _ if written.name != read.name => {
                let texts = (written.name.as_str(), read.name.as_str());
                link.report(&place, Rule::SectionRenamed, Severity::Break, texts, None);
            }
            _ => {}
        }
        if link.is_forward() && (written.priority != read.priority || written.is_early != read.is_early) {
            let shown = |priority: &Option<String>, is_early: bool| {
                let priority = priority.as_deref().unwrap_or("default");
                format!("priority {priority}{}", if is_early { ", before RAM" } else { "" })
            };
            let texts = (shown(&written.priority, written.is_early), shown(&read.priority, read.is_early));
            let question = Some("does anything that is loaded before or after it depend on the order?".to_owned());
            link.report(&place, Rule::OrderChanged, Severity::Risk, texts, question);
        }
        let is_same_machine = link.writer.properties == link.reader.properties;
        if let Some(read) = link.versions(&place, written, read)
            && !(written == read && is_same_machine)
        {
            let at = |description| At { description, version: written.version, is_nested: false };
            link.descriptions(&place, at(written), at(read));
        }
    }

    /// Compares classes of other names whose sections have the same name.
    fn renamed(&mut self, class: &'s Class, other: &'s Class) {
        let place = Place { path: class.name.clone(), scopes: Vec::new(), only_if: None };
        let mut link = self.link(class, other);
        let question = Some(format!("are {} and {} different devices?", class.name, other.name));
        link.report(&place, Rule::ClassRenamed, Severity::Risk, (class.name.as_str(), other.name.as_str()), question);
        self.pair(class, other);
    }

    fn unknown(&mut self, class: &'s Class) {
        let place = Place { path: class.name.clone(), scopes: Vec::new(), only_if: None };
        let mut link = self.link(class, class);
        if class.description.unmigratable.is_some() {
            return;
        }
        let openness = link.writer.openness(&class.description.gate);
        let (severity, question) = match (&class.instances, openness) {
            (_, Openness::Closed(_)) => return,
            (None, _) => (Severity::Risk, Some(format!("has the machine a device {}?", class.name))),
            (Some(_), Openness::Unknown(property)) => {
                (Severity::Risk, Some(format!("is {property} on in a machine type that both know?")))
            }
            (Some(_), _) => (Severity::Break, None),
        };
        let sent = match &class.instances {
            Some(_) => openness_described(openness),
            None => format!("section {}", class.description.name),
        };
        link.report(&place, Rule::SectionUnknown, severity, (sent, "no such class".to_owned()), question);
    }
}

fn unmigratable(link: &mut Link<'_, '_>, place: &Place<'_>, written: Option<&str>, read: Option<&str>) {
    let shown =
        |reason: Option<&str>| reason.map_or("migrates".to_owned(), |reason| format!("does not migrate: {reason}"));
    // Nothing is sent by a side whose device does not migrate: the direction where it would have been breaks if the
    // other one did it before.
    let severity = match (written, read) {
        (Some(_), Some(_)) => return,
        (None, Some(_)) => Severity::Break,
        (Some(_), None) if link.is_forward() => Severity::Info,
        (Some(_), None) => Severity::Break,
        (None, None) => return,
    };
    link.report(place, Rule::Unmigratable, severity, (shown(written), shown(read)), None);
}

/// Compares the names of sections.
fn instances(link: &mut Link<'_, '_>, place: &Place<'_>, sent: &[Instance], known: &[Instance]) {
    for instance in sent {
        if !known.iter().any(|other| other.is_called(&instance.idstr, instance.instance_id)) {
            let shown = |instance: &Instance| format!("{}/{}", instance.idstr, instance.instance_id);
            let known: Vec<String> = known.iter().take(8).map(shown).collect();
            let texts = (shown(instance), format!("knows {}", known.join(", ")));
            link.report(place, Rule::InstanceUnknown, Severity::Break, texts, None);
        }
    }
}

/// Compares which machine types there are.
pub(super) fn machine_types(old: &Schema, new: &Schema, findings: &mut Findings) {
    let mut add = |rule: Rule, severity, direction, path: &str, texts: (&str, &str)| {
        findings.add(Finding {
            severity,
            direction,
            rule,
            section: String::new(),
            path: path.to_owned(),
            old: texts.0.to_owned(),
            new: texts.1.to_owned(),
            question: None,
            machines: Vec::new(),
            harmless: None,
        });
    };
    if old.machine_types.is_empty() || new.machine_types.is_empty() {
        if old.machine != new.machine && !old.knows(&new.machine) && !new.knows(&old.machine) {
            // QEMU's dumps are the same for all machine types of a binary, but for the name.
            let is_of_a_machine = old.is_detailed && new.is_detailed;
            let severity = if is_of_a_machine { Severity::Break } else { Severity::Info };
            add(Rule::MachineDiffers, severity, Direction::Both, "machine", (&old.machine, &new.machine));
        }
        return;
    }
    for machine in old.machine_types.iter().filter(|machine| !new.knows(&machine.name)) {
        // Removed on purpose, at the end of its life.
        let is_removed = new.removed_machine_types.contains(&machine.name);
        let severity = if is_removed { Severity::Info } else { Severity::Break };
        let texts = ("known", if is_removed { "removed" } else { "not known" });
        add(Rule::MachineUnknown, severity, Direction::Forward, &machine.name, texts);
    }
}
