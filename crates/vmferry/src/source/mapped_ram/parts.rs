//! What the driver does with a file of places: the block list with its gaps, parts, and the end.

use std::io;

use rustix::fs::FileType;
use vmferry_wire::ram::block_list::{BlockEntry, BlockList, MappedRamHeader};

use super::{MappedRam, PAGES_PER_RUN, PageFiles, Places};
use crate::channel::Channel;
use crate::control::ZeroPageDetection;
use crate::error::{Doing as _, Error, Side};
use crate::mapped_ram::file::PageFile;
use crate::mapped_ram::layout::Layout;
use crate::memory::TARGET_PAGE_BYTES;
use crate::source::ram::{NamedBlock, Sent};
use crate::source::{Driver, channel_gone, named_blocks};

/// Most pages of one part: what is not read costs next to nothing, but a cancellation must be heard.
const PAGES_PER_PART: usize = 1 << 16;

/// No section begins with this octet (`docs/spec/stream.md` section 2).
const NO_SECTION: u8 = 0xff;

const DOING: &str = "writing pages to the file";

/// Writes `head` and the list of `blocks` behind it to `channel`, each entry in front of the places of its block.
/// Returns these, and how many octets were written; the stream goes on behind the places of the last block.
pub(in crate::source) fn write_places(
    channel: &Channel,
    blocks: &[NamedBlock],
    head: Vec<u8>,
) -> Result<(Vec<Layout>, u64), Error> {
    const WRITING: &str = "writing the list of RAM blocks";
    let (mut out, mut octets) = (head, 0);
    BlockList::encode_total(blocks.iter().map(|(_, block)| block.used_len()).sum(), &mut out);
    let mut layouts = Vec::with_capacity(blocks.len());
    for (index, (name, block)) in blocks.iter().enumerate() {
        channel.write_all(&out).doing(Side::Source, WRITING)?;
        octets += out.len() as u64;
        out.clear();
        let mut entry = BlockEntry {
            name: name.clone(),
            used_bytes: block.used_len(),
            page_bytes: None,
            guest_address: None,
            mapped_ram: None,
        };
        entry.encode(&mut out);
        let here = channel.position().doing(Side::Source, WRITING)?;
        let end = here.saturating_add((out.len() + MappedRamHeader::BYTES) as u64);
        let layout = Layout::behind(end, index, block.used_len())
            .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))
            .doing(Side::Source, WRITING)?;
        entry.mapped_ram = Some(layout.header());
        out.clear();
        entry.encode(&mut out);
        channel.write_all(&out).doing(Side::Source, WRITING)?;
        octets += out.len() as u64;
        out.clear();
        channel.seek(layout.end()).doing(Side::Source, WRITING)?;
        layouts.push(layout);
    }
    // A machine without RAM has the total alone.
    channel.write_all(&out).doing(Side::Source, WRITING)?;
    octets += out.len() as u64;
    Ok((layouts, octets))
}

/// Where what stands behind the head cannot be cut off: has no reader take it for the rest of this stream.
pub(in crate::source) fn part_from_what_follows(channel: &Channel) -> Result<(), Error> {
    let mark = || {
        let mode = rustix::fs::fstat(channel)?.st_mode;
        if FileType::from_raw_mode(mode) == FileType::RegularFile {
            return Ok(());
        }
        PageFile::of(channel)?.write_octets(&[NO_SECTION], channel.position()?)?;
        // Before any page: those may be on the device at once, and power may fail.
        Ok(rustix::fs::fdatasync(channel)?)
    };
    mark().doing(Side::Source, "parting the stream from what follows")
}

impl Driver {
    /// Writes `head` and the block list behind it, and opens the places of the blocks.
    pub(in crate::source) fn place_blocks(&mut self, files: PageFiles, head: Vec<u8>) -> Result<(), Error> {
        let blocks = named_blocks(&*self.context.machine)?;
        let channel = self.channel.as_ref().ok_or_else(channel_gone)?;
        let (layouts, octets) = write_places(channel, &blocks, head)?;
        self.account.sent_bytes(octets);
        let detects_zero = self.context.shared.parameters().zero_page_detection != ZeroPageDetection::None;
        let places = Places::new(&blocks, &layouts, detects_zero);
        let interrupt = channel.interrupt().clone();
        let mapped_ram = MappedRam::start(files, places, interrupt).doing(Side::Source, "starting the channels")?;
        self.mapped_ram = Some(mapped_ram);
        Ok(())
    }

    /// [`part_from_what_follows`], where pages have places.
    pub(in crate::source) fn part_places_from_what_follows(&self) -> Result<(), Error> {
        match &self.channel {
            Some(channel) if self.mapped_ram.is_some() => part_from_what_follows(channel),
            _ => Ok(()),
        }
    }

    /// Has up to `pages` dirty pages written that are to be read, and all that never held anything beside them. Returns
    /// how many there were.
    pub(in crate::source) fn send_part_to_places(&mut self, pages: usize) -> Result<u64, Error> {
        let Some(mapped_ram) = &mut self.mapped_ram else { return Ok(0) };
        let log = self.context.machine.dirty_log();
        let (mut left, mut taken) = (pages.min(PAGES_PER_PART), 0);
        while left > 0 && taken < PAGES_PER_PART {
            let most = left.min(PAGES_PER_RUN);
            let most_unread = if mapped_ram.places.detects_zero { PAGES_PER_PART } else { most };
            let run = self.ram.runs.next_run(log, most, most_unread);
            let Some(run) = run.doing(Side::Source, "sending RAM")? else { break };
            taken += run.count;
            left -= if run.never_populated && mapped_ram.places.detects_zero { 0 } else { run.count };
            mapped_ram.give(run).doing(Side::Source, DOING)?;
        }
        self.account_of_places();
        Ok(taken as u64)
    }

    /// Ends a round: what was given is written before any page of it is given again.
    pub(in crate::source) fn wait_for_places(&mut self) -> Result<(), Error> {
        if let Some(mapped_ram) = &self.mapped_ram {
            mapped_ram.wait().doing(Side::Source, DOING)?;
            self.account_of_places();
        }
        Ok(())
    }

    /// The last page is given: what is there is told in the file.
    pub(in crate::source) fn end_places(&mut self) -> Result<(), Error> {
        self.wait_for_places()?;
        let (Some(mapped_ram), Some(channel)) = (&self.mapped_ram, &self.channel) else { return Ok(()) };
        let written = PageFile::of(channel).and_then(|file| mapped_ram.write_bitmaps(&file));
        let octets = written.doing(Side::Source, "writing the bitmaps of RAM to the file")?;
        self.account.sent_bytes(octets);
        Ok(())
    }

    fn account_of_places(&mut self) {
        let Some(mapped_ram) = &self.mapped_ram else { return };
        let (normal_pages, zero_pages) = mapped_ram.places.take_counts();
        let bytes = normal_pages * TARGET_PAGE_BYTES;
        self.account.sent(Sent { normal_pages, zero_pages, bytes, ..Sent::default() });
        if mapped_ram.has_channels {
            self.account.sent_on_channels(bytes, 0);
        }
    }
}
