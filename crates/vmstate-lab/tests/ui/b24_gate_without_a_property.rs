//! Breaks 21 and 24, half done: the section is gated, and nobody made the property.

use vmstate::{Properties, VmState};

#[derive(Properties, Clone)]
#[properties(device = "ramfb")]
struct Props {
    #[property(default = true)]
    use_legacy_x86_rom: bool,
}

#[derive(VmState)]
#[vmstate(name = "ramfb", version = 1, props = Props, gate = x_migrate)]
struct Ramfb {
    address: u64,
}

fn main() {}
