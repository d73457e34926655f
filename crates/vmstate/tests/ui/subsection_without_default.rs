//! A subsection that arrives without a template starts from its default.

#[derive(vmstate::VmState)]
#[vmstate(name = "dev/a", version = 1)]
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
