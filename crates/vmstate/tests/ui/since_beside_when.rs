//! A test and a version on one field: QEMU consults the test alone.

fn test(_: &Image, version: u32) -> bool {
    version > 1
}

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 2)]
struct Image {
    #[vmstate(since = 2, when = test)]
    late: u32,
}

fn main() {}
