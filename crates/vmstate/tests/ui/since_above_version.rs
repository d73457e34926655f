//! A field cannot be newer than its image.

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 2)]
struct Image {
    #[vmstate(since = 3)]
    late: u32,
}

fn main() {}
