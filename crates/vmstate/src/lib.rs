//! Declared device state for virtual machines: versioned, checkable, loadable for years.
