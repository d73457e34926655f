//! The end of a walk: what is said last, and the error if there is one.

use crate::analysis::{Analysis, Warning};
use crate::error::{AnalyzeError, Halt, Malformed, Step, StreamFault};
use crate::stream_map::SpanKind;
use crate::walk::Walk;
use crate::walk::multifd::ChannelCut;

impl Walk<'_> {
    /// What becomes of the walk, however it ended.
    pub(super) fn finish(mut self, outcome: Step<()>) -> Result<Analysis, AnalyzeError> {
        let end = self.reader.position();
        // What a cut or a fault left; nothing otherwise.
        let broken_end = if let Err(Halt::Truncated { offset }) = &outcome { *offset } else { end };
        self.analysis.map.push(SpanKind::Broken, broken_end);
        let read_bytes = self.analysis.map.read_bytes();
        self.analysis.map.unread_bytes = self.reader.total().map(|total| total.saturating_sub(read_bytes));
        self.analysis.map.channel_bytes = self.multifd.read_bytes().saturating_add(self.preempt_bytes());
        let undescribed = self.analysis.sections.iter().find(|section| section.is_end_guessed);
        if let Some(offset) = undescribed.filter(|_| self.described.is_none()).map(|section| section.offset) {
            let text = "the stream has no description: device sections are shown as octets, their ends are guesses";
            self.warn(offset, text.to_owned());
        }
        self.decode_globalstate();
        let uuid = self.analysis.configuration.as_ref().and_then(|configuration| configuration.uuid);
        for text in self.multifd.oddities(uuid) {
            self.warn(end, text);
        }
        self.ram_report(end);
        self.dirty_bitmaps_report(end);
        if let Err(Halt::Truncated { offset }) = &outcome {
            let section = self.section.as_ref().map(|(idstr, id)| format!(", inside section {idstr:?} instance {id}"));
            let text = format!("the stream is cut short here{}", section.unwrap_or_default());
            self.warn(*offset, text);
        }
        if let Some(ChannelCut { channel, offset }) = self.multifd.cut.clone() {
            self.analysis.is_channel_cut = true;
            self.warn(end, format!("channel {channel} is cut short at its offset 0x{offset:x}"));
        }
        self.analysis.dialects = self.dialects(matches!(outcome, Err(Halt::Truncated { .. })));
        for (count, what) in [(self.seen.commands_left_out, "commands"), (self.seen.warnings_left_out, "warnings")] {
            if count > 0 {
                let text = format!("{count} further {what} are left out");
                self.analysis.warnings.push(Warning { offset: end, text });
            }
        }
        match outcome {
            Ok(()) | Err(Halt::Truncated { .. }) => Ok(self.analysis),
            Err(halt) => Err(self.failure(halt)),
        }
    }

    fn failure(self, halt: Halt) -> AnalyzeError {
        let (channel, halt) = match halt {
            Halt::InChannel { channel, halt } => (Some(channel), *halt),
            halt => (None, halt),
        };
        match (halt, channel) {
            (Halt::Io { offset, source }, None) => AnalyzeError::Io { offset, source },
            (Halt::Io { offset, source }, Some(channel)) => AnalyzeError::ChannelIo { channel, offset, source },
            (Halt::Extract { path, source }, _) => AnalyzeError::Extract { path, source },
            (Halt::Malformed { offset, reason }, channel) => {
                let section = self.section.filter(|_| channel.is_none());
                AnalyzeError::Malformed(Box::new(Malformed {
                    channel,
                    offset,
                    section,
                    reason,
                    partial: self.analysis,
                }))
            }
            // A channel that ends in its handshake; any later end is a cut.
            (Halt::Truncated { .. } | Halt::InChannel { .. }, channel) => {
                let offset = 0;
                let reason = StreamFault::ChannelTooShort;
                AnalyzeError::Malformed(Box::new(Malformed {
                    channel,
                    offset,
                    section: None,
                    reason,
                    partial: self.analysis,
                }))
            }
        }
    }
}
