//! A nested image is pinned to a version that it loads.

#[derive(vmstate::VmState)]
#[vmstate(name = "e", version = 3, min = 2)]
struct Inner {
    v: u8,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Image {
    #[vmstate(pinned = 1)]
    a: Inner,
    #[vmstate(pinned = 2)]
    b: Inner,
    #[vmstate(pinned = 4)]
    c: Inner,
}

fn main() {}
