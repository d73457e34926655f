//! What a check finds, and the verdict that follows.
//!
//! | severity | meaning | verdict of its directions |
//! |---|---|---|
//! | break | what one side writes the other refuses, or reads as something else | incompatible |
//! | risk | it depends on what no dump says; the finding has the question | depends |
//! | info | differs, and does no harm | compatible |

use std::collections::HashMap;
use std::fmt;

use super::limits::FINDING_COUNT_LIMIT;
use super::rules::Rule;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Does no harm.
    Info,
    /// Does harm or not, depending on what no dump says.
    Risk,
    /// Breaks migration.
    Break,
}

/// Whose streams a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// OLD's streams, loaded by NEW.
    Forward,
    /// NEW's streams, loaded by OLD.
    Backward,
    /// Both.
    Both,
}

/// Whether streams load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// They do, as far as descriptions go.
    Compatible,
    /// It depends on the questions of the findings.
    Depends,
    /// They do not.
    Incompatible,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Whose streams it is about.
    pub direction: Direction,
    /// What kind it is.
    pub rule: Rule,
    /// The class that it is in; empty for the machine.
    pub section: String,
    /// Class, fields and subsections down to it.
    pub path: String,
    /// What OLD has.
    pub old: String,
    /// What NEW has.
    pub new: String,
    /// What has to be known for a verdict: a question whose answer *yes* means that it breaks.
    pub question: Option<String>,
    /// Machine types on which it is so; empty if it does not depend on one.
    pub machines: Vec<String>,
    /// Why it is declared harmless.
    pub harmless: Option<String>,
}

impl Finding {
    /// What is in the stream: what the writer has; of both directions, what NEW has.
    #[must_use]
    pub fn found(&self) -> &str {
        if self.direction == Direction::Forward { &self.old } else { &self.new }
    }

    /// What the reader loads; of both directions, what OLD has.
    #[must_use]
    pub fn expected(&self) -> &str {
        if self.direction == Direction::Forward { &self.new } else { &self.old }
    }
}

impl Direction {
    /// Whether findings of this direction count for `other`, which is not [`Direction::Both`].
    #[must_use]
    pub fn includes(self, other: Direction) -> bool {
        self == Direction::Both || self == other
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Risk => "risk",
            Self::Break => "break",
        })
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
            Self::Both => "both",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Compatible => "compatible",
            Self::Depends => "depends",
            Self::Incompatible => "incompatible",
        })
    }
}

impl From<Severity> for Verdict {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Compatible,
            Severity::Risk => Self::Depends,
            Severity::Break => Self::Incompatible,
        }
    }
}

/// Findings that are being collected: equal ones of several directions or machine types become one.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    /// By everything but direction and machine types: where in the list.
    known: HashMap<Key, Vec<usize>>,
    /// Findings beyond the limit.
    dropped: usize,
    /// Worst severity of what was dropped.
    dropped_worst: Option<Severity>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    rule: Rule,
    severity: Severity,
    path: String,
    old: String,
    new: String,
    question: Option<String>,
}

impl Findings {
    /// Adds a finding of one direction, on at most one machine type.
    pub(super) fn add(&mut self, finding: Finding) {
        let key = Key {
            rule: finding.rule,
            severity: finding.severity,
            path: finding.path.clone(),
            old: finding.old.clone(),
            new: finding.new.clone(),
            question: finding.question.clone(),
        };
        let same = self.known.entry(key).or_default();
        let direction_known =
            same.iter().find(|at| self.list.get(**at).is_some_and(|f| f.direction == finding.direction));
        if let Some(known) = direction_known.and_then(|at| self.list.get_mut(*at)) {
            for machine in finding.machines {
                if !known.machines.contains(&machine) {
                    known.machines.push(machine);
                }
            }
        } else if self.list.len() < FINDING_COUNT_LIMIT {
            same.push(self.list.len());
            self.list.push(finding);
        } else {
            self.dropped = self.dropped.saturating_add(1);
            self.dropped_worst = self.dropped_worst.max(Some(finding.severity));
        }
    }

    /// All of them; what holds forward and backward alike is one finding of both. With the number of those that were
    /// too many, and the worst of them.
    pub(super) fn finish(self) -> (Vec<Finding>, usize, Option<Severity>) {
        let mut list: Vec<Option<Finding>> = self.list.into_iter().map(Some).collect();
        for places in self.known.into_values() {
            let [first, second] = places.as_slice() else { continue };
            let equal_machines = {
                let machines = |at: &usize| list.get(*at)?.as_ref().map(|finding| finding.machines.clone());
                machines(first) == machines(second)
            };
            if equal_machines && let Some(slot) = list.get_mut(*second) {
                *slot = None;
                if let Some(Some(finding)) = list.get_mut(*first) {
                    finding.direction = Direction::Both;
                }
            }
        }
        (list.into_iter().flatten().collect(), self.dropped, self.dropped_worst)
    }
}
