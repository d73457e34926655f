//! Schemas of released versions, committed, and the test that holds a change against them.
//!
//! ```text
//! schemas/1.0.json   released: never written again
//! schemas/1.1.json   released
//! schemas/1.2.json   this release: written by the command that the test names
//! schemas/renames.toml   other names and harmless differences, if there are any (docs/check-rules.md)
//! ```
//!
//! | the schema of this build | the test |
//! |---|---|
//! | breaks a direction to or from any file, on a machine type that both know | fails with the findings and their recipes |
//! | differs from this release's file otherwise | fails with the questions, if there are any, and the command that writes the file |
//! | is this release's file | passes |
//!
//! A test in a machine monitor's own repository, with the release taken from its `Cargo.toml`:
//!
//! ```no_run
//! # mod my_machine { pub fn schema() -> vmferry_inspect::schema_dump::SchemaDump { unimplemented!() } }
//! #[test]
//! fn state_stays_loadable() {
//!     vmferry_inspect::baseline!("schemas", my_machine::schema().to_json());
//! }
//! ```
//!
//! [`SchemaDump`](crate::schema_dump::SchemaDump) makes the schema from a registry (`of_registry`) and adds the machine
//! types (`with_machine_types`). After a release, raise the version number: the file of the one that was released is
//! not written again. It lives here and not in `vmstate`, which depends on nothing that reads JSON.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use crate::check::{self, CheckError, Options, Renames, RenamesError, Report, Schema, SchemaError, Verdict};

/// The variable that has the file of this release written.
pub const BLESS: &str = "VMFERRY_BLESS";

/// Why a baseline does not hold; printed, it says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaselineError {
    /// Streams of a release do not load any more, or the other way round.
    #[error("{path} and this build do not load each other's streams:\n\n{}", report_text(.report))]
    Breaks {
        /// The release's file.
        path: PathBuf,
        /// What breaks.
        report: Box<Report>,
    },
    /// The file of this release has to be written.
    #[error("{path} is not the schema of this build{}\n\n{BLESS}=1 cargo test writes it; commit it with the change", risks(.report))]
    Stale {
        /// The file.
        path: PathBuf,
        /// What differs; `None` if there is no file yet.
        report: Option<Box<Report>>,
    },
    /// A file is no schema.
    #[error("{path} is no schema")]
    Schema {
        /// The file, or `the schema of this build`.
        path: PathBuf,
        /// Why.
        source: SchemaError,
    },
    /// The file of renames is none.
    #[error("{path} is no list of renames")]
    Renames {
        /// The file.
        path: PathBuf,
        /// Why.
        source: RenamesError,
    },
    /// Two schemas cannot be compared.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// A file cannot be read or written.
    #[error("{path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The schema could not be written as JSON.
    #[error("the schema of this build cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

fn report_text(report: &Report) -> String {
    check::text(report, false)
}

fn risks(report: &Option<Box<Report>>) -> String {
    match report {
        None => ": there is none yet".to_owned(),
        Some(report) if report.verdict() == Verdict::Compatible => "; the difference does no harm".to_owned(),
        Some(report) => format!("; answer first:\n\n{}", check::text(report, false)),
    }
}

/// Holds the schema of this build against the files in `folder`; `release` names the file that may be written.
///
/// # Errors
///
/// A direction breaks to or from any of the files; the file of this release is not this schema, and it was not asked
/// to write it; a file cannot be read, or is no schema.
pub fn hold(folder: &Path, release: &str, schema: &str) -> Result<(), BaselineError> {
    hold_or_write(folder, release, schema, env::var_os(BLESS).is_some())
}

fn hold_or_write(folder: &Path, release: &str, text: &str, may_write: bool) -> Result<(), BaselineError> {
    let current = folder.join(format!("{release}.json"));
    let text = format!("{}\n", text.trim_end());
    let parse = |path: &Path, text: &str| {
        Schema::from_json(text.as_bytes()).map_err(|source| BaselineError::Schema { path: path.to_owned(), source })
    };
    let now = parse(&current, &text)?;
    let mut options = Options::default();
    let renames = folder.join("renames.toml");
    if let Some(text) = read(&renames)? {
        options.renames =
            Renames::from_toml(&text).map_err(|source| BaselineError::Renames { path: renames, source })?;
    }
    for path in released(folder, &current)? {
        let old = read(&path)?.map(|text| parse(&path, &text)).transpose()?;
        let Some(old) = old else { continue };
        let report = check::check(&old, &now, &options)?;
        if report.verdict() == Verdict::Incompatible {
            return Err(BaselineError::Breaks { path, report: Box::new(report) });
        }
    }
    let committed = read(&current)?;
    if committed.as_ref() == Some(&text) {
        return Ok(());
    }
    if may_write {
        let io = |source| BaselineError::Io { path: current.clone(), source };
        fs::create_dir_all(folder).map_err(io)?;
        return fs::write(&current, text).map_err(io);
    }
    let Some(committed) = committed else { return Err(BaselineError::Stale { path: current, report: None }) };
    let report = Box::new(check::check(&parse(&current, &committed)?, &now, &options)?);
    Err(match report.verdict() {
        Verdict::Incompatible => BaselineError::Breaks { path: current, report },
        _ => BaselineError::Stale { path: current, report: Some(report) },
    })
}

