//! No count is written beside the elements of a `Vec`.

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Image {
    v: Vec<u8>,
}

fn main() {}
