//! A request that was taken from a ring and not yet answered.
//!
//! | octets | what |
//! |---|---|
//! | 4, 4, 4, 4 | number of the head descriptor; o, buffers the device reads; i, those it writes; 0 |
//! | 1024 × 8 | guest addresses of the i buffers |
//! | 1024 × 8 | guest addresses of the o buffers |
//! | 1024 × 16 | 0 and length of the i buffers |
//! | 1024 × 16 | 0 and length of the o buffers |
//!
//! It is a structure of QEMU's memory, so its numbers are little-endian here, as on hosts of 64 bits that are so; those
//! of others are not read. A device that offers packed rings has four octets more, big-endian, before all that: how
//! many descriptors the request has. Nothing before the element tells whether they are there, but the element does:
//! read without them it would have lengths above 4 GiB, or none.
//!
//! Source: `docs/spec/virtio-state.md` section 3; streams of QEMU 5.2 to 11.1, split and packed rings.

use vmstate::{Input, LoadError, Reason, Refused, SaveError, Sink, Wire};

/// Most buffers of a request in each direction.
pub const BUFFERS_MAX: usize = 1024;

/// Octets of the numbers in front.
const HEAD: usize = 16;
/// Octets of an address and of a length with the 0 before it.
const ADDRESS: usize = 8;
const LENGTH: usize = 16;
/// Octets of all, without the number of descriptors.
const OCTETS: usize = HEAD + 2 * BUFFERS_MAX * (ADDRESS + LENGTH);
/// Octets of the number of descriptors.
const DESCRIPTORS: usize = 4;

/// A request that is not yet answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueElement {
    /// Number of the head descriptor, or the identifier of the buffers of a packed ring.
    pub index: u32,
    /// Buffers that the device reads; up to [`BUFFERS_MAX`].
    pub out: Vec<Buffer>,
    /// Buffers that the device writes; up to [`BUFFERS_MAX`].
    pub r#in: Vec<Buffer>,
    /// How many descriptors there are; there if and only if the device offers packed rings.
    pub descriptors: Option<u32>,
}

/// A piece of guest memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Buffer {
    /// Guest address.
    pub address: u64,
    /// Octets, 4 GiB at most.
    pub octets: u64,
}

/// Most octets of a buffer: descriptors have 32 bits for it.
const BUFFER_OCTETS_MAX: u64 = u32::MAX as u64;

