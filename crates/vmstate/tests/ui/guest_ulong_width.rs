//! A target long has 32 or 64 bits.

use vmstate::codecs::GuestUlong;

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Image {
    a: GuestUlong<u16>,
    b: u128,
}

fn main() {}
