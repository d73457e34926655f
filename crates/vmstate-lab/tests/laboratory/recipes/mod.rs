//! Ways to change a device and keep migration (`docs/spec/compat.md` section 6).

mod r01_new_state;
