//! What the machine asks of the kernel. Each mechanism that needs `unsafe` code is a module of its own.

pub(crate) mod host;
pub(crate) mod ioctls;
pub(crate) mod mapping;
pub(crate) mod slots;
