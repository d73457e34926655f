//! Commands: `08`, `u16` number, `u16` length, payload.
//!
//! | number | name | length | payload |
//! |---|---|---|---|
//! | 1 | OPEN_RETURN_PATH | 0 | |
//! | 2 | PING | 4 | u32, echoed by a PONG on the return path |
//! | 3 | POSTCOPY_ADVISE | 0 or 16 | u64 page-size summary, u64 target page size |
//! | 4 | POSTCOPY_LISTEN | 0 | |
//! | 5 | POSTCOPY_RUN | 0 | |
//! | 6 | POSTCOPY_RAM_DISCARD | ≥ 20 | u8 0, block name, u8 0, n × (u64 start, u64 length), n ≥ 1 |
//! | 7 | PACKAGED | 4 | u32 N; N octets of nested elements follow outside the length |
//! | 8 | ENABLE_COLO | 0 | |
//! | 9 | POSTCOPY_RESUME | 0 | |
//! | 10 | RECV_BITMAP | 1 + n | block name |
//! | 11 | SWITCHOVER_START | 0 | |
//!
//! Source: `docs/spec/stream.md` section 6, `docs/spec/postcopy.md` sections 1 and 5. An unknown command cannot be
//! skipped, although it says its length: a new one is an incompatible change.

use crate::decode::{Cursor, DecodeResult, Step, run};
use crate::error::Reason;
use crate::name::Name;
use crate::section::COMMAND;

/// Octets of a command before its payload.
pub const COMMAND_HEADER_BYTES: usize = 5;

/// Ranges that QEMU puts into one discard command. A reader accepts what fits the length.
pub const DISCARD_RANGES_PER_COMMAND: usize = 12;

/// The page sizes of the source, for comparison with the destination's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advise {
    /// Bitwise OR of the page sizes, in bytes, of all RAM blocks that take part.
    pub page_size_summary: u64,
    /// The target page size in bytes.
    pub target_page_bytes: u64,
}

/// A range of a RAM block, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscardRange {
    /// Offset in the block.
    pub start: u64,
    /// Length of the range.
    pub length: u64,
}

/// A command with its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Asks for the return path.
    OpenReturnPath,
    /// Asks for a PONG with the same value.
    Ping(u32),
    /// Announces that postcopy may follow; without page sizes if only dirty bitmaps may move so.
    PostcopyAdvise(Option<Advise>),
    /// Asks to serve page faults from now on.
    PostcopyListen,
    /// Asks to start the guest.
    PostcopyRun,
    /// Names pages that the destination holds in an old version.
    PostcopyRamDiscard {
        /// The block.
        block: Name,
        /// Its ranges, at least one.
        ranges: Vec<DiscardRange>,
    },
    /// Is followed by `length` octets of nested elements, to be read whole before the first is interpreted.
    Packaged {
        /// Octets that follow. Meet [`PACKAGE_BYTES_LIMIT`](crate::limits::PACKAGE_BYTES_LIMIT) or an own limit first.
        length: u32,
    },
    /// Switches to checkpointing.
    EnableColo,
    /// Goes on with a broken postcopy.
    PostcopyResume,
    /// Asks which pages of a block arrived.
    RecvBitmap {
        /// The block.
        block: Name,
    },
    /// Says that the guest of the source is stopped and the last part of the state follows.
    SwitchoverStart,
}

impl Command {
    /// The number on the wire.
    pub fn number(&self) -> u16 {
        match self {
            Command::OpenReturnPath => 1,
            Command::Ping(_) => 2,
            Command::PostcopyAdvise(_) => 3,
            Command::PostcopyListen => 4,
            Command::PostcopyRun => 5,
            Command::PostcopyRamDiscard { .. } => 6,
            Command::Packaged { .. } => 7,
            Command::EnableColo => 8,
            Command::PostcopyResume => 9,
            Command::RecvBitmap { .. } => 10,
            Command::SwitchoverStart => 11,
        }
    }

