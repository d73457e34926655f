//! The connections of an incoming migration, told apart by their first octets.
//!
//! | first octets | what |
//! |---|---|
//! | `QEVM` | the main channel |
//! | `11 22 33 44` | a multifd channel; 60 octets more say which, and of which guest |
//!
//! They come in any order. A source writes nothing on its main channel before all of its connections are made, so from
//! its first octet on the others are on their way, and one too many is there already (`docs/spec/multifd.md`
//! sections 1 and 2).

use std::io;
use std::time::{Duration, Instant};

use vmferry_wire::Decoded;
use vmferry_wire::multifd::{HANDSHAKE_BYTES, Handshake, MULTIFD_MAGIC};

use super::meeting::Alarms;
use crate::channel::{Channel, Listener};
use crate::destination::reader::mismatch;
use crate::error::{Attribute as _, Doing as _, Error, ErrorKind, Side};

/// The first octets of a stream.
const STREAM_MAGIC: [u8; 4] = *b"QEVM";

/// How long channels may be under way once the main one has spoken.
const PATIENCE: Duration = Duration::from_secs(5);

const DOING: &str = "waiting for the source";

/// All connections of one migration.
#[derive(Debug)]
pub(in crate::destination) struct Gathered {
    /// The main channel.
    pub(in crate::destination) main: Channel,
    /// Octets of it that were read.
    pub(in crate::destination) prefix: Vec<u8>,
    /// The multifd channels, by number, behind their first packets.
    pub(in crate::destination) channels: Vec<Channel>,
}

/// A connection that did not say enough yet.
#[derive(Debug)]
struct Newcomer {
    channel: Channel,
    octets: Vec<u8>,
}

/// What a connection turned out to be.
enum Known {
    Main,
    Multifd(Handshake),
    NotYet,
}

struct Gathering {
    newcomers: Vec<Newcomer>,
    main: Option<(Channel, Instant)>,
    channels: Vec<Option<Channel>>,
    uuid: [u8; 16],
}

/// Waits for the main channel and `count` multifd channels of the guest `uuid`, and stops listening.
///
/// # Errors
///
/// A connection is none of these, comes twice, or is one too many; some do not come; the interrupt was raised.
pub(in crate::destination) fn gather(
    listener: Listener,
    alarms: &Alarms,
    count: u8,
    uuid: [u8; 16],
) -> Result<Gathered, Error> {
    let alarm = &alarms.channels;
    let channels = (0..count).map(|_| None).collect();
    let mut gathering = Gathering { newcomers: Vec::new(), main: None, channels, uuid };
    loop {
        while let Some(channel) = listener.accept_now(alarm).doing(Side::Destination, DOING)? {
            gathering.newcomers.push(Newcomer { channel, octets: Vec::new() });
            gathering.check_count()?;
        }
        gathering.hear()?;
        let missing = gathering.missing();
        let deadline = match &gathering.main {
            Some(_) if missing == 0 => break,
            Some((_, since)) => Some(*since + PATIENCE),
            None => None,
        };
        let fds = gathering.newcomers.iter().map(|newcomer| &newcomer.channel);
        match listener.wait_with(fds, alarm, deadline) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(gathering.too_few(missing)),
            other => other.doing(Side::Destination, DOING)?,
        }
    }
    // Whatever else this source has opened is in the listener's queue.
    while let Some(channel) = listener.accept_now(alarm).doing(Side::Destination, DOING)? {
        gathering.newcomers.push(Newcomer { channel, octets: Vec::new() });
    }
    gathering.hear()?;
    gathering.check_count()?;
    let (main, _) = gathering.main.ok_or_else(|| state("the main channel is missing".to_owned()))?;
    let channels = gathering.channels.into_iter().flatten().collect();
    Ok(Gathered { main, prefix: STREAM_MAGIC.to_vec(), channels })
}

impl Gathering {
    fn missing(&self) -> usize {
        self.channels.iter().filter(|channel| channel.is_none()).count()
    }

