//! What is told of the measurements: tables on the terminal, and the files of `--out`.

mod chart;
mod document;
mod table;
pub(super) mod update;

use std::path::Path;

use super::host::Host;
use super::peer::Peer;
use super::results::Ended;
use crate::exit::Failure;
use crate::whole_file::write_whole;

/// Everything there is to tell.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) host: Host,
    /// What was typed.
    pub(super) command: String,
    /// The QEMU, or why there is none.
    pub(super) peer: Result<Peer, String>,
    pub(super) pairs: usize,
    /// Whether this program was built with optimisation.
    pub(super) is_optimized: bool,
    pub(super) ended: Vec<Ended>,
}

impl Report {
    /// Writes `bench.json`, `bench.md` and `bench.svg`, each once it is whole.
    pub(super) fn write_files(&self, folder: &Path) -> Result<(), Failure> {
        let files = [
            ("bench.json", format!("{:#}\n", self.document())),
            ("bench.md", self.markdown()),
            ("bench.svg", self.chart()),
        ];
        for (name, text) in files {
            write_whole(&folder.join(name), |out| out.write_all(text.as_bytes()))?;
        }
        Ok(())
    }

    /// `beside QEMU 10.0.2`, or that there is none and why.
    fn peer_text(&self) -> String {
        let peer = match &self.peer {
            Ok(peer) => format!("beside {}", peer.name()),
            Err(why) => format!("beside no QEMU: {why}"),
        };
        if self.is_optimized { peer } else { format!("{peer} (vmferry built without optimisation)") }
    }
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
