//! What runs the guest: the soft CPU, anywhere, or KVM, where there is one.
//!
//! As text: `soft`, or `kvm` with options behind it, as in `kvm,dirty-ring-size=4096`.
//!
//! | option of `kvm` | meaning | without it |
//! |---|---|---|
//! | `dirty-ring-size=N` | track dirty pages by rings of N entries, one a vCPU; a power of two | by the dirty log |
//! | `manual-protect=off` | let each copy of the dirty log protect all that it reports, as on Linux before 5.0 | pages are protected piece by piece when they are sent |
//! | `device=PATH` | where KVM is | `/dev/kvm` |

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// What runs the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accel {
    /// The embedded RISC-V CPU.
    Soft,
    /// The kernel's virtual machines.
    Kvm(KvmOptions),
}

/// Smallest and largest dirty ring, in entries; a host may allow less.
pub const RING_ENTRIES: std::ops::RangeInclusive<u32> = 1024..=65_536;

/// How KVM is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvmOptions {
    /// The device.
    pub device: PathBuf,
    /// Entries of each vCPU's dirty ring, a power of two in [`RING_ENTRIES`]; the dirty log if `None`.
    pub dirty_ring_size: Option<u32>,
    /// Let the dirty log protect pages when they are sent, where the kernel can (`KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2`).
    pub manual_protect: bool,
}

impl Default for KvmOptions {
    fn default() -> Self {
        Self { device: PathBuf::from("/dev/kvm"), dirty_ring_size: None, manual_protect: true }
    }
}

impl Accel {
    /// Its name, without options.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Kvm(_) => "kvm",
        }
    }
}

impl fmt::Display for Accel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if let Self::Kvm(KvmOptions { device, dirty_ring_size, manual_protect }) = self {
            if let Some(entries) = dirty_ring_size {
                write!(f, ",dirty-ring-size={entries}")?;
            }
            if !manual_protect {
                f.write_str(",manual-protect=off")?;
            }
            if *device != KvmOptions::default().device {
                write!(f, ",device={}", device.display())?;
            }
        }
        Ok(())
    }
}

/// A text that names no accelerator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AccelError(String);

impl FromStr for Accel {
    type Err = AccelError;

    fn from_str(text: &str) -> Result<Self, AccelError> {
        let (name, options) = text.split_once(',').map_or((text, None), |(name, options)| (name, Some(options)));
        match (name, options) {
            ("soft", None) => Ok(Self::Soft),
            ("soft", Some(_)) => Err(AccelError("'soft' has no options".to_owned())),
            ("kvm", options) => {
                let mut kvm = KvmOptions::default();
                for option in options.into_iter().flat_map(|options| options.split(',')) {
                    match option.split_once('=') {
                        Some(("dirty-ring-size", size)) => {
                            let entries = size.parse().ok().filter(|entries: &u32| entries.is_power_of_two());
                            kvm.dirty_ring_size = Some(entries.ok_or_else(|| {
                                AccelError(format!("dirty-ring-size is '{size}'; accepted are powers of two"))
                            })?);
                        }
                        Some(("manual-protect", state @ ("on" | "off"))) => kvm.manual_protect = state == "on",
                        Some(("device", path)) if !path.is_empty() => kvm.device = path.into(),
                        _ => {
                            let text = format!(
                                "'kvm' has no option '{option}'; it has dirty-ring-size=N, manual-protect=on|off and device=PATH"
                            );
                            return Err(AccelError(text));
                        }
                    }
                }
                Ok(Self::Kvm(kvm))
            }
            _ => Err(AccelError(format!("there is no '{name}'; there are soft and kvm"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_what_is_read() {
        for text in [
            "soft",
            "kvm",
            "kvm,dirty-ring-size=4096",
            "kvm,manual-protect=off",
            "kvm,dirty-ring-size=1024,device=/dev/other",
        ] {
            assert_eq!(text.parse::<Accel>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_there_is() {
        for (text, part) in [
            ("tcg", "soft and kvm"),
            ("soft,a=1", "no options"),
            ("kvm,ring=1", "dirty-ring-size=N"),
            ("kvm,dirty-ring-size=1000", "powers of two"),
            ("kvm,dirty-ring-size=", "powers of two"),
            ("kvm,manual-protect=no", "manual-protect=on|off"),
            ("kvm,", "''"),
        ] {
            let error = text.parse::<Accel>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
