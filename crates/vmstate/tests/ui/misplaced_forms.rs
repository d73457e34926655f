//! Forms on fields that cannot have them, and forms without their limits.

use std::collections::BTreeMap;

#[derive(vmstate::VmState, Default)]
#[vmstate(name = "e", version = 1)]
struct Inner {
    v: u8,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Image {
    n: u32,
    #[vmstate(list)]
    a: Vec<Inner>,
    #[vmstate(list, max = 4)]
    b: [Inner; 4],
    #[vmstate(list, len = n, max = 4)]
    c: Vec<Inner>,
    #[vmstate(list = ring, max = 4)]
    d: Vec<Inner>,
    #[vmstate(tree, max = 4)]
    e: Vec<Inner>,
    f: BTreeMap<u64, Inner>,
    #[vmstate(tree)]
    g: BTreeMap<u64, Inner>,
    #[vmstate(tree, max = 4)]
    h: BTreeMap<u32, Inner>,
    #[vmstate(bitmap, len = n, max = 64)]
    i: Vec<u32>,
    #[vmstate(bitmap, max = 64)]
    j: Vec<u64>,
    #[vmstate(bitmap, buffer, len = n, max = 64)]
    k: Vec<u64>,
    #[vmstate(scale = 4)]
    l: [u8; 4],
    #[vmstate(scale = 4, max = 16)]
    m: Vec<u8>,
    #[vmstate(unused = 4, max = 16)]
    o: (),
    #[vmstate(unused = 4, len = n)]
    p: (),
    #[vmstate(unused = 4, len = q, max = 16)]
    q: (),
    #[vmstate(pinned = 1)]
    r: [u8; 4],
    #[vmstate(pinned = 1, equal)]
    s: Inner,
    #[vmstate(le, equal)]
    t: i32,
}

fn main() {}
