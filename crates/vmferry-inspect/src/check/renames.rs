//! What people know and dumps do not say: other names of the same thing, and differences that do no harm.
//!
//! ```toml
//! [[section]]            # a class that got another name
//! old = "ICH9 SMB"
//! new = "ICH9-SMB"
//!
//! [[field]]              # a field that got another name
//! section = "hpet"       # class, or name of a description; `*` for all
//! old = "num_timers"
//! new = "num_timers_save"
//!
//! [[harmless]]           # findings that do no harm
//! rule = "section-unknown"
//! path = "scsi-disk"     # as in the finding; a `*` at the end stands for any rest
//! direction = "forward"  # or backward; both if absent
//! reason = "an abstract class: there is no device of it"
//! ```
//!
//! Names count in both directions and for all releases; the names of the wire themselves cannot be excused by a rename
//! (a section or subsection is refused by its name, whatever a file says).

use std::collections::HashMap;

use serde::Deserialize;

use super::finding::{Direction, Finding, Severity};
use super::limits::RENAMES_BYTES_LIMIT;
use super::stream::StreamRule;

/// Renames and harmless differences.
#[derive(Debug, Clone, Default)]
pub struct Renames {
    /// Class → what it is compared as.
    sections: HashMap<String, String>,
    /// Class or description, field → what it is compared as.
    fields: HashMap<(String, String), String>,
    harmless: Vec<Harmless>,
}

