//! A subsection may be absent.

#[derive(vmstate::VmState, Default)]
#[vmstate(name = "dev/a", version = 1)]
struct A {
    value: u8,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "dev", version = 1)]
struct Image {
    #[vmstate(subsection)]
    a: A,
}

fn main() {}
