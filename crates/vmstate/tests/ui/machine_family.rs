//! Machine types have numbers and stand newest first.

use vmstate::{MachineFamily, MachineVersion, compat};

const fn version(version: &'static str) -> MachineVersion {
    MachineVersion { version, compat: compat![] }
}

static UNNUMBERED: MachineFamily = MachineFamily::new("virt", "2.0", &[version("2.0-rc1")]);
static OLDEST_FIRST: MachineFamily = MachineFamily::new("virt", "2.0", &[version("1.9"), version("1.10")]);
static TWICE: MachineFamily = MachineFamily::new("virt", "2.0", &[version("2.0"), version("2.0")]);
static FROM_THE_FUTURE: MachineFamily = MachineFamily::new("virt", "2.0", &[version("2.1")]);
static BASELESS: MachineFamily = MachineFamily::new("virt", "2.1", &[version("2.1"), version("2.0.1"), version("1.9")]);
static MICRO_ZERO: MachineFamily = MachineFamily::new("virt", "2.0", &[version("2.0.0")]);
static EMPTY: MachineFamily = MachineFamily::new("virt", "2.0", &[]);

fn main() {}
