//! Where a command prints: results on standard output, everything else on standard error.

use std::io::{self, BufWriter, IsTerminal as _, Write};

use serde_json::Value;

use crate::exit::{Failure, OrExit as _};

/// What the options common to all commands ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// One JSON document on standard output, and nothing else there.
    pub(crate) json: bool,
    /// Only errors, and the JSON document if there is one.
    pub(crate) quiet: bool,
    /// How often `-v` was given.
    pub(crate) verbosity: u8,
}

impl Output {
    /// Prints the result: the document with `--json`, else the text unless `--quiet`.
    pub(crate) fn result(self, document: &Value, text: &str) -> Result<(), Failure> {
        if self.json { self.document(|out| write!(out, "{document:#}")) } else { self.text(text) }
    }

    /// Prints the document that `write` writes.
    pub(crate) fn document(self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
        let mut out = BufWriter::new(io::stdout().lock());
        write(&mut out).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()).or_environment()
    }

    /// Prints text, unless `--quiet`.
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        if self.quiet {
            return Ok(());
        }
        let mut out = anstream::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).or_environment()
    }

    /// Prints a line about what goes on, unless `--quiet`.
    pub(crate) fn note(self, line: &str) {
        if !self.quiet {
            anstream::eprintln!("{line}");
        }
    }

    /// Prints a line for those who asked for more, by `-v`.
    pub(crate) fn detail(self, line: &str) {
        if self.verbosity > 0 {
            self.note(line);
        }
    }

    /// Whether progress bars may be drawn.
    pub(crate) fn wants_bars(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }
}

/// Words of a stream or of another program: control characters must not reach a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
