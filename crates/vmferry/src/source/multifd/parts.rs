//! What the driver does with channels: parts, syncs, and what the main channel says of them.

use vmferry_wire::ram::Record;
use vmferry_wire::section::{Footer, SectionHeader};

use super::{Counts, FlushRule, Part};
use crate::error::{Doing as _, Error, Side};
use crate::source::devices::RAM_SECTION_ID;
use crate::source::ram::Sent;
use crate::source::{Driver, PAGES_PER_PART};

/// Most pages of one part where each part ends with a sync: 64 MiB.
const PAGES_PER_SYNC: usize = 16 << 10;

const DOING: &str = "sending RAM";

impl Driver {
    /// Most pages of one part while the guest runs.
    pub(in crate::source) fn pages_per_part(&self) -> usize {
        match &self.multifd {
            Some(multifd) if multifd.rule == FlushRule::Sections => PAGES_PER_SYNC,
            _ => PAGES_PER_PART,
        }
    }

    /// Queues up to `pages` dirty pages, and writes what the main channel has to say of them. Returns how many there
    /// were.
    pub(in crate::source) fn send_part_on_channels(&mut self, pages: usize) -> Result<u64, Error> {
        let Some(multifd) = &mut self.multifd else { return Ok(0) };
        let pages = pages.min(PAGES_PER_SYNC);
        let log = self.context.machine.dirty_log();
        let part = multifd.send(&mut self.ram.runs, log, pages).doing(Side::Source, DOING)?;
        let Part { pages, zero_pages, records } = part;
        let has_sync = multifd.rule == FlushRule::Sections && pages > 0;
        if has_sync || !records.is_empty() {
            let section = SectionHeader::Part { section_id: RAM_SECTION_ID };
            self.write_section(&section, &records, has_sync)?;
        }
        self.account.sent(Sent { zero_pages, ..Sent::default() });
        self.account_of_channels();
        Ok(pages)
    }

    /// Ends a round: what was queued is behind a sync before any page is sent again.
    pub(in crate::source) fn sync_channels(&mut self) -> Result<(), Error> {
        match &self.multifd {
            Some(multifd) if multifd.is_unsynced() && multifd.rule == FlushRule::Rounds => {
                self.write_section(&SectionHeader::Part { section_id: RAM_SECTION_ID }, &[], true)
            }
            _ => Ok(()),
        }
    }

    /// Asks for a sync, and appends what the body of a RAM section says of it.
    pub(in crate::source) fn announce_sync(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        if let Some(multifd) = &mut self.multifd {
            multifd.request_sync().doing(Side::Source, DOING)?;
            if multifd.rule == FlushRule::Rounds {
                Record::encode_multifd_flush(out);
            }
        }
        Ok(())
    }

    /// Waits until the channels have sent all that was queued before the last sync.
    pub(in crate::source) fn wait_for_channels(&mut self) -> Result<(), Error> {
        if let Some(multifd) = &self.multifd {
            multifd.wait_synced().doing(Side::Source, DOING)?;
        }
        self.account_of_channels();
        Ok(())
    }

    fn write_section(&mut self, header: &SectionHeader, records: &[u8], has_sync: bool) -> Result<(), Error> {
        let mut out = Vec::with_capacity(records.len() + 32);
        header.encode(&mut out);
        out.extend_from_slice(records);
        if has_sync {
            self.announce_sync(&mut out)?;
        }
        Record::encode_eos(&mut out);
        Footer { section_id: RAM_SECTION_ID }.encode(&mut out);
        self.write(&out, DOING)?;
        if has_sync { self.wait_for_channels() } else { Ok(()) }
    }

    fn account_of_channels(&mut self) {
        let Some(multifd) = &self.multifd else { return };
        let Counts { normal_pages, zero_pages, bytes, missed_zero_copy } = multifd.take_counts();
        self.account.sent(Sent { normal_pages, zero_pages, bytes, ..Sent::default() });
        self.account.sent_on_channels(bytes, missed_zero_copy);
    }
}
