//! The key of a tree has an order and a default.

use std::collections::BTreeMap;

#[derive(vmstate::VmState, Default)]
#[vmstate(name = "e", version = 1)]
struct Inner {
    v: u8,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Image {
    #[vmstate(tree, max = 4)]
    a: BTreeMap<Inner, Inner>,
}

fn main() {}
