//! A subsection is an image.

#[derive(vmstate::VmState)]
#[vmstate(name = "dev", version = 1)]
struct Image {
    #[vmstate(subsection)]
    a: Option<u32>,
}

fn main() {}
