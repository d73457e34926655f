//! The part of a file from some position on, as if the file began there.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom};

/// A file whose positions count from `start`.
pub(crate) struct Window<F> {
    file: F,
    start: u64,
}

impl<F: Seek> Window<F> {
    /// The part of `file` from `start` on, positioned at its begin.
    pub(crate) fn new(mut file: F, start: u64) -> io::Result<Window<F>> {
        file.seek(SeekFrom::Start(start))?;
        Ok(Window { file, start })
    }
}

impl<F: Read> Read for Window<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl<F: Seek> Seek for Window<F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let absolute = match to {
            SeekFrom::Start(position) => SeekFrom::Start(self.start.saturating_add(position)),
            relative => relative,
        };
        let before = || io::Error::new(ErrorKind::InvalidInput, "a position before the begin of the stream");
        self.file.seek(absolute)?.checked_sub(self.start).ok_or_else(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_from_the_start() {
        let mut window = Window::new(io::Cursor::new(b"0123456789"), 4).unwrap();
        let mut octets = Vec::new();
        window.read_to_end(&mut octets).unwrap();
        assert_eq!(octets, b"456789");
        assert_eq!(window.seek(SeekFrom::End(-1)).unwrap(), 5);
        assert_eq!(window.seek(SeekFrom::Current(-3)).unwrap(), 2);
        assert_eq!(window.seek(SeekFrom::Start(1)).unwrap(), 1);
        let mut octet = [0];
        window.read_exact(&mut octet).unwrap();
        assert_eq!(octet, *b"5");
        assert!(window.seek(SeekFrom::End(-9)).is_err());
    }
}
