//! The preempt channel of postcopy: page records, and nothing around them.
//!
//! It has its own memory of the previous block. Its pages were asked for while the main channel sent others, and none
//! is on both, so they are taken when the main channel is over. QEMU 7.2 ends it by an end record; later ones just
//! stop. Source: `docs/spec/postcopy.md` section 9.

use vmferry_wire::ram::{PageRecord, Record};
use vmferry_wire::{Decoded, header, multifd};

use crate::channels::Channel;
use crate::error::{Halt, Step, StreamFault};
use crate::reader::StreamReader;
use crate::walk::Walk;
use crate::walk::ram::{RamWalk, taken};

/// The preempt channel of a stream.
pub(super) struct Preempt<'a> {
    name: String,
    reader: StreamReader<'a>,
}

impl<'a> Walk<'a> {
    /// Tells the channels apart by their first octets: those of multifd have a magic, the preempt channel has none.
    pub(super) fn take_channels(&mut self, channels: Vec<Channel<'a>>) -> Step<()> {
        for Channel { name, input } in channels {
            let mut reader = StreamReader::further(input);
            reader.fill(4).map_err(|halt| halt.in_channel(&name))?;
            let first = reader.buffered().first_chunk::<4>().copied();
            if first == Some(multifd::MULTIFD_MAGIC.to_be_bytes()) {
                self.multifd.add(&name, reader)?;
            } else if first.is_some_and(header::is_main_channel) {
                return Err(Halt::malformed(0, StreamFault::SecondMainChannel).in_channel(&name));
            } else if self.preempt.is_some() {
                return Err(Halt::malformed(0, StreamFault::SecondPreemptChannel).in_channel(&name));
            } else {
                self.preempt = Some(Preempt { name, reader });
            }
        }
        Ok(())
    }

    pub(super) fn preempt_is_given(&self) -> bool {
        self.preempt.is_some()
    }

    /// Octets that were read of it.
    pub(super) fn preempt_bytes(&self) -> u64 {
        self.preempt.as_ref().map_or(0, |preempt| preempt.reader.position())
    }

    /// Takes the pages of the preempt channel.
    pub(super) fn read_preempt(&mut self) -> Step<()> {
        let Some(preempt) = &mut self.preempt else { return Ok(()) };
        match preempt.pages(&mut self.ram) {
            Err(Halt::Truncated { offset }) => {
                self.multifd.cut_at(&preempt.name, offset);
                Ok(())
            }
            outcome => outcome.map_err(|halt| halt.in_channel(&preempt.name)),
        }
    }
}

impl Preempt<'_> {
    fn pages(&mut self, ram: &mut RamWalk) -> Step<()> {
        let reader = &mut self.reader;
        let mut current = None;
        loop {
            let at = reader.position();
            if !reader.fill(1)? {
                return Ok(());
            }
            let (record, used) = match Record::decode(reader.buffered(), ram.page) {
                Ok(Decoded::Complete { value, used }) => (value, used),
                Ok(Decoded::NeedMore { total }) => {
                    if !reader.fill(total)? {
                        return Err(reader.truncated());
                    }
                    continue;
                }
                Err(error) => return Err(Halt::wire(at, error)),
            };
            match record {
                Record::Page(page) => {
                    let block = ram.block_of(at, page, current)?;
                    current = Some(block);
                    let PageRecord { offset, kind, contents_bytes, .. } = page;
                    reader.consume(used);
                    ram.page(at, block, offset, kind, taken(used, contents_bytes))?;
                    ram.contents(reader, block, offset, kind, contents_bytes)?;
                }
                Record::Eos => return Ok(()),
                Record::MemSize { .. } | Record::MultifdFlush | Record::Hook => {
                    return Err(Halt::malformed(at, StreamFault::PreemptRecord));
                }
            }
        }
    }
}
