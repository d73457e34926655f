//! The commands, one module each.

pub(crate) mod analyze;
pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod edit;
pub(crate) mod machines;
pub(crate) mod man;
pub(crate) mod migrate;
pub(crate) mod predict;
pub(crate) mod rehearse;
pub(crate) mod run;
pub(crate) mod schema;
