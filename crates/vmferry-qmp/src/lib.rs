//! QMP server and client for migration.
