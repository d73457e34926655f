//! `vmferry edit`: mends a stored stream.
//!
//! | ends with | when |
//! |---|---|
//! | 0 | the result is written, was read again, and differs in what was asked for alone |
//! | 1 | refused: nobody could vouch for the result |
//! | 2 | an edit does not fit the stream, or the output is there already |
//! | 3 | the stream is cut short or damaged |
//! | 4 | a file cannot be opened, read or written |
//!
//! The result appears under its name when it is complete, and never over a file that is there.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, anyhow};
use tempfile::Builder;
use vmferry_inspect::edit::{DescriptionEdit, EditError, Edited, Edits, edit};
use vmferry_inspect::{AnalyzeError, Options};

use crate::commands::analyze::inputs::{StreamFile, name};
use crate::commands::analyze::progress::Bar;
use crate::exit::{ExitCode, Failure, OrExit as _, Outcome};
use crate::output::Output;
use crate::size::Size;

/// Mend a stored migration stream: drop a subsection, set a field, rename, change the machine type
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The stream; - is standard input
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The result, a new file
    #[arg(value_name = "OUT")]
    result: PathBuf,
    /// Where the stream starts in its file; what stands before is not in the result
    #[arg(long, value_name = "BYTES", default_value = "0")]
    offset: Size,
    /// Which snapshot, if the file is a qcow2 image that holds several; its name or id
    #[arg(long, value_name = "NAME", conflicts_with = "offset")]
    snapshot: Option<String>,
    /// Leave a subsection out; repeat for each
    #[arg(long, value_name = "PATH")]
    drop_subsection: Vec<String>,
    /// Give a field another value; repeat for each
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<Pair>,
    /// Give a section or a RAM block another name; repeat for each
    #[arg(long, value_name = "OLD=NEW")]
    rename: Vec<Pair>,
    /// Change the name of the machine type
    #[arg(long, value_name = "NAME")]
    machine: Option<String>,
    /// Leave the description behind the stream out
    #[arg(long, conflicts_with = "rebuild_description")]
    strip_description: bool,
    /// Write the description anew, from what the stream was found to hold
    #[arg(long)]
    rebuild_description: bool,
    /// Do what nobody can vouch for
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  vmferry edit vm.stream mended.stream --drop-subsection pckbd/0.kbd.pckbd/extended_state
  vmferry edit vm.stream mended.stream --set serial/0.state.divider=12 --machine pc-i440fx-5.2
  vmferry edit disk.qcow2 mended.stream --snapshot monday --machine pc-i440fx-7.2
  vmferry edit vm.stream mended.stream --rename pc.ram=ram0 --rebuild-description";

/// `LEFT=RIGHT`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair(String, String);

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((left, right)) if !left.is_empty() => Ok(Self(left.to_owned(), right.to_owned())),
            _ => Err(format!("found '{text}', expected two words with '=' between")),
        }
    }
}

impl Args {
    fn edits(&self) -> Edits {
        let pairs = |pairs: &[Pair]| pairs.iter().map(|Pair(left, right)| (left.clone(), right.clone())).collect();
        Edits {
            drop_subsections: self.drop_subsection.clone(),
            set: pairs(&self.set),
            rename: pairs(&self.rename),
            machine: self.machine.clone(),
            description: match (self.strip_description, self.rebuild_description) {
                (true, _) => DescriptionEdit::Strip,
                (_, true) => DescriptionEdit::Rebuild,
                _ => DescriptionEdit::Keep,
            },
            force: self.force,
        }
    }
}

pub(crate) fn run(args: &Args, output: Output) -> Outcome {
    let result_name = name(&args.result);
    if args.result.symlink_metadata().is_ok() {
        return Err(Failure::usage(anyhow!("{result_name} is there already; a new file is expected")));
    }
    let stream = StreamFile { path: &args.input, offset: args.offset.0, snapshot: args.snapshot.as_deref() };
    let input = stream.open()?;
    let mut options = Options::default();
    options.stream_offset = stream.offset;
    let folder = args.result.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = Builder::new().prefix(".vmferry-edit-").tempfile_in(folder);
    let mut file = file.with_context(|| format!("cannot write into {}", folder.display())).or_environment()?;
    let mut bar = Bar::new(output);
    let edited = edit(input, &options, &args.edits(), file.as_file_mut(), &mut bar);
    drop(bar);
    let edited = edited.map_err(|error| failure(error, &name(&args.input)))?;
    file.as_file().sync_all().with_context(|| format!("cannot write {result_name}")).or_environment()?;
    let persisted = file.persist_noclobber(&args.result).map_err(|error| error.error);
    persisted.with_context(|| format!("cannot write {result_name}")).or_environment()?;
    for note in &edited.notes {
        output.note(&format!("note: {note}"));
    }
    if output.json {
        output.document(|out| edited.write_json(out))?;
    } else {
        output.text(&text(&edited, &result_name))?;
    }
    Ok(ExitCode::Done)
}

fn text(edited: &Edited, result: &str) -> String {
    let Edited { changes, renamed_blocks, description, octets, .. } = edited;
    let blocks = renamed_blocks.iter().map(|(old, new)| format!("ram block {old}: now {new}\n"));
    let lines: String = changes.iter().map(|change| format!("{change}\n")).chain(blocks).collect();
    let count = changes.len().saturating_add(renamed_blocks.len());
    format!("{lines}{result}: {octets} octets, {count} changes, description {}\n", description.word())
}

fn failure(error: EditError, name: &str) -> Failure {
    let code = match &error {
        EditError::Analyze(AnalyzeError::Malformed(_)) | EditError::Truncated { .. } => ExitCode::Input,
        EditError::Unfit { .. } => ExitCode::Usage,
        EditError::Refused { .. } | EditError::NotVerified { .. } => ExitCode::No,
        _ => ExitCode::Environment,
    };
    Failure { code, error: anyhow::Error::new(error).context(format!("{name} was not edited")) }
}
