//! The thread of one channel: makes packets of jobs and writes them.
//!
//! Cost of a packet of 128 pages: one scan of their memory for zeros, 1344 octets of header, and one vectored write of
//! header and guest memory, in which consecutive pages are one range. With compression, two copies more.

use std::io;
use std::sync::Arc;

use vmferry_wire::Name;
use vmferry_wire::multifd::{Compression, PacketPages, RamPacket};
use vmferry_wire::ram::TargetPage;

use super::compress::Compressor;
use super::queue::{Counts, Job, Queue, Work};
use crate::channel::Channel;
use crate::channel::zero_copy::ZeroCopy;
use crate::memory::vectored::Parts;
use crate::memory::zero::is_zero;
use crate::memory::{RamBlock, TARGET_PAGE, TARGET_PAGE_BYTES};
use crate::source::ram::NamedBlock;
use crate::source::runs::Run;

/// One channel at the source.
pub(super) struct Writer {
    pub(super) id: usize,
    pub(super) channel: Channel,
    pub(super) blocks: Arc<[NamedBlock]>,
    pub(super) queue: Arc<Queue>,
    /// Whether zero pages are looked for here.
    pub(super) detects_zero: bool,
    pub(super) compressor: Option<Compressor>,
    /// Pages go out without a copy in the kernel.
    pub(super) zero_copy: Option<ZeroCopy>,
    pub(super) head: Vec<u8>,
}

impl Writer {
    /// Sends what comes until nothing more will.
    ///
    /// # Errors
    ///
    /// The channel failed, or a block is shorter than it said.
    pub(super) fn run(&mut self) -> io::Result<()> {
        let queue = Arc::clone(&self.queue);
        loop {
            match queue.take(self.id) {
                Work::Packet(num, job) => queue.sent(self.send(num, &job)?),
                Work::Sync(num) => queue.synced(self.id, self.sync(num)?),
                Work::End => return Ok(()),
            }
        }
    }

    fn send(&mut self, packet_num: u64, job: &Job) -> io::Result<Counts> {
        let blocks = Arc::clone(&self.blocks);
        let (name, block) = blocks.get(job.block).ok_or_else(|| io::Error::other("a job of no block"))?;
        let mut pages = self.split(name, &**block, job)?;
        let payload: &[u8] = match &mut self.compressor {
            Some(compressor) => {
                pages.compression = compressor.kind();
                let memory = pages.normal.iter().map(|offset| run(&**block, *offset, TARGET_PAGE));
                compressor.payload(memory)?
            }
            None => &[],
        };
        let uncompressed = pages.compression == Compression::None;
        let payload_bytes = if uncompressed { pages.normal.len() * TARGET_PAGE } else { payload.len() };
        pages.payload_bytes = u32::try_from(payload_bytes).map_err(io::Error::other)?;
        let mut counts = Counts {
            normal_pages: pages.normal.len() as u64,
            zero_pages: pages.zero.len() as u64,
            ..Counts::default()
        };
        let packet = RamPacket { is_sync: false, packet_num, pages: Some(pages) };
        self.head.clear();
        packet.encode(TargetPage::KIB_4, &mut self.head);
        counts.bytes = (self.head.len() + payload_bytes) as u64;

        let mut parts = Parts::new();
        match &self.zero_copy {
            // The head is written over by the next packet's.
            Some(_) => self.channel.write_all(&self.head)?,
            None => parts.push_bytes(&self.head),
        }
        parts.push_bytes(payload);
        let normal = packet.pages.as_ref().filter(|_| uncompressed).map_or(&[][..], |pages| &pages.normal);
        for memory in consecutive(normal).map(|(offset, len)| run(&**block, offset, len)) {
            parts.push_guest(&memory?);
        }
        match &mut self.zero_copy {
            Some(zero_copy) => zero_copy.write_parts(&self.channel, &mut parts)?,
            None => self.channel.write_parts(&mut parts)?,
        }
        Ok(counts)
    }

    /// Tells zero pages from others; both in ascending order.
    fn split(&self, name: &Name, block: &dyn RamBlock, job: &Job) -> io::Result<PacketPages> {
        let (mut normal, mut zero) = (Vec::with_capacity(super::PAGES_PER_PACKET), Vec::new());
        for Run { first, count, never_populated, .. } in job.runs.iter().copied() {
            for page in first..first + count {
                let offset = page as u64 * TARGET_PAGE_BYTES;
                let is_zero = self.detects_zero && (never_populated || is_zero(&run(block, offset, TARGET_PAGE)?));
                (if is_zero { &mut zero } else { &mut normal }).push(offset);
            }
        }
        Ok(PacketPages { block: name.clone(), compression: Compression::None, payload_bytes: 0, normal, zero })
    }

    fn sync(&mut self, packet_num: u64) -> io::Result<Counts> {
        self.head.clear();
        RamPacket { is_sync: true, packet_num, pages: None }.encode(TargetPage::KIB_4, &mut self.head);
        let has_copied = self.zero_copy.as_mut().map_or(Ok(false), |zero_copy| zero_copy.finish(&self.channel))?;
        self.channel.write_all(&self.head)?;
        let missed_zero_copy = u64::from(has_copied);
        Ok(Counts { missed_zero_copy, bytes: self.head.len() as u64, ..Counts::default() })
    }
}

fn run(block: &dyn RamBlock, offset: u64, len: usize) -> io::Result<vm_memory::VolatileSlice<'_, ()>> {
    block.run(offset, len).map_err(io::Error::other)
}

/// Offset and length, in bytes, of each run of consecutive pages.
fn consecutive(offsets: &[u64]) -> impl Iterator<Item = (u64, usize)> + '_ {
    let follows = |a: &u64, b: &u64| a.checked_add(TARGET_PAGE_BYTES) == Some(*b);
    offsets.chunk_by(follows).filter_map(|chunk| Some((*chunk.first()?, chunk.len() * TARGET_PAGE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_pages_are_one_range() {
        let runs: Vec<_> = consecutive(&[0x1000, 0x2000, 0x3000, 0x7000, 0x9000, 0xa000]).collect();
        assert_eq!(runs, [(0x1000, 0x3000), (0x7000, 0x1000), (0x9000, 0x2000)]);
        assert_eq!(consecutive(&[]).count(), 0);
    }
}
