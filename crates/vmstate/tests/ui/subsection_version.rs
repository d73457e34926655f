//! QEMU's loader keeps 8 bits of a subsection's version.

#[derive(vmstate::VmState, Default)]
#[vmstate(name = "dev/a", version = 256)]
struct A {
    value: u8,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "dev", version = 1)]
struct Image {
    #[vmstate(subsection)]
    a: Option<A>,
}

fn main() {}
