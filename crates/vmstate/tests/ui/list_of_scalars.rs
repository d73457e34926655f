//! QEMU's lists and trees hold structures.

use std::collections::BTreeMap;

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Image {
    #[vmstate(list, max = 4)]
    a: Vec<u8>,
    #[vmstate(tree, max = 4)]
    b: BTreeMap<u64, u8>,
}

fn main() {}
