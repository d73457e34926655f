//! The loader of an earlier subsection comes first.

#[derive(vmstate::VmState, Default)]
#[vmstate(name = "dev/a", version = 1)]
struct A {
    value: u8,
}

#[derive(vmstate::VmState, Default)]
#[vmstate(name = "dev/ab", version = 1)]
struct Ab {
    value: u8,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "dev", version = 1)]
struct Image {
    #[vmstate(subsection)]
    a: Option<A>,
    #[vmstate(subsection)]
    ab: Option<Ab>,
}

fn main() {}
