//! QEMU's migration stream as types.