/// Files of other releases, in the order of their names.
fn released(folder: &Path, current: &Path) -> Result<Vec<PathBuf>, BaselineError> {
    let io = |source| BaselineError::Io { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(io)?.path();
        if path != current && path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Option<String>, BaselineError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(BaselineError::Io { path: path.to_owned(), source }),
    }
}

/// Holds a schema against those of released versions, see [`baseline`](mod@crate::baseline). To stand in a test: it
/// panics with what breaks and the recipe, or with the command that updates the file.
///
/// `baseline!(FOLDER, JSON)`: FOLDER is below that of the crate's `Cargo.toml`, JSON the outcome of
/// [`SchemaDump::to_json`](crate::schema_dump::SchemaDump::to_json). A third argument is the release, where it is not
/// the version of the crate.
#[macro_export]
macro_rules! baseline {
    ($folder:expr, $json:expr $(,)?) => {
        $crate::baseline!($folder, $json, env!("CARGO_PKG_VERSION"))
    };
    ($folder:expr, $json:expr, $release:expr $(,)?) => {{
        let folder = ::std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join($folder);
        let held = match $json {
            Ok(json) => $crate::baseline::hold(&folder, $release, &json),
            Err(error) => Err($crate::baseline::BaselineError::Json(error)),
        };
        if let Err(error) = held {
            let cause = ::std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            panic!("{error}{cause}");
        }
    }};
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use vmstate::schema::{Field, Kind, Scalar, Schema, Subsection};

    use super::*;
    use crate::schema_dump::{SchemaDump, SectionSchema};

    const U32: Kind = Kind::Scalar(Scalar::U32);
    static FIFO: Schema = Schema::new("uart/fifo", 1).fields(&[Field::new("octets", U32)]);
    static FIRST: Schema = Schema::new("uart", 1).fields(&[Field::new("rbr", U32)]);
    static RENAMED: Schema = Schema::new("uart", 1).fields(&[Field::new("receive", U32)]);
    static GROWN: Schema = Schema::new("uart", 1).fields(&[Field::new("rbr", U32), Field::new("lcr", U32)]);
    static RARE: Schema =
        Schema::new("uart", 1).fields(&[Field::new("rbr", U32)]).subsections(&[Subsection::new(&FIFO)]);

    fn dump(schema: &'static Schema) -> String {
        let section =
            SectionSchema { schema, idstr: "uart", instance_id: 0, other_names: Vec::new(), properties: None };
        SchemaDump::new("board-1.0", [section]).to_json().unwrap()
    }

    #[test]
    fn a_release_is_written_once_and_held_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let hold = |release: &str, schema, may_write| hold_or_write(folder.path(), release, &dump(schema), may_write);
        let said = |held: Result<(), BaselineError>| held.unwrap_err().to_string();
        assert!(said(hold("1.0", &FIRST, false)).contains("there is none yet"));
        hold("1.0", &FIRST, true).unwrap();
        hold("1.0", &FIRST, false).unwrap();
        // A change that does no harm names the command.
        let harmless = said(hold("1.0", &RENAMED, false));
        assert!(harmless.contains("the difference does no harm\n\nVMFERRY_BLESS=1 cargo test writes it"), "{harmless}");
        // One that depends asks first.
        let rare = said(hold("1.0", &RARE, false));
        assert!(rare.contains("answer first") && rare.contains("subsection-added"), "{rare}");
        // One that breaks has the recipe.
        let broken = said(hold("1.0", &GROWN, false));
        assert!(broken.contains("field-added") && broken.contains("#3-a-property-and-a-subsection"), "{broken}");
        // The next release must not break the one before, whether it may write or not.
        hold("1.1", &RENAMED, true).unwrap();
        let broken = said(hold("1.1", &GROWN, true));
        assert!(broken.contains("1.0.json and this build do not load each other's streams"), "{broken}");
        hold("1.1", &RENAMED, false).unwrap();
    }

    #[test]
    fn a_file_of_renames_excuses_an_island() {
        let folder = tempfile::tempdir().unwrap();
        let hold = |release: &str, schema| hold_or_write(folder.path(), release, &dump(schema), true);
        hold("1.0", &FIRST).unwrap();
        hold("1.1", &GROWN).unwrap_err();
        let excuse = "[[harmless]]\nrule = 'field-added'\npath = 'uart.lcr'\nreason = '1.0 was never published'";
        fs::write(folder.path().join("renames.toml"), excuse).unwrap();
        hold("1.1", &GROWN).unwrap();
    }

    #[test]
    #[should_panic(expected = "there is none yet")]
    fn the_macro_panics_with_what_to_do() {
        crate::baseline!("tests/no-such-folder", Ok::<_, serde_json::Error>(dump(&FIRST)), "1.0");
    }
}
