//! Limits on what a peer may ask for, each with its reason.
//!
//! No number from a stream reaches an allocation, an index or arithmetic before it met one of these. QEMU has fewer of
//! them (`docs/spec/stream.md` section 14); where a limit is ours, no stream that a QEMU wrote is known to pass it.

/// Octets of a name: a counted string has one octet of length (`docs/spec/stream.md` section 1).
pub const NAME_LIMIT: usize = 255;

/// Octets of the machine type's name in the configuration. QEMU takes any u32 and aborts on `ffffffff`
/// (`docs/spec/stream.md` section 3.3); real names are below 40 octets.
pub const MACHINE_NAME_LIMIT: u32 = 255;

/// Capability names in the configuration. QEMU 10.0 knows 22 capabilities and lists at most two of them.
pub const CAPABILITY_COUNT_LIMIT: u32 = 256;

/// Smallest target page: record flags use bits up to 0x200 (`docs/spec/ram.md` section A2).
pub const TARGET_PAGE_BITS_MIN: u32 = 10;

/// Largest target page, 1 MiB. The largest that a target of QEMU has is 64 KiB.
pub const TARGET_PAGE_BITS_MAX: u32 = 20;

/// RAM in one stream. Addresses of every architecture that QEMU emulates end below 2^57; the head room keeps sums of
/// two addresses far from 2^64.
pub const RAM_BYTES_LIMIT: u64 = 1 << 57;

/// RAM blocks in one stream. A machine has tens; one with 256 memory slots has hundreds.
pub const BLOCK_COUNT_LIMIT: usize = 4096;

/// Octets of a page compressed by the `compress` capability, beyond the page itself: zlib's bound for incompressible
/// data (5 octets per 16 KiB block, 6 of frame) with room to spare.
pub const COMPRESSED_PAGE_SLACK_BYTES: u32 = 1024;

/// Octets of the compressed payload of a multifd packet: the bound for 512 KiB of incompressible pages with room to
/// spare. QEMU's readers have a buffer of this size and do not check it (`docs/spec/multifd.md` section 5).
pub const MULTIFD_COMPRESSED_BYTES_LIMIT: u64 = 1 << 20;

/// Octets of a return-path message's payload (`docs/spec/postcopy.md` section 2).
pub const RETURN_PATH_PAYLOAD_LIMIT: u16 = 512;

/// Default for the octets of a package (`docs/spec/postcopy.md` section 3.2): device state is some MiB, with large
/// virtio or VFIO devices some hundred. The driver grows its buffer with the octets that arrive, never by the announced
/// number.
pub const PACKAGE_BYTES_LIMIT: u32 = 512 << 20;

/// Octets of the description that are parsed. QEMU's own tool stops at 10 MiB (`docs/spec/vmdesc.md` section A7); the
/// largest description in the corpus is 60 KiB.
pub const DESCRIPTION_BYTES_LIMIT: u32 = 16 << 20;

/// Nesting of objects inside the description. A structure in a structure takes two, and real ones nest five deep; the
/// limit keeps recursion off the end of a thread's stack.
pub const DESCRIPTION_DEPTH_LIMIT: usize = 64;
