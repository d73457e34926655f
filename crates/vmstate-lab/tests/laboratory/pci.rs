//! Configuration space of a PCI device, as far as migration looks at it (`docs/spec/compat.md` section 6, R8).
//!
//! A guest reads all of it, and writes the bits that are writable. A load compares the bits that are not: they are the
//! hardware that the guest found when it looked, and cannot change under it. So a bit that becomes writable is taken
//! from an older release, which had it fixed, and not the other way round.

use vmstate::{Migrate, Refused, Versions, VmState};
use vmstate_lab::{Guest, Observation, Unsupported};

/// Octets of the space: enough for the breaks.
pub(crate) const CONFIG_BYTES: usize = 64;

/// What is sent: the space as it is.
#[derive(VmState, Clone)]
#[vmstate(name = "pci", version = 1)]
pub(crate) struct PciImage {
    #[vmstate(buffer)]
    config: [u8; CONFIG_BYTES],
}

/// A device of which only the configuration space matters.
#[derive(Clone)]
pub(crate) struct PciDevice {
    config: [u8; CONFIG_BYTES],
    /// Bits that the guest may write.
    writable: [u8; CONFIG_BYTES],
}

impl PciDevice {
    /// A device with these octets at reset; the others are 0, and fixed.
    pub(crate) fn new(fixed: &[(usize, u8)], writable: &[(usize, u8)]) -> Self {
        let mut device = Self { config: [0; CONFIG_BYTES], writable: [0; CONFIG_BYTES] };
        for (at, octet) in fixed.iter().chain(writable) {
            device.config[*at] = *octet;
        }
        for (at, _) in writable {
            device.writable[*at] = 0xff;
        }
        device
    }
}

impl Migrate for PciDevice {
    type Image = PciImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<PciImage, Refused> {
        let Self { config, writable: _ } = self;
        Ok(PciImage { config: *config })
    }

    fn template(&self) -> Result<PciImage, Refused> {
        self.snapshot()
    }

    fn restore(&mut self, image: PciImage, _: &Versions) -> Result<(), Refused> {
        let PciImage { config } = image;
        for (at, found) in config.iter().enumerate() {
            let (here, fixed) = (self.config[at], !self.writable[at]);
            if (found ^ here) & fixed != 0 {
                let text = format!("bad PCI config data at {at:#x}: {found:#04x}, and {here:#04x} here");
                return Err(Refused::new(text));
            }
        }
        self.config = config;
        Ok(())
    }
}

/// Registers are called by their offset: `0x34`.
impl Guest for PciDevice {
    fn act(&mut self, register: &str, value: u64) -> Result<(), Unsupported> {
        let at = register.strip_prefix("0x").and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let (Some(at), Ok(value)) = (at.filter(|at| *at < CONFIG_BYTES), u8::try_from(value)) else {
            return Err(Unsupported::register(register));
        };
        if value & !self.writable[at] != 0 {
            return Err(Unsupported::value(register, value.into()));
        }
        self.config[at] = (self.config[at] & !self.writable[at]) | value;
        Ok(())
    }

    fn observe(&self) -> Observation {
        let octets = self.config.iter().enumerate();
        octets.fold(Observation::new(), |seen, (at, octet)| seen.with(format!("{at:#x}"), format_args!("{octet:#04x}")))
    }
}
