//! Will streams of one release load in the other? Two schema dumps against each other, in both directions.
//!
//! ```text
//! OLD.json ─ json ─ read ─┐                              ┌ sections (machine types, classes)
//!                         ├─ Schema × Schema ─ compare ──┤ compare  (descriptions, pairs of fields)   ─ Report
//! NEW.json ─ json ─ read ─┘        renames               └ gaps     (fields without a partner)
//! ```
//!
//! ```
//! use vmferry_inspect::check::{Options, Schema, Verdict, check};
//!
//! let dump = |fields: &str| {
//!     format!(
//!         r#"{{"vmschkmachine": {{"Name": "pc"}}, "uart": {{"Name": "uart", "Description":
//!            {{"name": "uart", "version_id": 1, "minimum_version_id": 1, "Fields": [{fields}]}}}}}}"#
//!     )
//! };
//! let rbr = r#"{"field": "rbr", "version_id": 0, "field_exists": false, "size": 1}"#;
//! let old = Schema::from_json(dump(rbr).as_bytes())?;
//! let new = Schema::from_json(dump(&format!("{rbr}, {}", rbr.replace("rbr", "lcr"))).as_bytes())?;
//! let report = check(&old, &new, &Options::default())?;
//! assert_eq!(report.verdict(), Verdict::Incompatible);
//! assert_eq!(report.findings[0].rule.name(), "field-added");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! QEMU's dumps tell neither codecs nor predicates, and describe classes, not machines: what depends on those is a risk
//! with a question, and the verdict `depends`. Ours ([`crate::schema_dump`]) tell both, for each machine type.
//!
//! Source: `docs/spec/vmdesc.md` B to D; what QEMU's checker does not see is C3 there.

mod align;
mod codecs;
mod compare;
mod explanations;
mod finding;
mod gaps;
mod json;
mod layout;
pub mod limits;
mod read;
pub mod releases;
mod renames;
mod report;
mod rules;
pub mod schema;
mod sections;
pub mod stream;
pub(crate) mod text;

pub use explanations::Explanation;
pub use finding::{Direction, Finding, Severity, Verdict};
pub use json::SchemaError;
pub use renames::{Renames, RenamesError};
pub use report::{MachineVerdict, Report};
pub use rules::{GUIDE, Recipe, Rule};
pub use schema::Schema;
pub use text::text;

/// What can be chosen about a check.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// Check this machine type alone; all that both know if `None`.
    pub machine: Option<String>,
    /// Other names, and what does no harm.
    pub renames: Renames,
}

/// The question does not fit the dumps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// A machine type that a dump does not know.
    #[error("{side} knows no machine type {machine:?}; it knows {}", known.join(", "))]
    UnknownMachine {
        /// OLD or NEW.
        side: &'static str,
        /// The machine type.
        machine: String,
        /// Those that there are.
        known: Vec<String>,
    },
}

/// Compares two dumps.
///
/// # Errors
///
/// A dump does not know the machine type of the options.
pub fn check(old: &Schema, new: &Schema, options: &Options) -> Result<Report, CheckError> {
    report::check(old, new, options)
}