/// The text is no list of renames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenamesError {
    /// The text is no TOML, or has keys that mean nothing.
    #[error("{0}")]
    Syntax(String),
    /// More text than accepted.
    #[error("{found} octets, accepted are up to {RENAMES_BYTES_LIMIT}")]
    TooLong {
        /// Octets.
        found: usize,
    },
    /// A rule that does not exist.
    #[error("there is no rule {0:?}")]
    UnknownRule(String),
    /// A direction that does not exist.
    #[error("direction {0:?} is neither \"forward\" nor \"backward\"")]
    UnknownDirection(String),
    /// An excuse without a reason.
    #[error("the harmless {0:?} has no reason")]
    NoReason(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    section: Vec<SectionEntry>,
    #[serde(default)]
    field: Vec<FieldEntry>,
    #[serde(default)]
    harmless: Vec<HarmlessEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SectionEntry {
    old: String,
    new: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldEntry {
    section: String,
    old: String,
    new: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HarmlessEntry {
    rule: String,
    path: String,
    direction: Option<String>,
    reason: String,
}

#[derive(Debug, Clone)]
struct Harmless {
    rule: StreamRule,
    path: String,
    direction: Direction,
    reason: String,
}

impl Renames {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// No TOML of the form above; a rule or direction that does not exist; an excuse without a reason.
    pub fn from_toml(text: &str) -> Result<Self, RenamesError> {
        if text.len() > RENAMES_BYTES_LIMIT {
            return Err(RenamesError::TooLong { found: text.len() });
        }
        let document: Document =
            toml::from_str(text).map_err(|error| RenamesError::Syntax(error.to_string().trim_end().to_owned()))?;
        let mut renames = Self::default();
        for entry in document.section {
            let same = renames.sections.get(&entry.old).cloned().unwrap_or_else(|| entry.old.clone());
            renames.sections.insert(entry.old, same.clone());
            renames.sections.insert(entry.new, same);
        }
        for entry in document.field {
            let key = (entry.section.clone(), entry.old);
            let same = renames.fields.get(&key).cloned().unwrap_or_else(|| key.1.clone());
            renames.fields.insert(key, same.clone());
            renames.fields.insert((entry.section, entry.new), same);
        }
        for entry in document.harmless {
            renames.harmless.push(Harmless::new(entry)?);
        }
        Ok(renames)
    }

    /// What a class is compared as.
    pub(super) fn class<'n>(&'n self, name: &'n str) -> &'n str {
        self.sections.get(name).map_or(name, String::as_str)
    }

    /// What a field is compared as, somewhere in the classes and descriptions `scopes`.
    pub(super) fn field<'n>(&'n self, scopes: &[&str], name: &'n str) -> &'n str {
        if self.fields.is_empty() {
            return name;
        }
        let in_scope = |scope: &str| self.fields.get(&(scope.to_owned(), name.to_owned()));
        scopes.iter().copied().chain(["*"]).find_map(in_scope).map_or(name, String::as_str)
    }

    /// Marks a finding that is declared harmless.
    pub(super) fn excuse(&self, finding: &mut Finding) {
        let excuse = self.harmless.iter().find(|harmless| harmless.covers(finding));
        if let Some(excuse) = excuse {
            finding.severity = Severity::Info;
            finding.harmless = Some(excuse.reason.clone());
        }
    }

    /// Why a finding about a stream is declared harmless.
    pub(super) fn excuse_in_stream(&self, rule: StreamRule, path: &str) -> Option<&str> {
        let mut covering = self.harmless.iter().filter(|harmless| harmless.direction != Direction::Backward);
        covering.find(|harmless| harmless.is_at(rule, path)).map(|harmless| harmless.reason.as_str())
    }
}

impl Harmless {
    fn new(entry: HarmlessEntry) -> Result<Self, RenamesError> {
        let rule = StreamRule::named(&entry.rule).ok_or(RenamesError::UnknownRule(entry.rule))?;
        let direction = match entry.direction.as_deref() {
            None => Direction::Both,
            Some("forward") => Direction::Forward,
            Some("backward") => Direction::Backward,
            Some(other) => return Err(RenamesError::UnknownDirection(other.to_owned())),
        };
        if entry.reason.trim().is_empty() {
            return Err(RenamesError::NoReason(entry.path));
        }
        Ok(Self { rule, path: entry.path, direction, reason: entry.reason })
    }

    fn covers(&self, finding: &Finding) -> bool {
        self.is_at(StreamRule::Schema(finding.rule), &finding.path)
            && (self.direction == Direction::Both || self.direction == finding.direction)
    }

    fn is_at(&self, rule: StreamRule, path: &str) -> bool {
        let is_path = match self.path.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path == self.path,
        };
        is_path && self.rule == rule
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_both_directions_and_in_chains() {
        let renames = Renames::from_toml(
            r#"
            [[section]]
            old = "a"
            new = "b"
            [[section]]
            old = "b"
            new = "c"
            [[field]]
            section = "hpet"
            old = "num_timers"
            new = "num_timers_save"
            [[field]]
            section = "*"
            old = "dev"
            new = "parent_obj"
            "#,
        )
        .unwrap();
        assert_eq!(["a", "b", "c", "d"].map(|name| renames.class(name)), ["a", "a", "a", "d"]);
        assert_eq!(renames.field(&["hpet"], "num_timers_save"), "num_timers");
        assert_eq!(renames.field(&["rtc"], "num_timers_save"), "num_timers_save");
        assert_eq!(renames.field(&["rtc"], "parent_obj"), "dev");
    }

    #[test]
    fn a_file_that_means_nothing_is_refused() {
        let error = |text: &str| Renames::from_toml(text).unwrap_err().to_string();
        assert!(error("[[sections]]\nold = 1").contains("unknown field `sections`"));
        let harmless = |rule: &str, rest: &str| format!("[[harmless]]\nrule = '{rule}'\npath = 'x'\n{rest}");
        assert_eq!(error(&harmless("fields-added", "reason = 'r'")), r#"there is no rule "fields-added""#);
        assert_eq!(error(&harmless("field-added", "reason = ' '")), r#"the harmless "x" has no reason"#);
        assert!(error(&harmless("field-added", "reason = 'r'\ndirection = 'up'")).contains("neither"));
        assert!(error(&"#".repeat(RENAMES_BYTES_LIMIT + 1)).contains("accepted are up to"));
    }
}
