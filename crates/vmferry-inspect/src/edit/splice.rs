//! Copies a stream with some of its octets replaced.

use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;

use crate::edit::error::EditError;
use crate::limits::READ_BUFFER_BYTES;
use crate::source::{Progress, ReadSeek};

/// Replacements by their places in the input, in order and apart from each other.
#[derive(Debug, Default)]
pub(super) struct Splices(Vec<(Range<u64>, Vec<u8>)>);

impl Splices {
    pub(super) fn replace(&mut self, range: Range<u64>, octets: Vec<u8>) {
        self.0.push((range, octets));
    }

    /// Octets that the replacements inside `range` add, and that they take away.
    pub(super) fn growth(&self, range: &Range<u64>) -> (u64, u64) {
        let inside = self.0.iter().filter(|(place, _)| place.start >= range.start && place.start < range.end);
        inside.fold((0, 0), |(added, taken), (place, octets)| {
            let octets = u64::try_from(octets.len()).unwrap_or(u64::MAX);
            (added.saturating_add(octets), taken.saturating_add(place.end.saturating_sub(place.start)))
        })
    }

    /// Copies `input` to `output`, which is empty. Runs of zeros become holes, where the output has any.
    pub(super) fn copy<O: Write + Seek>(
        mut self,
        input: &mut dyn ReadSeek,
        output: &mut O,
        progress: &mut dyn Progress,
    ) -> Result<u64, EditError> {
        self.0.sort_by_key(|(range, _)| (range.start, range.end));
        if self.0.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a.end > b.start)) {
            return Err(EditError::refused("the edits", "two of them meet in the same octets"));
        }
        let end = input.seek(SeekFrom::End(0)).map_err(EditError::Read)?;
        input.rewind().map_err(EditError::Read)?;
        let mut copy = Copy { output, buffer: vec![0; READ_BUFFER_BYTES], hole_bytes: 0, written: 0 };
        let mut at = 0_u64;
        for (range, octets) in self.0 {
            copy.octets(input, range.start.saturating_sub(at))?;
            copy.write(&octets).map_err(EditError::Write)?;
            at = input.seek(SeekFrom::Start(range.end)).map_err(EditError::Read)?;
            progress.read(at, Some(end));
        }
        copy.octets(input, end.saturating_sub(at))?;
        progress.read(end, Some(end));
        copy.finish().map_err(EditError::Write)
    }
}

struct Copy<'o, O> {
    output: &'o mut O,
    buffer: Vec<u8>,
    /// Zeros that are not written yet.
    hole_bytes: u64,
    written: u64,
}

impl<O: Write + Seek> Copy<'_, O> {
    fn octets(&mut self, input: &mut dyn ReadSeek, count: u64) -> Result<(), EditError> {
        let mut left = count;
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            let mut buffer = std::mem::take(&mut self.buffer);
            let copied = match buffer.get_mut(..wanted) {
                Some(octets) => match input.read_exact(octets) {
                    Ok(()) => self.write(octets).map_err(EditError::Write),
                    Err(error) => Err(EditError::Read(error)),
                },
                None => Ok(()),
            };
            self.buffer = buffer;
            copied?;
            left = left.saturating_sub(u64::try_from(wanted).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let length = u64::try_from(octets.len()).unwrap_or(u64::MAX);
        self.written = self.written.saturating_add(length);
        // Only whole buffers: a hole of a few octets costs more than it saves.
        if octets.len() == READ_BUFFER_BYTES && octets.iter().fold(0, |all, octet| all | octet) == 0 {
            self.hole_bytes = self.hole_bytes.saturating_add(length);
            return Ok(());
        }
        self.skip_hole(0)?;
        self.output.write_all(octets)
    }

    /// Steps over the zeros, but for the last `kept` of them.
    fn skip_hole(&mut self, kept: u64) -> io::Result<()> {
        let hole = std::mem::take(&mut self.hole_bytes).saturating_sub(kept);
        if hole > 0 {
            self.output.seek_relative(i64::try_from(hole).unwrap_or(i64::MAX))?;
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<u64> {
        if self.hole_bytes > 0 {
            // The last octet makes the file as long as it is.
            self.skip_hole(1)?;
            self.output.write_all(&[0])?;
        }
        self.output.flush()?;
        Ok(self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn copied(input: &[u8], splices: &[(Range<u64>, &[u8])]) -> Option<Vec<u8>> {
        let mut all = Splices::default();
        for (range, octets) in splices {
            all.replace(range.clone(), octets.to_vec());
        }
        let mut output = Cursor::new(Vec::new());
        let written = all.copy(&mut Cursor::new(input), &mut output, &mut ()).ok()?;
        let output = output.into_inner();
        assert_eq!(written, output.len() as u64);
        Some(output)
    }

    #[test]
    fn octets_are_replaced_in_any_order() {
        assert_eq!(copied(b"abcdef", &[]).unwrap(), b"abcdef");
        assert_eq!(copied(b"abcdef", &[(4..6, b""), (0..1, b"xyz"), (2..2, b"-")]).unwrap(), b"xyzb-cd");
        assert_eq!(copied(b"abcdef", &[(1..3, b"1"), (2..4, b"2")]), None);
    }

    #[test]
    fn zeros_are_copied_whole() {
        for length in [READ_BUFFER_BYTES - 1, READ_BUFFER_BYTES, 3 * READ_BUFFER_BYTES, 3 * READ_BUFFER_BYTES + 5] {
            let mut input = vec![0; length];
            assert!(copied(&input, &[]).unwrap() == input);
            input.extend_from_slice(b"end");
            assert!(copied(&input, &[]).unwrap() == input);
        }
    }

    #[test]
    fn growth_is_counted_inside_a_range() {
        let mut splices = Splices::default();
        splices.replace(2..4, b"xyz".to_vec());
        splices.replace(10..14, Vec::new());
        assert_eq!(
            (splices.growth(&(0..5)), splices.growth(&(0..20)), splices.growth(&(4..9))),
            ((3, 2), (3, 6), (0, 0))
        );
    }
}
