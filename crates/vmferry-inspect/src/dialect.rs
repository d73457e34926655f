//! Which of the protocol's variants a stream uses.

/// A variant of the stream. Several apply at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Dialect {
    /// RAM ends before the devices, and the guest starts after both.
    Precopy,
    /// Pages are on further channels.
    Multifd,
    /// … compressed by zlib.
    MultifdZlib,
    /// … compressed by zstd.
    MultifdZstd,
    /// … compressed by qpl.
    MultifdQpl,
    /// … compressed by uadk.
    MultifdUadk,
    /// … compressed by qatzip.
    MultifdQatzip,
    /// Pages have fixed places in the file.
    MappedRam,
    /// Pages are sent as differences.
    Xbzrle,
    /// Pages are compressed one by one.
    Compress,
    /// The devices were saved before RAM, while the guest went on.
    BackgroundSnapshot,
    /// Shared RAM is not in the stream.
    IgnoreShared,
    /// Postcopy was announced.
    PostcopyAdvised,
    /// The guest started before its RAM was there.
    Postcopy,
    /// Pages that were asked for came on a channel of their own.
    Preempt,
    /// Bitmaps of block devices are in the stream.
    DirtyBitmaps,
    /// Contents of block devices are in the stream.
    BlockMigration,
    /// The destination answers.
    ReturnPath,
    /// The stream ends before its end.
    Truncated,
}

impl Dialect {
    /// The word in the report.
    pub fn word(self) -> &'static str {
        match self {
            Dialect::Precopy => "precopy",
            Dialect::Multifd => "multifd",
            Dialect::MultifdZlib => "multifd-zlib",
            Dialect::MultifdZstd => "multifd-zstd",
            Dialect::MultifdQpl => "multifd-qpl",
            Dialect::MultifdUadk => "multifd-uadk",
            Dialect::MultifdQatzip => "multifd-qatzip",
            Dialect::MappedRam => "mapped-ram",
            Dialect::Xbzrle => "xbzrle",
            Dialect::Compress => "compress",
            Dialect::BackgroundSnapshot => "background-snapshot",
            Dialect::IgnoreShared => "ignore-shared",
            Dialect::PostcopyAdvised => "postcopy-advised",
            Dialect::Postcopy => "postcopy",
            Dialect::Preempt => "preempt",
            Dialect::DirtyBitmaps => "dirty-bitmaps",
            Dialect::BlockMigration => "block-migration",
            Dialect::ReturnPath => "return-path",
            Dialect::Truncated => "truncated",
        }
    }
}