    /// The name in lower case with hyphens, as reports show it.
    pub fn name(&self) -> &'static str {
        match self {
            Command::OpenReturnPath => "open-return-path",
            Command::Ping(_) => "ping",
            Command::PostcopyAdvise(_) => "postcopy-advise",
            Command::PostcopyListen => "postcopy-listen",
            Command::PostcopyRun => "postcopy-run",
            Command::PostcopyRamDiscard { .. } => "postcopy-ram-discard",
            Command::Packaged { .. } => "packaged",
            Command::EnableColo => "enable-colo",
            Command::PostcopyResume => "postcopy-resume",
            Command::RecvBitmap { .. } => "recv-bitmap",
            Command::SwitchoverStart => "switchover-start",
        }
    }

    /// Decodes a command from its type octet on.
    ///
    /// # Errors
    ///
    /// Another type octet, an unknown number, a length that does not fit the number, and a malformed payload.
    pub fn decode(input: &[u8]) -> DecodeResult<Command> {
        run(input, |c| {
            let kind = c.u8()?;
            c.expect("the element type of a command", u64::from(kind), u64::from(COMMAND), 1)?;
            Command::decode_behind_type(c)
        })
    }

    pub(crate) fn decode_behind_type(c: &mut Cursor<'_>) -> Step<Command> {
        let number = c.u16()?;
        if !(1..=11).contains(&number) {
            return Err(c.refuse_back(2, Reason::UnknownCommand { found: number }));
        }
        let length = c.u16()?;
        let behind_length = *c;
        let fixed = |what, expected: u16, accepted| {
            if length == expected {
                return Ok(());
            }
            Err(behind_length.refuse_back(2, Reason::BadLength { what, found: u64::from(length), accepted }))
        };
        match number {
            1 => fixed("OPEN_RETURN_PATH", 0, "0").map(|()| Command::OpenReturnPath),
            2 => {
                fixed("PING", 4, "4")?;
                Ok(Command::Ping(c.u32()?))
            }
            3 if length == 0 => Ok(Command::PostcopyAdvise(None)),
            3 => {
                fixed("POSTCOPY_ADVISE", 16, "0 or 16")?;
                let advise = Advise { page_size_summary: c.u64()?, target_page_bytes: c.u64()? };
                Ok(Command::PostcopyAdvise(Some(advise)))
            }
            4 => fixed("POSTCOPY_LISTEN", 0, "0").map(|()| Command::PostcopyListen),
            5 => fixed("POSTCOPY_RUN", 0, "0").map(|()| Command::PostcopyRun),
            6 => decode_discard(c, length),
            7 => {
                fixed("PACKAGED", 4, "4")?;
                Ok(Command::Packaged { length: c.u32()? })
            }
            8 => fixed("ENABLE_COLO", 0, "0").map(|()| Command::EnableColo),
            9 => fixed("POSTCOPY_RESUME", 0, "0").map(|()| Command::PostcopyResume),
            10 => {
                let block = c.name("RAM block")?;
                if block.encoded_len() != usize::from(length) {
                    let found = u64::from(length);
                    let accepted = "1 + the length of the block's name";
                    return Err(
                        behind_length.refuse_back(2, Reason::BadLength { what: "RECV_BITMAP", found, accepted })
                    );
                }
                Ok(Command::RecvBitmap { block })
            }
            _ => fixed("SWITCHOVER_START", 0, "0").map(|()| Command::SwitchoverStart),
        }
    }

    /// Appends the type octet, number, length and payload.
    ///
    /// A discard command of more ranges than its 16-bit length can say is the caller's mistake: it takes at most
    /// [`DISCARD_RANGES_PER_COMMAND`] ranges, and further ones are left out in further commands.
    ///
    /// # Panics
    ///
    /// If a discard command has no range or more than [`DISCARD_RANGES_PER_COMMAND`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(COMMAND);
        out.extend_from_slice(&self.number().to_be_bytes());
        let length_at = out.len();
        out.extend_from_slice(&[0, 0]);
        let payload_at = out.len();
        match self {
            Command::Ping(value) | Command::Packaged { length: value } => out.extend_from_slice(&value.to_be_bytes()),
            Command::PostcopyAdvise(Some(Advise { page_size_summary, target_page_bytes })) => {
                out.extend_from_slice(&page_size_summary.to_be_bytes());
                out.extend_from_slice(&target_page_bytes.to_be_bytes());
            }
            Command::PostcopyRamDiscard { block, ranges } => {
                assert!(
                    (1..=DISCARD_RANGES_PER_COMMAND).contains(&ranges.len()),
                    "a discard command has 1 to 12 ranges, not {}",
                    ranges.len()
                );
                out.push(0);
                block.encode(out);
                out.push(0);
                for DiscardRange { start, length } in ranges {
                    out.extend_from_slice(&start.to_be_bytes());
                    out.extend_from_slice(&length.to_be_bytes());
                }
            }
            Command::RecvBitmap { block } => block.encode(out),
            Command::OpenReturnPath
            | Command::PostcopyAdvise(None)
            | Command::PostcopyListen
            | Command::PostcopyRun
            | Command::EnableColo
            | Command::PostcopyResume
            | Command::SwitchoverStart => {}
        }
        // The longest payload is a discard's: 2 + 256 + 12 × 16 octets.
        let length = u16::try_from(out.len().saturating_sub(payload_at)).unwrap_or(u16::MAX);
        if let Some(place) = out.get_mut(length_at..payload_at) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }
}

