//! The outcome of a stream's check: level, verdict, findings, and the document that scripts read.

use std::collections::HashSet;

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::rules::StreamRule;
use crate::check::limits::FINDING_COUNT_LIMIT;
use crate::check::{GUIDE, Renames, Severity, Verdict};

/// What was known of the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Its schema: sections, versions, subsections.
    Schema,
    /// The same on a machine type, with what that makes of the properties.
    Machine,
    /// A stream that it saved itself, freshly started: devices, RAM, values.
    Reference,
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Schema => "schema",
            Self::Machine => "machine",
            Self::Reference => "reference",
        })
    }
}

/// One thing that a check of a stream found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFinding {
    /// How bad it is.
    pub severity: Severity,
    /// What kind it is.
    pub rule: StreamRule,
    /// Where: section, fields and subsections down to it; a RAM block; `machine`.
    pub path: String,
    /// Position in the stream of the section, where it is one.
    pub offset: Option<u64>,
    /// What is in the stream.
    pub found: String,
    /// What the destination has or takes.
    pub expected: String,
    /// What has to be known for a verdict: a question whose answer *yes* means that it is refused.
    pub question: Option<String>,
    /// Why it is declared harmless.
    pub harmless: Option<String>,
}

/// What a check of a stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamReport {
    /// What was known of the destination.
    pub level: Level,
    /// The machine type that the stream names.
    pub machine: Option<String>,
    /// Findings, worst first, then in the order of the stream.
    pub findings: Vec<StreamFinding>,
    /// Findings beyond the limit, which are not listed.
    pub dropped: usize,
    dropped_worst: Option<Severity>,
}

impl StreamReport {
    /// Whether the destination will load the stream, as far as the level goes.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let worst = self.findings.iter().map(|finding| finding.severity).max().max(self.dropped_worst);
        worst.map_or(Verdict::Compatible, Verdict::from)
    }

    /// How many findings of a severity there are.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
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

/// Findings that are being collected.
#[derive(Debug, Default)]
pub(super) struct Found {
    findings: Vec<StreamFinding>,
    known: HashSet<(StreamRule, String, String, String)>,
    dropped: usize,
    dropped_worst: Option<Severity>,
}

impl Found {
    pub(super) fn add(&mut self, finding: StreamFinding) {
        let StreamFinding { rule, path, found, expected, severity, .. } = &finding;
        if self.findings.len() >= FINDING_COUNT_LIMIT {
            self.dropped = self.dropped.saturating_add(1);
            self.dropped_worst = self.dropped_worst.max(Some(*severity));
        } else if self.known.insert((*rule, path.clone(), found.clone(), expected.clone())) {
            self.findings.push(finding);
        }
    }

    /// Takes what others found, of at least this severity.
    pub(super) fn take(&mut self, others: Found, least: Severity) {
        others.findings.into_iter().filter(|finding| finding.severity >= least).for_each(|finding| self.add(finding));
        self.dropped = self.dropped.saturating_add(others.dropped);
        self.dropped_worst = self.dropped_worst.max(others.dropped_worst);
    }

    pub(super) fn finish(self, level: Level, machine: Option<String>, renames: &Renames) -> StreamReport {
        let Self { mut findings, known: _, dropped, dropped_worst } = self;
        for finding in &mut findings {
            if let Some(reason) = renames.excuse_in_stream(finding.rule, &finding.path) {
                finding.harmless = Some(reason.to_owned());
                finding.severity = Severity::Info;
                finding.question = None;
            }
        }
        // Stable: within a severity in the order of the stream.
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        StreamReport { level, machine, findings, dropped, dropped_worst }
    }
}

impl Serialize for StreamReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("verdict", &self.verdict().to_string())?;
        map.serialize_entry("findings", &self.findings)?;
        map.serialize_entry("level", &self.level.to_string())?;
        map.serialize_entry("machine", &self.machine)?;
        map.serialize_entry("dropped", &self.dropped)?;
        map.end()
    }
}

impl Serialize for StreamFinding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("severity", &self.severity.to_string())?;
        map.serialize_entry("direction", "forward")?;
        map.serialize_entry("path", &self.path)?;
        map.serialize_entry("rule", self.rule.name())?;
        map.serialize_entry("found", &self.found)?;
        map.serialize_entry("expected", &self.expected)?;
        map.serialize_entry("recipe", self.rule.recipe())?;
        if let StreamRule::Schema(rule) = self.rule {
            map.serialize_entry("recipe_page", &format!("{GUIDE}#{}", rule.recipe().anchor))?;
        }
        map.serialize_entry("offset", &self.offset)?;
        map.serialize_entry("question", &self.question)?;
        map.serialize_entry("harmless", &self.harmless)?;
        map.end()
    }
}
