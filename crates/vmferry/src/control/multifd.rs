//! What is set for multifd: how many channels, and what they do with pages.

use std::fmt;

/// How the payload of a channel is compressed (`multifd-compression`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MultifdCompression {
    /// Not at all: pages go from and into guest memory without a copy in this process.
    #[default]
    None,
    /// One zlib stream a channel.
    Zlib,
    /// One zstd frame a channel.
    Zstd,
}

impl MultifdCompression {
    /// All of them, in QEMU's order.
    pub const ALL: [Self; 3] = [Self::None, Self::Zlib, Self::Zstd];

    /// The word on the wire of QMP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Zlib => "zlib",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for MultifdCompression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who looks for zero pages (`zero-page-detection`, `docs/spec/ram.md` section B4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZeroPageDetection {
    /// Nobody: every page is sent with its content.
    None,
    /// The migration's thread, which sends them as records on the main channel. What QEMU up to 8.2 does and
    /// understands.
    Legacy,
    /// The threads of the channels, which list them in their packets; without multifd as `Legacy`.
    #[default]
    Multifd,
}

impl ZeroPageDetection {
    /// All of them, in QEMU's order.
    pub const ALL: [Self; 3] = [Self::None, Self::Legacy, Self::Multifd];

    /// The word on the wire of QMP.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Legacy => "legacy",
            Self::Multifd => "multifd",
        }
    }
}

impl fmt::Display for ZeroPageDetection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Parameters of multifd. They are read when a migration starts or starts to listen; a change acts on the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MultifdParameters {
    /// Channels beside the main one, 1 ..= 255; the same at both ends. Default 2.
    pub channels: u8,
    /// How their payload is compressed; the same at both ends. Default none.
    pub compression: MultifdCompression,
    /// Level of zlib at the source, 0 (none) ..= 9. Default 1.
    pub zlib_level: u8,
    /// Level of zstd at the source, 0 (zstd's own default) ..= 20. Default 1.
    pub zstd_level: u8,
}

impl MultifdParameters {
    /// Highest `multifd-zlib-level`.
    pub const ZLIB_LEVEL_MAX: u8 = 9;
    /// Highest `multifd-zstd-level`.
    pub const ZSTD_LEVEL_MAX: u8 = 20;

    /// What is wrong with the values, if anything.
    pub(crate) fn fault(self) -> Option<String> {
        let checks = [
            ("multifd-channels", self.channels, 1, u8::MAX),
            ("multifd-zlib-level", self.zlib_level, 0, Self::ZLIB_LEVEL_MAX),
            ("multifd-zstd-level", self.zstd_level, 0, Self::ZSTD_LEVEL_MAX),
        ];
        let wrong = checks.into_iter().find(|(_, found, min, max)| !(min..=max).contains(&found));
        wrong.map(|(name, found, min, max)| format!("{name} is {found}; accepted are {min} to {max}"))
    }
}

impl Default for MultifdParameters {
    fn default() -> Self {
        Self { channels: 2, compression: MultifdCompression::None, zlib_level: 1, zstd_level: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_outside_their_ranges_are_named() {
        let good = MultifdParameters::default();
        assert_eq!(good.fault(), None);
        let none = MultifdParameters { channels: 0, ..good };
        assert_eq!(none.fault().unwrap(), "multifd-channels is 0; accepted are 1 to 255");
        assert_eq!(MultifdParameters { channels: 255, zlib_level: 0, zstd_level: 20, ..good }.fault(), None);
        assert!(MultifdParameters { zlib_level: 10, ..good }.fault().unwrap().contains("0 to 9"));
        assert!(MultifdParameters { zstd_level: 21, ..good }.fault().unwrap().contains("0 to 20"));
    }
}
