//! Buffered reading of a stream with positions: decode, look ahead, skip.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use vmferry_wire::{DecodeResult, Decoded};

use crate::error::{Halt, Step};
use crate::limits::READ_BUFFER_BYTES;
use crate::source::{Progress, ReadSeek};

/// What the reader reads from.
pub(crate) enum Input<'a> {
    /// The stream ends at position `len`.
    Seekable {
        file: Box<dyn ReadSeek + 'a>,
        len: u64,
    },
    Pipe(Box<dyn Read + 'a>),
}

/// A position in a stream, with a buffer ahead of it that grows to what is asked for.
///
/// `buffer[start..end]` are the octets from `position` on that are read but not consumed.
pub(crate) struct StreamReader<'a> {
    input: Input<'a>,
    progress: Option<&'a mut dyn Progress>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    position: u64,
    is_at_end: bool,
}

impl<'a> StreamReader<'a> {
    pub(crate) fn new(input: Input<'a>, progress: &'a mut dyn Progress) -> StreamReader<'a> {
        StreamReader { progress: Some(progress), ..StreamReader::unheard(input) }
    }

    /// A further channel, whose progress nobody hears.
    pub(crate) fn further(input: Box<dyn Read + 'a>) -> StreamReader<'a> {
        StreamReader::unheard(Input::Pipe(input))
    }

    fn unheard(input: Input<'a>) -> StreamReader<'a> {
        let buffer = vec![0; READ_BUFFER_BYTES];
        StreamReader { input, progress: None, buffer, start: 0, end: 0, position: 0, is_at_end: false }
    }

    /// Position in the stream of the next octet.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The octets ahead that are in memory.
    pub(crate) fn buffered(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Octets of the whole input, as far as that is known.
    pub(crate) fn total(&self) -> Option<u64> {
        match &self.input {
            Input::Seekable { len, .. } => Some(*len),
            Input::Pipe(_) => self.is_at_end.then(|| self.read_position()),
        }
    }

    pub(crate) fn input_mut(&mut self) -> &mut Input<'a> {
        &mut self.input
    }

    /// Goes on with another input at the same position; what is buffered stays ahead.
    pub(crate) fn replace_input(&mut self, input: Input<'a>) {
        self.input = input;
        self.is_at_end = false;
    }

    /// Forgets what is buffered and returns it: for whoever reads on from the input itself.
    pub(crate) fn take_buffered(&mut self) -> Vec<u8> {
        let octets = self.buffered().to_vec();
        self.end = self.start;
        octets
    }

    /// Reads until `total` octets are buffered or the input ends; says whether they are. Callers bound `total`.
    pub(crate) fn fill(&mut self, total: usize) -> Step<bool> {
        while self.buffered().len() < total && !self.is_at_end {
            self.make_room(total);
            let free = self.buffer.get_mut(self.end..).unwrap_or_default();
            let read = match &mut self.input {
                Input::Seekable { file, .. } => file.read(free),
                Input::Pipe(pipe) => pipe.read(free),
            };
            match read {
                Ok(0) => self.is_at_end = true,
                Ok(count) => {
                    self.end = self.end.saturating_add(count).min(self.buffer.len());
                    self.tell_progress();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(Halt::Io { offset: self.read_position(), source }),
            }
        }
        Ok(self.buffered().len() >= total)
    }

    fn make_room(&mut self, total: usize) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.buffer.len() || self.start.saturating_add(total) > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
        // Double with the octets that arrive, so that a promised length alone costs nothing.
        if self.end == self.buffer.len() {
            let wanted = total.min(self.buffer.len().saturating_mul(2));
            self.buffer.resize(wanted.max(READ_BUFFER_BYTES), 0);
        }
    }

    fn read_position(&self) -> u64 {
        self.position.saturating_add(u64::try_from(self.buffered().len()).unwrap_or(u64::MAX))
    }

    fn tell_progress(&mut self) {
        let total = match self.input {
            Input::Seekable { len, .. } => Some(len),
            Input::Pipe(_) => None,
        };
        let read = self.read_position();
        if let Some(progress) = &mut self.progress {
            progress.read(read, total);
        }
    }

    /// Steps over buffered octets.
    pub(crate) fn consume(&mut self, count: usize) {
        let count = count.min(self.buffered().len());
        self.start = self.start.saturating_add(count);
        self.position = self.position.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// The input ended where more was needed.
    #[cold]
    pub(crate) fn truncated(&self) -> Halt {
        Halt::Truncated { offset: self.read_position() }
    }

    /// Decodes one value and steps over it.
    pub(crate) fn decode<T>(&mut self, decode: impl Fn(&[u8]) -> DecodeResult<T>) -> Step<T> {
        loop {
            match decode(self.buffered()) {
                Ok(Decoded::Complete { value, used }) => {
                    self.consume(used);
                    return Ok(value);
                }
                Ok(Decoded::NeedMore { total }) => {
                    if !self.fill(total)? {
                        return Err(self.truncated());
                    }
                }
                Err(error) => return Err(Halt::wire(self.position, error)),
            }
        }
    }

    /// The next `N` octets, stepped over.
    pub(crate) fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        if !self.fill(N)? {
            return Err(self.truncated());
        }
        let octets = self.buffered().first_chunk::<N>().copied().ok_or_else(|| self.truncated())?;
        self.consume(N);
        Ok(octets)
    }

    /// Steps over octets without looking at them.
    pub(crate) fn skip(&mut self, count: u64) -> Step<()> {
        let mut left = count;
        loop {
            let buffered = self.buffered().len();
            match usize::try_from(left) {
                Ok(left) if left <= buffered => {
                    self.consume(left);
                    return Ok(());
                }
                _ => {}
            }
            self.consume(buffered);
            left = left.saturating_sub(u64::try_from(buffered).unwrap_or(u64::MAX));
            if left > u64::try_from(READ_BUFFER_BYTES).unwrap_or(u64::MAX) {
                left = self.seek_over(left)?;
            }
            if left > 0 && !self.fill(1)? {
                return Err(self.truncated());
            }
        }
    }

    /// Moves a file's cursor over `left` octets, with nothing buffered; a pipe stays. Returns what is still to be
    /// skipped.
    fn seek_over(&mut self, left: u64) -> Step<u64> {
        let Input::Seekable { file, len } = &mut self.input else { return Ok(left) };
        let target = self.position.saturating_add(left);
        if target > *len {
            return Err(Halt::Truncated { offset: *len });
        }
        // Relative, since a kept pipe's file starts in the middle of the stream.
        let distance = i64::try_from(left).unwrap_or(i64::MAX);
        if let Err(source) = file.seek(SeekFrom::Current(distance)) {
            return Err(Halt::Io { offset: self.position, source });
        }
        self.position = target;
        Ok(0)
    }

    /// Reads to the end of the input and says how many octets that was.
    pub(crate) fn drain(&mut self) -> Step<u64> {
        let from = self.position;
        loop {
            let buffered = self.buffered().len();
            self.consume(buffered);
            if !self.fill(1)? {
                return Ok(self.position.saturating_sub(from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn octets() -> Vec<u8> {
        (0..3 * READ_BUFFER_BYTES).map(|i| u8::try_from(i % 251).unwrap()).collect()
    }

    fn check_skip(input: Input<'_>) {
        let mut progress = ();
        let mut reader = StreamReader::new(input, &mut progress);
        assert!(reader.fill(5).unwrap());
        reader.skip(2 * READ_BUFFER_BYTES as u64 + 7).unwrap();
        let expected = u8::try_from((2 * READ_BUFFER_BYTES + 7) % 251).unwrap();
        assert_eq!(reader.array::<1>().unwrap(), [expected]);
        let end = 3 * READ_BUFFER_BYTES as u64;
        assert!(matches!(reader.skip(end), Err(Halt::Truncated { offset }) if offset == end));
    }

    #[test]
    fn skipping_a_file_and_a_pipe_is_the_same() {
        let octets = octets();
        let len = octets.len() as u64;
        check_skip(Input::Seekable { file: Box::new(Cursor::new(octets.clone())), len });
        check_skip(Input::Pipe(Box::new(Cursor::new(octets))));
    }

    #[test]
    fn the_buffer_grows_with_what_arrives_and_not_with_what_is_asked() {
        let octets = octets();
        let (mut first, mut second) = ((), ());
        let mut reader = StreamReader::new(Input::Pipe(Box::new(&octets[..100])), &mut first);
        assert!(!reader.fill(1 << 40).unwrap());
        assert_eq!(reader.buffer.len(), READ_BUFFER_BYTES);
        let mut reader = StreamReader::new(Input::Pipe(Box::new(&octets[..])), &mut second);
        assert!(reader.fill(octets.len()).unwrap());
        assert_eq!(reader.buffered(), octets);
    }
}
