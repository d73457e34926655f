//! QEMU has no count of 64 bits.

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Image {
    n: u64,
    #[vmstate(len = n, max = 4)]
    v: Vec<u8>,
}

fn main() {}