impl QueueElement {
    pub(super) fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        let octets = self.octets()?;
        let mut whole = self.descriptors.map(|number| number.to_be_bytes().to_vec()).unwrap_or_default();
        whole.extend_from_slice(&octets);
        let is_plain = Self::plain(whole.get(..OCTETS).unwrap_or_default(), 0).is_ok();
        if is_plain != self.descriptors.is_none() {
            let text = "without buffers, or with empty ones only, it cannot be told whether the number of descriptors is there";
            return Err(SaveError::new(Refused::new(text)));
        }
        sink.put(&whole);
        Ok(())
    }

    pub(super) fn read_from(input: &mut Input<'_>) -> Result<Self, LoadError> {
        let start = input.offset();
        let mut octets = vec![0; OCTETS + DESCRIPTORS];
        input.read_exact(octets.get_mut(..OCTETS).unwrap_or_default())?;
        let plain = Self::plain(octets.get(..OCTETS).unwrap_or_default(), start);
        let behind = start.saturating_add(DESCRIPTORS as u64);
        // What is still missing of an element behind a number are zeros, unless all 1024 buffers are used.
        let Err(error) = plain else { return plain };
        if Self::plain(octets.get(DESCRIPTORS..).unwrap_or_default(), behind).is_err() {
            return Err(error);
        }
        input.read_exact(octets.get_mut(OCTETS..).unwrap_or_default())?;
        let (number, octets) = octets.split_first_chunk().unwrap_or((&[0; DESCRIPTORS], &[]));
        let element = Self::plain(octets, behind)?;
        Ok(Self { descriptors: Some(u32::from_be_bytes(*number)), ..element })
    }

    /// The octets of an element without the number of descriptors.
    fn octets(&self) -> Result<Vec<u8>, SaveError> {
        let Self { index, out, r#in, descriptors: _ } = self;
        let mut octets = Vec::with_capacity(OCTETS);
        octets.extend_from_slice(&index.to_le_bytes());
        for (name, buffers) in [("out", out), ("in", r#in)] {
            let longest = buffers.iter().map(|buffer| buffer.octets).max().unwrap_or(0);
            if buffers.len() > BUFFERS_MAX || longest > BUFFER_OCTETS_MAX {
                let text = format!("{} buffers of up to {longest} octets, over the limits", buffers.len());
                return Err(SaveError::new(Refused::new(text)).within(name));
            }
            octets.extend_from_slice(&u32::try_from(buffers.len()).unwrap_or(u32::MAX).to_le_bytes());
        }
        octets.extend_from_slice(&[0; 4]);
        for buffers in [r#in, out] {
            let end = octets.len() + BUFFERS_MAX * ADDRESS;
            buffers.iter().for_each(|buffer| octets.extend_from_slice(&buffer.address.to_le_bytes()));
            octets.resize(end, 0);
        }
        for buffers in [r#in, out] {
            let end = octets.len() + BUFFERS_MAX * LENGTH;
            for buffer in buffers {
                octets.extend_from_slice(&[0; 8]);
                octets.extend_from_slice(&buffer.octets.to_le_bytes());
            }
            octets.resize(end, 0);
        }
        Ok(octets)
    }

    /// Parses an element without the number of descriptors, whose octets start at offset `start` of the stream.
    fn plain(octets: &[u8], start: u64) -> Result<Self, LoadError> {
        let mut fields = Fields { octets, at: start };
        let index = u32::try_from(fields.number(4, "index")?).unwrap_or(u32::MAX);
        let out = fields.count("out_num")?;
        let r#in = fields.count("in_num")?;
        fields.zeros(4, "padding")?;
        let mut r#in = fields.addresses(r#in, "in_addr")?;
        let mut out = fields.addresses(out, "out_addr")?;
        fields.lengths(&mut r#in, "in_sg")?;
        fields.lengths(&mut out, "out_sg")?;
        if out.iter().chain(&r#in).all(|buffer| buffer.octets == 0) {
            let reason = Reason::Refused(Refused::new("a request without buffers, or with empty ones only"));
            return Err(LoadError::new(start, reason));
        }
        Ok(Self { index, out, r#in, descriptors: None })
    }
}

/// The rest of an element that is being read.
struct Fields<'a> {
    octets: &'a [u8],
    /// Offset of the rest in the stream.
    at: u64,
}

impl<'a> Fields<'a> {
    fn take(&mut self, octets: usize) -> &'a [u8] {
        let (head, rest) = self.octets.split_at_checked(octets).unwrap_or_default();
        self.octets = rest;
        self.at = self.at.saturating_add(octets as u64);
        head
    }

    /// A little-endian number of so many octets, up to 8.
    fn number(&mut self, octets: usize, name: &'static str) -> Result<u64, LoadError> {
        let (at, head) = (self.at, self.take(octets));
        if head.len() < octets {
            let reason = Reason::EndOfInput { needed: octets, left: head.len() };
            return Err(LoadError::new(at, reason).within(name));
        }
        Ok(head.iter().rev().fold(0, |number, octet| number << 8 | u64::from(*octet)))
    }

    fn count(&mut self, name: &'static str) -> Result<usize, LoadError> {
        let (at, found) = (self.at, self.number(4, name)?);
        let limit = BUFFERS_MAX as u64;
        usize::try_from(found.min(limit + 1))
            .ok()
            .filter(|count| *count <= BUFFERS_MAX)
            .ok_or_else(|| LoadError::new(at, Reason::CountOverLimit { found, limit }).within(name))
    }

    /// Octets that must be 0. Differs from QEMU: they are not looked at there; no sender has anything in them.
    fn zeros(&mut self, octets: usize, name: &'static str) -> Result<(), LoadError> {
        let (at, head) = (self.at, self.take(octets));
        match head.iter().position(|octet| *octet != 0) {
            None => Ok(()),
            Some(place) => {
                let reason = Reason::Refused(Refused::new("not 0, as what is not used must be"));
                Err(LoadError::new(at.saturating_add(place as u64), reason).within(name))
            }
        }
    }

    /// The addresses of so many buffers, whose lengths come later.
    fn addresses(&mut self, count: usize, name: &'static str) -> Result<Vec<Buffer>, LoadError> {
        let mut buffers = Vec::with_capacity(count);
        for _ in 0..count {
            buffers.push(Buffer { address: self.number(ADDRESS, name)?, octets: 0 });
        }
        self.zeros((BUFFERS_MAX - count) * ADDRESS, name)?;
        Ok(buffers)
    }

    fn lengths(&mut self, buffers: &mut [Buffer], name: &'static str) -> Result<(), LoadError> {
        for buffer in buffers.iter_mut() {
            self.zeros(8, name)?;
            let at = self.at;
            buffer.octets = self.number(8, name)?;
            if buffer.octets > BUFFER_OCTETS_MAX {
                let reason = Reason::CountOverLimit { found: buffer.octets, limit: BUFFER_OCTETS_MAX };
                return Err(LoadError::new(at, reason).within(name));
            }
        }
        self.zeros((BUFFERS_MAX - buffers.len()) * LENGTH, name)
    }
}

/// Says whether another request follows.
pub(super) fn write_mark(follows: bool, sink: &mut dyn Sink) -> Result<(), SaveError> {
    u8::from(follows).write_to(sink)
}

/// Whether another request follows. Differs from QEMU: any octet but 0 says so there.
pub(super) fn read_mark(input: &mut Input<'_>) -> Result<bool, LoadError> {
    let at = input.offset();
    match input.array()? {
        [0] => Ok(false),
        [1] => Ok(true),
        [found] => Err(LoadError::new(at, Reason::NotAMarker { found })),
    }
}
