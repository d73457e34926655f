//! Log lines of the libraries, on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::output::Output;

/// Variable that overrides the options, with the directives of `tracing-subscriber`: `vmferry_qmp=debug`.
const VARIABLE: &str = "VMFERRY_LOG";

/// Prints warnings; more with `-v`, only errors with `--quiet`.
pub(crate) fn start(output: Output) {
    let level = match (output.quiet, output.verbosity) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, 2) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    let filter = EnvFilter::builder().with_default_directive(level.into()).with_env_var(VARIABLE).from_env_lossy();
    let colour = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(output.verbosity > 1)
        .without_time()
        .init();
}
