//! A count from a stream needs a limit.

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Image {
    n: u32,
    #[vmstate(len = n)]
    v: Vec<u8>,
}

fn main() {}
