//! Processes of the benchmark's own: this program, started once more with `bench --part NAME …`.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{copy, warm};

/// What such a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Sends its memory through sockets.
    CopySender,
    /// Receives it.
    CopyReceiver,
    /// Touches memory and ends.
    Toucher,
}

impl Part {
    const ALL: [Self; 3] = [Self::CopySender, Self::CopyReceiver, Self::Toucher];

    const fn name(self) -> &'static str {
        match self {
            Self::CopySender => "copy-sender",
            Self::CopyReceiver => "copy-receiver",
            Self::Toucher => "toucher",
        }
    }

    /// The command that starts it, to which its arguments are added.
    pub(super) fn command(self) -> Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("the path of this program")?);
        command.args(["bench", "--part", self.name()]);
        Ok(command)
    }
}

/// Is such a process.
pub(super) fn play(words: &[String]) -> Result<()> {
    let mut words = words.iter().cloned();
    let name = words.next().context("which part")?;
    match Part::ALL.into_iter().find(|part| part.name() == name) {
        Some(Part::CopySender) => copy::send(&mut words),
        Some(Part::CopyReceiver) => copy::receive(&mut words),
        Some(Part::Toucher) => warm::touch(&mut words),
        None => bail!("there is no part '{name}'"),
    }
}
