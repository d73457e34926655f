//! Limits on what a schema dump may cost, each with its reason.

/// Octets of a dump's text. The largest real one (QEMU 11.1 for aarch64) has 2.1 million.
pub const DUMP_BYTES_LIMIT: usize = 64 << 20;

/// Values in a dump's text. The largest real one has 90 thousand; one costs some 30 octets while it is read.
pub const DUMP_VALUE_COUNT_LIMIT: usize = 2 << 20;

/// Objects and lists inside one another. A nested image takes three; the deepest real dump has 21.
pub const DUMP_DEPTH_LIMIT: usize = 96;

/// Octets of one name in a dump. QEMU's longest field name has 60; id strings have at most 255.
pub const NAME_BYTES_LIMIT: usize = 1024;

/// Machine types in one dump: a family loses its oldest members in time.
pub const MACHINE_COUNT_LIMIT: usize = 1024;

/// Pairs of fields that are looked at to line up lists that differ. Beyond it, fields are paired in order by name.
pub const PAIR_COUNT_LIMIT: usize = 32 << 20;

/// Findings that are kept; further ones are counted and still decide the verdict.
pub const FINDING_COUNT_LIMIT: usize = 16_384;

/// Schemas that are checked against one another: the number of pairs grows with the square.
pub const RELEASE_COUNT_LIMIT: usize = 32;

/// Octets of a file with renames.
pub const RENAMES_BYTES_LIMIT: usize = 1 << 20;
