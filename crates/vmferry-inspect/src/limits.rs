//! Limits on what a stream may cost, each with its reason. Those of single messages are in [`vmferry_wire::limits`].

/// Octets of one section's body that are held and decoded. Device state is some KiB; the largest bodies known (storage
/// keys, TPM blobs) are a few MiB. A described body beyond it is skipped.
pub const SECTION_BODY_BYTES_LIMIT: usize = 64 << 20;

/// Octets of bodies, of all sections together, that are decoded and kept in the report.
pub const DEVICE_STATE_BYTES_LIMIT: u64 = 256 << 20;

/// Values in the report. The largest stream of the corpus has 20 thousand; an array of integers counts as one. What
/// passes the limit is shown as octets.
pub const VALUE_COUNT_LIMIT: u64 = 1 << 20;

/// Sections in the report; a machine with every device that QEMU has would have some hundred.
pub const SECTION_COUNT_LIMIT: usize = 16_384;

/// Commands in the report. Postcopy discards in commands of 12 ranges, so that a large guest has thousands.
pub const COMMAND_COUNT_LIMIT: usize = 65_536;

/// Spans of the map of a stream: every section of the report, and what stands between them.
pub const SPAN_COUNT_LIMIT: usize = 32_768;

/// Warnings in the report; the number of further ones is told.
pub const WARNING_COUNT_LIMIT: usize = 1000;

/// Memory for the record of which pages were sent: one bit a page, 8 TiB of guest RAM with pages of 4 KiB.
pub const PAGE_RECORD_BYTES_LIMIT: usize = 256 << 20;

/// Octets of a pipe that are kept in an unlinked file, from the first section that cannot be walked without the
/// description on. Behind RAM only device state and the description follow; more than this is walked without
/// description.
pub const SPOOL_BYTES_LIMIT: u64 = 1 << 30;

/// The reader's buffer: large enough that system calls cost little beside the copy.
pub const READ_BUFFER_BYTES: usize = 256 << 10;

/// The bitmap of a mapped-ram block whose pages are extracted, which is held while they are read: 8 TiB of RAM with
/// pages of 4 KiB. Without extraction nothing of it is held.
pub const MAPPED_RAM_BITMAP_BYTES_LIMIT: u64 = 256 << 20;

/// Where QEMU places pages in a mapped-ram file: at multiples of 1 MiB (`docs/spec/mapped-ram.md` section 1).
pub const MAPPED_RAM_ALIGNMENT: u64 = 1 << 20;

/// Multifd channels of one stream: their number is one octet (`docs/spec/multifd.md` section 1).
pub const CHANNEL_COUNT_LIMIT: usize = 255;

/// Snapshots of a qcow2 image; QEMU makes no more.
pub const QCOW2_SNAPSHOT_COUNT_LIMIT: u32 = 65_536;

/// Octets of a qcow2 snapshot's extra data; QEMU writes 24.
pub const QCOW2_EXTRA_BYTES_LIMIT: u32 = 1024;

/// Dirty bitmaps of one stream.
pub const BITMAP_COUNT_LIMIT: usize = 1024;

/// Octets of one chunk of a dirty bitmap: more fails a load (`docs/spec/dirty-bitmaps.md` section 5).
pub const BITMAP_CHUNK_BYTES_LIMIT: u64 = 10_240;

/// Differences between two streams that are listed; the number of further ones is told.
pub const DIFFERENCE_COUNT_LIMIT: usize = 10_000;

/// Octets of paths and values in the list of differences. Names come from the stream, and one may stand in the paths of
/// everything below it.
pub const DIFFERENCE_BYTES_LIMIT: usize = 64 << 20;

/// Octets of a buffer that differs which are listed, from the first difference on.
pub const DIFFERENCE_OCTETS_LIMIT: usize = 4096;

/// Places of a RAM block's name that are kept while it is renamed. A writer names the block once for a run of its
/// pages.
pub const NAME_PLACE_COUNT_LIMIT: usize = 1 << 20;

/// Octets of a report in HTML, beyond which rows of devices are left out; a browser takes seconds for more. The largest
/// stream of the corpus makes 3 MiB.
pub const HTML_BYTES_LIMIT: u64 = 32 << 20;

/// Rows of one table of a report in HTML: warnings, RAM blocks, sections, commands. The number of further ones is told.
pub const HTML_ROW_COUNT_LIMIT: usize = 1000;

/// Fields and elements of one device in a report in HTML, so that one device does not use up the page.
pub const HTML_DEVICE_ROW_COUNT_LIMIT: usize = 20_000;
