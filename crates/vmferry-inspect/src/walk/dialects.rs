//! Which dialects a stream turned out to use.

use crate::dialect::Dialect;
use crate::walk::{Seen, Walk};

impl Walk<'_> {
    /// The dialects, in the order of their declaration.
    pub(super) fn dialects(&self, is_truncated: bool) -> Vec<Dialect> {
        let Seen { return_path, advise, dirty_bitmaps, block_migration, run, .. } = self.seen;
        let is_background = self.ram.is_started && !self.ram.is_ended && self.analysis.end.eof;
        let is_multifd = self.multifd.is_given() || self.ram.is_multifd(self.analysis.end.eof);
        let facts = [
            (Dialect::Precopy, !run && !is_background),
            (Dialect::Multifd, is_multifd),
            (Dialect::MappedRam, self.ram.is_mapped),
            (Dialect::Xbzrle, self.ram.has_xbzrle()),
            (Dialect::Compress, self.ram.has_compressed()),
            (Dialect::BackgroundSnapshot, is_background && !run),
            (Dialect::IgnoreShared, self.ram.has_guest_addresses),
            (Dialect::PostcopyAdvised, advise),
            (Dialect::Postcopy, run),
            (Dialect::Preempt, self.preempt_is_given()),
            (Dialect::DirtyBitmaps, dirty_bitmaps),
            (Dialect::BlockMigration, block_migration),
            (Dialect::ReturnPath, return_path),
            (Dialect::Truncated, is_truncated || self.analysis.is_channel_cut),
        ];
        let mut dialects: Vec<_> = facts.into_iter().filter(|(_, holds)| *holds).map(|(dialect, _)| dialect).collect();
        dialects.extend(self.multifd.dialects());
        dialects.sort_unstable();
        dialects
    }
}
