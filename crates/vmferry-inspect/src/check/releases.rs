//! Several releases, each checked against each.
//!
//! ```text
//! 1.0  1.1  2.0     pairs in this order: 1.0–1.1, 1.0–2.0, 1.1–2.0
//! ```
//!
//! | key of the document | has |
//! |---|---|
//! | `verdict`, `forward`, `backward` | the worst of all pairs; forward is an earlier release's streams loaded by a later one |
//! | `releases` | the names, in the order in which they were given |
//! | `pairs` | the document of each pair, with `old` and `new` |

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::finding::Verdict;
use super::limits::RELEASE_COUNT_LIMIT;
use super::report::Report;
use super::schema::Schema;
use super::text::text;
use super::{CheckError, Options, check};

/// A schema and what it is called.
#[derive(Debug, Clone)]
pub struct Release {
    /// The name of the release, or of the file.
    pub name: String,
    /// What it sends and loads.
    pub schema: Schema,
}

/// Reports on all pairs of some releases.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Releases {
    /// Their names, oldest first.
    pub names: Vec<String>,
    /// The pairs: first those of the oldest.
    pub pairs: Vec<Pair>,
}

/// Two of the releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Name of the one that was given earlier.
    pub old: String,
    /// Name of the other one.
    pub new: String,
    /// What a check says.
    pub report: Report,
}

/// The releases cannot be checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleasesError {
    /// Too many of them.
    #[error("{found} schemas, up to {RELEASE_COUNT_LIMIT} are checked against one another")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// One pair does not fit the question.
    #[error("{old} (OLD) against {new} (NEW)")]
    Pair {
        /// Name of the one that was given earlier.
        old: String,
        /// Name of the other one.
        new: String,
        /// Why.
        source: CheckError,
    },
}

/// Compares each release with each later one.
///
/// # Errors
///
/// There are more than [`RELEASE_COUNT_LIMIT`]; a dump does not know the machine type of the options.
pub fn check_all(releases: &[Release], options: &Options) -> Result<Releases, ReleasesError> {
    if releases.len() > RELEASE_COUNT_LIMIT {
        return Err(ReleasesError::TooMany { found: releases.len() });
    }
    let mut pairs = Vec::new();
    for (at, old) in releases.iter().enumerate() {
        for new in releases.iter().skip(at.saturating_add(1)) {
            let named = |source| ReleasesError::Pair { old: old.name.clone(), new: new.name.clone(), source };
            let report = check(&old.schema, &new.schema, options).map_err(named)?;
            pairs.push(Pair { old: old.name.clone(), new: new.name.clone(), report });
        }
    }
    Ok(Releases { names: releases.iter().map(|release| release.name.clone()).collect(), pairs })
}

impl Releases {
    /// One report as releases.
    #[must_use]
    pub fn of_pair(old: String, new: String, report: Report) -> Releases {
        Releases { names: vec![old.clone(), new.clone()], pairs: vec![Pair { old, new, report }] }
    }

    /// The worst verdict of streams of earlier releases loaded by later ones.
    #[must_use]
    pub fn forward(&self) -> Verdict {
        self.pairs.iter().map(|pair| pair.report.forward).max().unwrap_or(Verdict::Compatible)
    }

    /// The worst verdict of streams of later releases loaded by earlier ones.
    #[must_use]
    pub fn backward(&self) -> Verdict {
        self.pairs.iter().map(|pair| pair.report.backward).max().unwrap_or(Verdict::Compatible)
    }

    /// The worst verdict of all.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.forward().max(self.backward())
    }

    /// Machine types that a pair has verdicts on, in the order in which the pairs have them.
    pub(crate) fn machines(&self) -> Vec<&str> {
        let mut known: BTreeMap<&str, ()> = BTreeMap::new();
        let all = self.pairs.iter().flat_map(|pair| &pair.report.machines).map(|machine| machine.name.as_str());
        all.filter(|name| known.insert(name, ()).is_none()).collect()
    }

    /// The document.
    ///
    /// # Errors
    ///
    /// None in practice: every key is a string.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// For people: the verdicts of all directions, then the report on each pair; `with_infos` also what does no
    /// harm.
    #[must_use]
    pub fn text(&self, with_infos: bool) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        for Pair { old, new, report } in &self.pairs {
            let _ = writeln!(out, "{:13} {old} → {new}\n{:13} {new} → {old}", report.forward, report.backward);
        }
        for Pair { old, new, report } in &self.pairs {
            let _ = writeln!(out, "\n== {old} (OLD) and {new} (NEW)\n\n{}", text(report, with_infos).trim_end());
        }
        out
    }
}

impl Serialize for Releases {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("verdict", &self.verdict().to_string())?;
        map.serialize_entry("forward", &self.forward().to_string())?;
        map.serialize_entry("backward", &self.backward().to_string())?;
        map.serialize_entry("releases", &self.names)?;
        map.serialize_entry("pairs", &self.pairs)?;
        map.end()
    }
}

impl Serialize for Pair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("old", &self.old)?;
        map.serialize_entry("new", &self.new)?;
        self.report.entries(&mut map)?;
        map.end()
    }
}
