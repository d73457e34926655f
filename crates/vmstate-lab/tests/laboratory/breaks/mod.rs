//! Migrations that broke in releases of QEMU (`docs/spec/compat.md` section 8), in devices of the same shape.
//!
//! Releases are called as QEMU's, machine types too; the devices are as small as the break allows.

mod b10_e1000e_timer;
