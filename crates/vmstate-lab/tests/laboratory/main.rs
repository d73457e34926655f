//! The laboratory of this project: each recipe for changing a device, and each real break, as releases side by side.
//!
//! | folder | one file for each | source |
//! |---|---|---|
//! | `recipes` | way to change a device and keep migration | `docs/spec/compat.md` section 6 |
//! | `breaks` | migration that broke in a release of QEMU | `docs/spec/compat.md` section 8 |
//!
//! Releases are modules of a file, from old to new; each is what the program was in that release.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail by panicking")]

/// Machine types of a release, newest first, each with what sets it apart from the next newer one; then islands, if
/// any: `family! { "1.1": "1.1", "1.0" [("rtc", "migrate-alarm", "off")] }`.
macro_rules! family {
    (
        $release:literal: $($version:literal $([$($compat:tt),+ $(,)?])?),+ $(,)?
        $(; $($island:expr),+ $(,)?)?
    ) => {
        static FAMILY: vmstate::MachineFamily = vmstate::MachineFamily::new("board", $release, &[$(
            vmstate::MachineVersion { version: $version, compat: vmstate::compat![$($($compat),+)?] }
        ),+])
        $(.with_islands(&[$($island),+]))?;
    };
}

mod breaks;
mod figures;
mod pci;
mod plain;
mod recipes;
