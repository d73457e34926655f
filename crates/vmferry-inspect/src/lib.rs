//! Reads, checks and compares migration streams.
