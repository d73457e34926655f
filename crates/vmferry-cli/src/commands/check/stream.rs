//! `vmferry check --stream`.

use std::path::Path;

use anyhow::anyhow;
use vmferry_inspect::check::Renames;
use vmferry_inspect::check::stream::{Destination, ReadError, Recorded, check_stream, text};
use vmferry_inspect::{AnalyzeError, Options, html};

use super::{Args, exit_code, renames, schema};
use crate::commands::analyze::inputs::{StreamFile, is_stdin, name};
use crate::commands::analyze::progress::Bar;
use crate::exit::{ExitCode, Failure, OrExit as _, Outcome};
use crate::output::Output;
use crate::whole_file::write_whole;

pub(super) fn run(args: &Args, path: &Path, output: Output) -> Outcome {
    let schema = match args.schemas.as_slice() {
        [] => None,
        [new] => Some(schema(new)?),
        _ => return Err(Failure::usage(anyhow!("with --stream there is one schema, the destination's"))),
    };
    if schema.is_none() && args.machine.is_none() && args.reference.is_none() {
        let text = "nothing is known of the destination: give its schema, its machine type or a reference";
        return Err(Failure::usage(anyhow!(text)));
    }
    if args.reference.as_deref().is_some_and(is_stdin) && is_stdin(path) {
        return Err(Failure::usage(anyhow!("only one of the streams can be standard input")));
    }
    let renames = args.renames.as_deref().map_or_else(|| Ok(Renames::default()), renames)?;
    let stream = read(path, output)?;
    let reference = args.reference.as_deref().map(|path| read(path, output)).transpose()?;
    let mut destination = Destination::default();
    destination.schema = schema.as_ref();
    destination.machine = args.machine.as_deref();
    destination.reference = reference.as_ref();
    let report = check_stream(&stream, &destination, &renames).map_err(|error| Failure::usage(error.into()))?;
    if output.json {
        let document = report.to_json().or_environment()?;
        output.document(|out| out.write_all(document.as_bytes()))?;
    } else {
        output.text(&text(&report, output.verbosity > 0))?;
    }
    if let Some(page) = &args.html {
        write_whole(page, |out| html::write_stream_report(&name(path), &report, out))?;
    }
    Ok(exit_code(report.verdict()))
}

fn read(path: &Path, output: Output) -> Result<Recorded, Failure> {
    let inputs = StreamFile::whole(path).open_with([])?;
    let mut bar = Bar::new(output);
    let recorded = Recorded::read(inputs, &Options::default(), &mut bar);
    drop(bar);
    let name = name(path);
    recorded.map_err(|error| match error {
        ReadError::Analyze(AnalyzeError::Malformed(fault)) => {
            Failure::input(anyhow::Error::new(*fault).context(format!("{name} is no sound migration stream")))
        }
        error @ ReadError::Truncated { .. } => {
            Failure::input(anyhow::Error::new(error).context(format!("{name} is cut short")))
        }
        error => {
            let error = anyhow::Error::new(error).context(format!("cannot read {name}"));
            Failure { code: ExitCode::Environment, error }
        }
    })
}
