//! What must hold of a description whatever the image holds (`docs/spec/vmstate.md` sections 7 and 8).
//!
//! What is a mistake in every case does not compile: a derive evaluates [`check_subsection`] and [`check_field`]. What
//! may be meant is a finding. [`findings`] looks through one image with all that it contains, [`section_findings`]
//! through all sections of a machine; a test compares them with a list of those that are meant. A description written
//! by hand has the mistakes among its findings.
//!
//! | rule | severity | what it finds | hazard |
//! |---|---|---|---|
//! | `subsection-name` | error | a name that does not begin with its parent's, or is longer than 255 octets | H2 |
//! | `subsection-unreachable` | error | a loader before the parent's takes the subsection for its own | H2 |
//! | `repeated-subsection` | error | two subsections of one name | H2 |
//! | `subsection-version` | error | a version above 255, of which QEMU's loader keeps 8 bits | H2 |
//! | `versions` | error | `min` above `version`, `since` above `version`, `pinned` outside of the image's versions | H5 |
//! | `ignored-on-nested` | error | priority, early or gate on an image that is no section here | H5 |
//! | `count` | error | a count that is no integer before the field | H4 |
//! | `element-needs-template` | error | an image in a list or tree that cannot start from its default | H9 |
//! | `nested-version` | warning | versions of a nested image, which are not on the wire | H5 |
//! | `data-like-subsection` | warning | octets of the guest's behind a nested image, which may look like its subsection | H1 |
//! | `count-absent` | warning | a count that is not always there with what it counts | H4 |
//! | `loose-limit` | warning | a limit that lets a stream have more than 64 MiB for one field | H4 |
//! | `nothing-on-the-wire` | warning | a form without octets | |
//! | `opaque-test` | info | a test that no checker sees through | H3 |
//! | `pointer-holes` | info | elements whose absence each side decides for itself | H6 |
//! | `since-at-minimum` | info | `since` that every loadable version has | |
//! | `minimum-zero` | info | version 0 is loaded | |
//! | `subsection-separator` | info | a name that does not go on with a slash behind its parent's | |
//! | `repeated-field-name` | info | fields of one name, which descriptions number | |
//! | `id-string` | error | an id string that is empty or longer than 255 octets | |
//! | `id-string-of-two-devices` | error | different images under one id string | |
//! | `name-of-two-images` | warning | different images of one name in one machine | |
//! | `numbered-instances` | info | devices that only the order of their creation tells apart | |

mod claims;
mod layout;
mod rules;
mod sections;

use std::fmt;

use crate::schema::Schema;

pub(crate) use claims::same;
pub use claims::{SUBSECTION_NAME_MAX, SUBSECTION_VERSION_MAX, check_field, check_older, check_subsection};
pub use sections::section_findings;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// To be known when the image is changed.
    Info,
    /// Breaks migrations in some states or configurations.
    Warning,
    /// Breaks every migration, or has no effect where one is expected.
    Error,
}

/// Something about a description that somebody should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Stable name of the rule.
    pub rule: &'static str,
    /// Names of images and fields from the section down, separated by dots.
    pub place: String,
    /// What was found, and what to do about it.
    pub text: String,
}

impl Finding {
    /// What a list of known findings calls it: `RULE at PLACE`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{} at {}", self.rule, self.place)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} at {}: {}", self.severity, self.rule, self.place, self.text)
    }
}

/// What is to be said of the image of a section and of all that it contains; each description once, where it comes
/// first.
#[must_use]
pub fn findings(schema: &Schema) -> Vec<Finding> {
    let mut found = rules::Found::default();
    found.section(schema, schema.name);
    found.into_findings()
}