/// QEMU computes what is left for the ranges in 16 bits without checking that the name fits; this does not.
fn decode_discard(c: &mut Cursor<'_>, length: u16) -> Step<Command> {
    let before = *c;
    let bad_length = || {
        let accepted = "3 + the length of the block's name + a positive multiple of 16";
        before.refuse_back(2, Reason::BadLength { what: "POSTCOPY_RAM_DISCARD", found: u64::from(length), accepted })
    };
    if length < 20 {
        return Err(bad_length());
    }
    let version = c.u8()?;
    c.expect("the version of POSTCOPY_RAM_DISCARD", u64::from(version), 0, 1)?;
    let block = c.name("RAM block")?;
    let zero = c.u8()?;
    c.expect("the octet behind the block's name", u64::from(zero), 0, 1)?;
    let head = c.position().saturating_sub(before.position());
    let rest = usize::from(length).checked_sub(head).ok_or_else(bad_length)?;
    if rest == 0 || !rest.is_multiple_of(16) {
        return Err(bad_length());
    }
    // Whole ranges first, so that the allocation follows what arrived.
    let octets = c.take(rest)?;
    let ranges = octets
        .as_chunks::<16>()
        .0
        .iter()
        .map(|range| {
            let word = u128::from_be_bytes(*range);
            let low = word & u128::from(u64::MAX);
            DiscardRange {
                start: u64::try_from(word >> 64).unwrap_or(u64::MAX),
                length: u64::try_from(low).unwrap_or(u64::MAX),
            }
        })
        .collect();
    Ok(Command::PostcopyRamDiscard { block, ranges })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::WireError;

    fn encoded(command: &Command) -> Vec<u8> {
        let mut out = Vec::new();
        command.encode(&mut out);
        out
    }

    fn refused(octets: &[u8]) -> WireError {
        Command::decode(octets).unwrap_err()
    }

    #[test]
    fn verified_sequences_of_the_specification_are_written_and_read() {
        // docs/spec/stream.md section 6 and docs/spec/postcopy.md section 5.
        let advise = Advise { page_size_summary: 0x1000, target_page_bytes: 0x1000 };
        let discard = Command::PostcopyRamDiscard {
            block: Name::new("pc.ram", "RAM block").unwrap(),
            ranges: vec![DiscardRange { start: 0x1000, length: 0xf0_0000 }],
        };
        let cases: [(Command, &[u8]); 6] = [
            (Command::OpenReturnPath, b"\x08\0\x01\0\0"),
            (Command::Ping(1), b"\x08\0\x02\0\x04\0\0\0\x01"),
            (Command::PostcopyAdvise(Some(advise)), b"\x08\0\x03\0\x10\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x10\0"),
            (Command::PostcopyAdvise(None), b"\x08\0\x03\0\0"),
            (Command::SwitchoverStart, b"\x08\0\x0b\0\0"),
            (discard, b"\x08\0\x06\0\x19\0\x06pc.ram\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\xf0\0\0"),
        ];
        for (command, octets) in cases {
            assert_eq!(encoded(&command), octets, "{command:?}");
            assert_eq!(Command::decode(octets).unwrap().complete().unwrap(), (command, octets.len()));
        }
    }

    #[test]
    fn commands_0_and_12_are_refused() {
        assert_eq!(refused(b"\x08\0\0\0\0").reason(), &Reason::UnknownCommand { found: 0 });
        assert_eq!(refused(b"\x08\0\x0c\0\0").reason(), &Reason::UnknownCommand { found: 12 });
    }

    #[test]
    fn wrong_lengths_of_fixed_commands_are_refused() {
        for number in [1, 2, 4, 5, 7, 8, 9, 11_u8] {
            let error = refused(&[8, 0, number, 0, 3]);
            assert!(matches!(error.reason(), Reason::BadLength { found: 3, .. }), "{error}");
            assert_eq!(error.offset(), 3);
        }
        assert!(matches!(refused(b"\x08\0\x03\0\x08").reason(), Reason::BadLength { found: 8, .. }));
    }

    #[test]
    fn a_discard_whose_name_passes_its_length_is_refused() {
        // QEMU's 16-bit subtraction wraps here.
        let mut octets = b"\x08\0\x06\0\x14\0\xff".to_vec();
        octets.extend_from_slice(&[b'n'; 255]);
        octets.extend_from_slice(&[0; 40]);
        assert!(matches!(refused(&octets).reason(), Reason::BadLength { found: 20, .. }));
    }

    #[test]
    fn a_discard_without_ranges_is_refused() {
        let octets = b"\x08\0\x06\0\x14\0\x11aaaaaaaaaaaaaaaaa\0";
        assert!(matches!(refused(octets).reason(), Reason::BadLength { found: 20, .. }));
    }

    #[test]
    fn a_recv_bitmap_whose_length_is_not_its_name_is_refused() {
        assert!(matches!(refused(b"\x08\0\x0a\0\x05\x03ram\0").reason(), Reason::BadLength { found: 5, .. }));
    }
}
