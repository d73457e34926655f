//! An optional field is a subsection, or has a test.

#[derive(vmstate::VmState)]
#[vmstate(name = "dev", version = 1)]
struct Image {
    a: Option<u32>,
}

fn main() {}
