//! How a command ends: what scripts see as its exit code, and people as its error.

use std::process;

/// Exit codes; `docs/cli.md` promises them to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExitCode {
    /// Done, or a verdict of yes.
    Done = 0,
    /// A verdict of no: incompatible, differs, not verified, not migrated.
    No = 1,
    /// Wrong usage.
    Usage = 2,
    /// Bad or truncated input.
    Input = 3,
    /// The peer or the environment failed: a refused connection, a full disk.
    Environment = 4,
    /// Interrupted from the keyboard.
    Interrupted = 130,
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// An error with the exit code that it means.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the process ends with.
    pub(crate) code: ExitCode,
    /// What is printed, with its causes.
    pub(crate) error: anyhow::Error,
}

/// What a command gives.
pub(crate) type Outcome = Result<ExitCode, Failure>;

/// Says what an error means for the exit code.
pub(crate) trait OrExit<T> {
    /// The peer or the environment is at fault.
    fn or_environment(self) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_environment(self) -> Result<T, Failure> {
        self.map_err(|error| Failure { code: ExitCode::Environment, error: error.into() })
    }
}

impl Failure {
    /// A verdict of no.
    pub(crate) fn no(error: anyhow::Error) -> Self {
        Self { code: ExitCode::No, error }
    }

    /// Wrong usage that clap cannot see.
    pub(crate) fn usage(error: anyhow::Error) -> Self {
        Self { code: ExitCode::Usage, error }
    }

    /// Bad or truncated input.
    pub(crate) fn input(error: anyhow::Error) -> Self {
        Self { code: ExitCode::Input, error }
    }

    /// Prints `error: …` and a line for each cause.
    pub(crate) fn print(&self) {
        anstream::eprintln!("\u{1b}[1;31merror:\u{1b}[0m {}", self.error);
        for cause in self.error.chain().skip(1) {
            anstream::eprintln!("  caused by: {cause}");
        }
    }

    /// Whether it only says that nobody reads standard output any more, as behind `| head`.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        let io = self.error.downcast_ref::<std::io::Error>();
        io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}
