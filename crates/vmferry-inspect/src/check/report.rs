//! The outcome of a check: verdicts, findings, and the document that scripts read.
//!
//! `docs/cli.md` has the document. A finding declared harmless is an info with the reason.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::finding::{Direction, Finding, Findings, Severity, Verdict};
use super::rules::GUIDE;
use super::schema::Schema;
use super::{CheckError, Options, sections};

/// What a check says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The machine that OLD was dumped for.
    pub old_machine: String,
    /// The machine that NEW was dumped for.
    pub new_machine: String,
    /// Verdicts by machine type, where the dumps tell what each sends.
    pub machines: Vec<MachineVerdict>,
    /// OLD's streams loaded by NEW.
    pub forward: Verdict,
    /// NEW's streams loaded by OLD.
    pub backward: Verdict,
    /// Findings, worst first, then in the order of the dump.
    pub findings: Vec<Finding>,
    /// Findings beyond the limit, which are not listed.
    pub dropped: usize,
}

/// The verdicts on one machine type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineVerdict {
    /// The machine type.
    pub name: String,
    /// OLD's streams loaded by NEW.
    pub forward: Verdict,
    /// NEW's streams loaded by OLD.
    pub backward: Verdict,
}

pub(super) fn check(old: &Schema, new: &Schema, options: &Options) -> Result<Report, CheckError> {
    let machines = machines(old, new, options.machine.as_deref())?;
    let mut found = sections::compare(old, new, &options.renames, &machines);
    if options.machine.is_none() {
        sections::machine_types(old, new, &mut found);
    }
    Ok(Report::new(old, new, found, options, machines.into_iter().flatten().collect()))
}

/// The machine types to compare on; `None` where no dump tells what one makes of the gates.
fn machines(old: &Schema, new: &Schema, wanted: Option<&str>) -> Result<Vec<Option<String>>, CheckError> {
    if let Some(wanted) = wanted {
        for (side, schema) in [("OLD", old), ("NEW", new)] {
            if !schema.knows(wanted) {
                let known = schema.machine_names().into_iter().map(str::to_owned).collect();
                return Err(CheckError::UnknownMachine { side, machine: wanted.to_owned(), known });
            }
        }
        return Ok(vec![Some(wanted.to_owned())]);
    }
    let tells = |schema: &Schema| schema.is_evaluated || !schema.machine_types.is_empty();
    let both = || -> Vec<Option<String>> {
        let names = old.machine_names().into_iter().filter(|name| new.knows(name));
        names.map(|name| Some(name.to_owned())).collect()
    };
    match tells(old) || tells(new) {
        true => Some(both()).filter(|both| !both.is_empty()).map_or_else(|| Ok(vec![None]), Ok),
        false => Ok(vec![None]),
    }
}

impl Schema {
    /// Machine types that the dump tells of: those that are listed, or the one that it was made for.
    #[must_use]
    pub fn machine_names(&self) -> Vec<&str> {
        match self.machine_types.as_slice() {
            [] => vec![&self.machine],
            listed => listed.iter().map(|machine| machine.name.as_str()).collect(),
        }
    }

    /// Whether it tells of a machine type.
    #[must_use]
    pub fn knows(&self, machine: &str) -> bool {
        self.machine_names().contains(&machine)
    }
}

impl Report {
    fn new(old: &Schema, new: &Schema, found: Findings, options: &Options, machines: Vec<String>) -> Self {
        let (mut findings, dropped, dropped_worst) = found.finish();
        for finding in &mut findings {
            options.renames.excuse(finding);
        }
        // Stable: within a severity in the order of the dump.
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let verdict = |direction: Direction, machine: Option<&str>| {
            let counts = |finding: &&Finding| {
                finding.direction.includes(direction)
                    && machine
                        .is_none_or(|name| finding.machines.is_empty() || finding.machines.iter().any(|m| m == name))
            };
            let worst = findings.iter().filter(counts).map(|finding| finding.severity).max();
            worst.max(dropped_worst).map_or(Verdict::Compatible, Verdict::from)
        };
        let of = |name: String| MachineVerdict {
            forward: verdict(Direction::Forward, Some(&name)),
            backward: verdict(Direction::Backward, Some(&name)),
            name,
        };
        Self {
            old_machine: old.machine.clone(),
            new_machine: new.machine.clone(),
            machines: machines.into_iter().map(of).collect(),
            forward: verdict(Direction::Forward, None),
            backward: verdict(Direction::Backward, None),
            findings,
            dropped,
        }
    }

    /// The worse of the two directions.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.forward.max(self.backward)
    }

    /// How many findings of a severity count for a direction.
    #[must_use]
    pub fn count(&self, severity: Severity, direction: Direction) -> usize {
        let counts = |finding: &&Finding| finding.severity == severity && finding.direction.includes(direction);
        self.findings.iter().filter(counts).count()
    }

    /// The keys of the document.
    pub(super) fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("verdict", &self.verdict().to_string())?;
        map.serialize_entry("forward", &self.forward.to_string())?;
        map.serialize_entry("backward", &self.backward.to_string())?;
        map.serialize_entry("findings", &self.findings)?;
        map.serialize_entry("machines", &self.machines)?;
        map.serialize_entry("dropped", &self.dropped)
    }

    /// The document.
    ///
    /// # Errors
    ///
    /// None in practice: every key is a string.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.entries(&mut map)?;
        map.end()
    }
}

impl Serialize for MachineVerdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("forward", &self.forward.to_string())?;
        map.serialize_entry("backward", &self.backward.to_string())?;
        map.end()
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let recipe = self.rule.recipe();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("severity", &self.severity.to_string())?;
        map.serialize_entry("direction", &self.direction.to_string())?;
        map.serialize_entry("path", &self.path)?;
        map.serialize_entry("rule", self.rule.name())?;
        map.serialize_entry("found", self.found())?;
        map.serialize_entry("expected", self.expected())?;
        map.serialize_entry("recipe", recipe.text)?;
        map.serialize_entry("recipe_page", &format!("{GUIDE}#{}", recipe.anchor))?;
        map.serialize_entry("section", &self.section)?;
        map.serialize_entry("old", &self.old)?;
        map.serialize_entry("new", &self.new)?;
        map.serialize_entry("question", &self.question)?;
        map.serialize_entry("machines", &self.machines)?;
        map.serialize_entry("harmless", &self.harmless)?;
        map.end()
    }
}
