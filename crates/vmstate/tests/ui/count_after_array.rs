//! A count must be read before what it counts.

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Image {
    #[vmstate(len = n, max = 4)]
    v: Vec<u8>,
    n: u32,
}

fn main() {}
