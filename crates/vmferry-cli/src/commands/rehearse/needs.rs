//! What a stream needs of the destination that is to load it: capabilities, parameters, and the way in.
//!
//! | dialect | capability | way in |
//! |---|---|---|
//! | precopy, background snapshot, block migration | | a socket |
//! | xbzrle, compress, ignore-shared, dirty-bitmaps, postcopy-advised | the one of that name | a socket |
//! | multifd | `multifd`, and as many channels as there are files | a socket for each channel |
//! | mapped-ram | `mapped-ram` | the file itself |
//! | a postcopy that began | | none: nobody answers its page requests |
//!
//! Capabilities that the configuration section lists must be equal at both ends, and are set as well.
//!
//! Source: `docs/spec/control.md` section 4, `docs/spec/stream.md` section 3.

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};
use vmferry_inspect::Analysis;

/// Leaves the images of a paused destination closed to writing. Known since QEMU 3.0.
pub(super) const LATE_BLOCK_ACTIVATE: &str = "late-block-activate";

/// The way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WayIn {
    /// A socket for each channel.
    Socket,
    /// The file itself.
    File,
}

/// What the destination is told before the stream comes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Needs {
    pub(super) capabilities: Vec<String>,
    pub(super) parameters: Map<String, Value>,
    pub(super) way_in: WayIn,
}

impl Needs {
    /// Those of a stream with so many channel files beside it.
    pub(super) fn of(analysis: &Analysis, channels: usize) -> Result<Self> {
        let mut needs = Self { capabilities: Vec::new(), parameters: Map::new(), way_in: WayIn::Socket };
        for dialect in &analysis.dialects {
            let word = dialect.word();
            match word {
                "multifd" | "multifd-zlib" | "multifd-zstd" => needs.multifd(word, channels)?,
                "mapped-ram" => {
                    needs.capability("mapped-ram");
                    needs.way_in = WayIn::File;
                }
                "xbzrle" | "compress" | "dirty-bitmaps" => needs.capability(word),
                "ignore-shared" => needs.capability("x-ignore-shared"),
                "postcopy-advised" => needs.capability("postcopy-ram"),
                "postcopy" | "preempt" => {
                    bail!(
                        "the stream went into postcopy: its destination asks the source for pages, and nobody answers"
                    )
                }
                _ => {}
            }
        }
        let listed =
            analysis.configuration.iter().flat_map(|configuration| configuration.capabilities.iter().flatten());
        for capability in listed {
            needs.capability(capability.as_str());
        }
        if channels > 0 && !needs.capabilities.iter().any(|name| name == "multifd") {
            bail!("--channel belongs to a multifd stream, and this is none");
        }
        Ok(needs)
    }

    fn capability(&mut self, name: &str) {
        if !self.capabilities.iter().any(|known| known == name) {
            self.capabilities.push(name.to_owned());
        }
    }

    fn multifd(&mut self, word: &str, channels: usize) -> Result<()> {
        if channels == 0 {
            bail!("a multifd stream needs the files of its channels: --channel FILE for each");
        }
        self.capability("multifd");
        self.parameters.insert("multifd-channels".to_owned(), json!(channels));
        if let Some(compression) = word.strip_prefix("multifd-") {
            self.parameters.insert("multifd-compression".to_owned(), json!(compression));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use vmferry_inspect::Dialect;

    use super::*;

    fn stream(dialects: &[Dialect]) -> Analysis {
        let mut analysis = Analysis::default();
        analysis.dialects = dialects.to_vec();
        analysis
    }

    #[test]
    fn each_dialect_gets_what_it_needs() {
        let needs = Needs::of(&stream(&[Dialect::Precopy, Dialect::Xbzrle]), 0).unwrap();
        assert_eq!((needs.capabilities, needs.way_in), (vec!["xbzrle".to_owned()], WayIn::Socket));
        let needs = Needs::of(&stream(&[Dialect::MappedRam]), 0).unwrap();
        assert_eq!((needs.capabilities, needs.way_in), (vec!["mapped-ram".to_owned()], WayIn::File));
        let mut needs = Needs::of(&stream(&[Dialect::Multifd]), 2).unwrap();
        assert_eq!(needs.capabilities, ["multifd"]);
        assert_eq!(needs.parameters.get("multifd-channels"), Some(&json!(2)));
        needs.multifd("multifd-zstd", 2).unwrap();
        assert_eq!(needs.parameters.get("multifd-compression"), Some(&json!("zstd")));
    }

    #[test]
    fn what_cannot_be_rehearsed_is_said_before_anything_starts() {
        let refused = |dialects: &[Dialect], channels| Needs::of(&stream(dialects), channels).unwrap_err().to_string();
        assert!(refused(&[Dialect::Multifd], 0).contains("--channel FILE"));
        assert!(refused(&[Dialect::Precopy], 1).contains("this is none"));
        assert!(refused(&[Dialect::Postcopy], 0).contains("nobody answers"));
    }
}
