//! The nesting of images bounds the recursion of loaders, so it ends.

#[derive(vmstate::VmState, Default)]
#[vmstate(name = "d", version = 1)]
struct Image {
    n: u8,
    #[vmstate(len = n, max = 4)]
    more: Vec<Image>,
}

fn main() {}
