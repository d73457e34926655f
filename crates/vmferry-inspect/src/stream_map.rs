//! Where the octets of a stream are: its elements in order, and what each takes.
//!
//! ```text
//! head │ ram ram ram │ command │ serial/0 │ rtc/0 │ … │ end │ description │ ignored
//!      └── one span ─┘
//! ```
//!
//! Spans follow one another without gaps from the first octet on. Neighbours of one kind are one span, so that their
//! number follows that of devices and not that of RAM's parts.

use crate::limits::SPAN_COUNT_LIMIT;

/// The main channel of a stream, from its first octet to where reading ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamMap {
    /// The spans in stream order.
    pub spans: Vec<Span>,
    /// Octets behind what was read; `None` for a pipe that was not read to its end.
    pub unread_bytes: Option<u64>,
    /// Octets that were read of further channels.
    pub channel_bytes: u64,
}

/// Octets that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What they are.
    pub kind: SpanKind,
    /// Position of the first one.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
    /// Elements of the stream in it.
    pub elements: u64,
}

/// What a span holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpanKind {
    /// Magic, version and configuration.
    Head,
    /// Sections of RAM.
    Ram,
    /// A section with its header and footer: id string and instance id.
    Section(String, u32),
    /// Commands.
    Command,
    /// The end mark.
    End,
    /// The description behind the end.
    Description,
    /// What nobody reads.
    Ignored,
    /// An element that is cut short or damaged.
    Broken,
    /// More elements than have a span of their own.
    Mixed,
}

impl StreamMap {
    /// Octets of all spans together: where reading ended.
    pub fn read_bytes(&self) -> u64 {
        self.spans.last().map_or(0, |span| span.offset.saturating_add(span.bytes))
    }

    /// Takes what was read up to `end`, from where the last span ended.
    pub(crate) fn push(&mut self, kind: SpanKind, end: u64) {
        let offset = self.read_bytes();
        let Some(bytes) = end.checked_sub(offset).filter(|bytes| *bytes > 0) else { return };
        let is_full = self.spans.len() >= SPAN_COUNT_LIMIT;
        if let Some(last) = self.spans.last_mut().filter(|last| last.kind == kind || is_full) {
            if last.kind != kind {
                last.kind = SpanKind::Mixed;
            }
            last.bytes = last.bytes.saturating_add(bytes);
            last.elements = last.elements.saturating_add(1);
        } else {
            self.spans.push(Span { kind, offset, bytes, elements: 1 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_follow_one_another_and_neighbours_of_one_kind_are_one() {
        let mut map = StreamMap::default();
        for (kind, end) in [
            (SpanKind::Head, 8),
            (SpanKind::Ram, 20),
            (SpanKind::Ram, 50),
            (SpanKind::Command, 50),
            (SpanKind::Section("uart".to_owned(), 0), 60),
            (SpanKind::Section("uart".to_owned(), 1), 61),
        ] {
            map.push(kind, end);
        }
        let spans: Vec<_> = map.spans.iter().map(|span| (span.offset, span.bytes, span.elements)).collect();
        assert_eq!(spans, [(0, 8, 1), (8, 42, 2), (50, 10, 1), (60, 1, 1)]);
        assert_eq!(map.read_bytes(), 61);
    }

    #[test]
    fn the_number_of_spans_is_bounded_and_their_octets_are_not_lost() {
        let mut map = StreamMap::default();
        for i in 0..2 * SPAN_COUNT_LIMIT as u64 {
            map.push(if i % 2 == 0 { SpanKind::Ram } else { SpanKind::Command }, (i + 1) * 3);
        }
        assert_eq!(map.spans.len(), SPAN_COUNT_LIMIT);
        assert_eq!(map.read_bytes(), 6 * SPAN_COUNT_LIMIT as u64);
        assert_eq!(map.spans.last().map(|span| &span.kind), Some(&SpanKind::Mixed));
    }
}
