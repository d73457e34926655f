//! Keeps the rest of a pipe in an unlinked file, so that its end can be read before its middle.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use crate::limits::READ_BUFFER_BYTES;
use crate::locate::{Located, find_description};
use crate::reader::Input;

/// A pipe that was kept.
pub(crate) struct Spooled<'a> {
    /// What to read on from, instead of the pipe: the same octets.
    pub(crate) input: Input<'a>,
    /// The description, with the position of its type octet in the stream.
    pub(crate) located: Option<Located>,
    /// Whether the pipe has more than the limit, so that its end was not seen.
    pub(crate) is_over_limit: bool,
}

/// Keeps `ahead`, which starts at `position` of the stream, and up to `limit` octets of `pipe`.
pub(crate) fn spool<'a>(
    ahead: &[u8],
    mut pipe: Box<dyn Read + 'a>,
    position: u64,
    limit: u64,
) -> io::Result<Spooled<'a>> {
    let mut file = tempfile::tempfile()?;
    file.write_all(ahead)?;
    let kept = keep(&mut pipe, &mut file, limit)?;
    let total = u64::try_from(ahead.len()).unwrap_or(u64::MAX).saturating_add(kept);
    if kept == limit {
        file.rewind()?;
        return Ok(Spooled { input: Input::Pipe(Box::new(file.chain(pipe))), located: None, is_over_limit: true });
    }
    let located = find_description(&mut file)?
        .map(|located| Located { offset: located.offset.saturating_add(position), ..located });
    file.rewind()?;
    let input = Input::Seekable { file: Box::new(file), len: position.saturating_add(total) };
    Ok(Spooled { input, located, is_over_limit: false })
}

fn keep(pipe: &mut dyn Read, file: &mut File, limit: u64) -> io::Result<u64> {
    let mut buffer = vec![0; READ_BUFFER_BYTES];
    let mut kept = 0_u64;
    loop {
        let room = usize::try_from(limit.saturating_sub(kept)).unwrap_or(usize::MAX).min(buffer.len());
        let read = match pipe.read(buffer.get_mut(..room).unwrap_or_default()) {
            Ok(0) => return Ok(kept),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        file.write_all(buffer.get(..read).unwrap_or_default())?;
        kept = kept.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
}