    fn check_count(&self) -> Result<(), Error> {
        let accepted = self.channels.len();
        let found = self.newcomers.len() + usize::from(self.main.is_some()) + accepted - self.missing();
        if found <= accepted + 1 {
            return Ok(());
        }
        Err(state(format!(
            "{found} connections came, where a main channel and {accepted} multifd channels are awaited: set the same \
             multifd-channels at both ends"
        )))
    }

    fn too_few(&self, missing: usize) -> Error {
        let (awaited, came) = (self.channels.len(), self.channels.len() - missing);
        let advice =
            if came == 0 { "turn multifd on at the source, too" } else { "set the same multifd-channels at both ends" };
        state(format!(
            "{came} of {awaited} multifd channels came within {} s of the main one: {advice}",
            PATIENCE.as_secs()
        ))
    }

    /// Reads what the connections say.
    fn hear(&mut self) -> Result<(), Error> {
        let mut silent = Vec::new();
        for mut newcomer in std::mem::take(&mut self.newcomers) {
            match newcomer.hear()? {
                Known::NotYet => silent.push(newcomer),
                Known::Main if self.main.is_some() => {
                    return Err(state("two connections are main channels: two sources came at once".to_owned()));
                }
                Known::Main => self.main = Some((newcomer.channel, Instant::now())),
                Known::Multifd(handshake) => self.seat(&handshake, newcomer.channel)?,
            }
        }
        self.newcomers = silent;
        Ok(())
    }

    /// Takes a multifd channel.
    ///
    /// Differs from QEMU: there an id that equals the number of channels is accepted, and no good comes of it.
    fn seat(&mut self, handshake: &Handshake, channel: Channel) -> Result<(), Error> {
        const ID_OFFSET: u64 = 24;
        let Handshake { uuid, id } = *handshake;
        if uuid != self.uuid {
            let accepted = format!("{:032x}: start both ends with the same UUID", u128::from_be_bytes(self.uuid));
            return Err(
                mismatch(8, "the UUID", format!("{:032x}", u128::from_be_bytes(uuid)), accepted).in_channel(id.into())
            );
        }
        let count = self.channels.len();
        let Some(seat) = self.channels.get_mut(usize::from(id)) else {
            let accepted = format!("0 to {}: set the same multifd-channels at both ends", count.saturating_sub(1));
            return Err(
                mismatch(ID_OFFSET, "the number of a multifd channel", id.to_string(), accepted).in_channel(id.into())
            );
        };
        if seat.is_some() {
            let error =
                mismatch(ID_OFFSET, "the number of a multifd channel", format!("{id} again"), "each number once");
            return Err(error.in_channel(id.into()));
        }
        *seat = Some(channel);
        Ok(())
    }
}

impl Newcomer {
    /// Reads on, but not beyond what tells what it is.
    fn hear(&mut self) -> Result<Known, Error> {
        loop {
            let wanted = match self.octets.first_chunk() {
                None => STREAM_MAGIC.len(),
                Some(magic) if *magic == STREAM_MAGIC => return Ok(Known::Main),
                Some(magic) if *magic == MULTIFD_MAGIC.to_be_bytes() => HANDSHAKE_BYTES,
                Some(magic) => {
                    let found = format!("{:08x}", u32::from_be_bytes(*magic));
                    return Err(mismatch(0, "the first octets of a connection", found, "5145564d or 11223344"));
                }
            };
            let mut room = [0; HANDSHAKE_BYTES];
            let room = room.get_mut(..wanted.saturating_sub(self.octets.len())).unwrap_or_default();
            if room.is_empty() {
                let decoded = Handshake::decode(&self.octets).at(Side::Destination)?;
                return Ok(match decoded {
                    Decoded::Complete { value, .. } => Known::Multifd(value),
                    Decoded::NeedMore { .. } => Known::NotYet,
                });
            }
            match self.channel.read_now(room).doing(Side::Destination, DOING)? {
                None => return Ok(Known::NotYet),
                Some(0) => {
                    let offset = self.octets.len() as u64;
                    return Err(Error::new(Side::Destination, ErrorKind::Truncated { offset }));
                }
                Some(read) => self.octets.extend_from_slice(room.get(..read).unwrap_or_default()),
            }
        }
    }
}

fn state(text: String) -> Error {
    Error::new(Side::Destination, ErrorKind::State(text))
}
