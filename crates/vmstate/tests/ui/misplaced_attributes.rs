//! Attributes that say nothing where they stand.

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Image {
    #[vmstate(unused = 4)]
    a: u32,
    b: (),
    #[vmstate(buffer)]
    c: [u16; 4],
    #[vmstate(len = d, max = 4)]
    e: [u8; 4],
    #[vmstate(local, since = 1)]
    f: u32,
    #[vmstate(equal)]
    g: i64,
    #[vmstate(hint = "nothing")]
    h: u32,
    #[vmstate(check = test)]
    i: u32,
    #[vmstate(since = 1, since = 1)]
    j: u32,
    #[vmstate(sinse = 1)]
    k: u32,
    #[vmstate(pinned = 1)]
    l: u32,
    #[vmstate(le)]
    m: u32,
    #[vmstate(fd)]
    n: i32,
}

fn main() {}
