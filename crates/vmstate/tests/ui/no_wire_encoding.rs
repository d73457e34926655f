//! `usize` differs between hosts.

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Image {
    size: usize,
}

fn main() {}
