//! The loader of a nested image comes first.

#[derive(vmstate::VmState, Default)]
#[vmstate(name = "de", version = 1)]
struct Inner {
    value: u8,
}

#[derive(vmstate::VmState, Default)]
#[vmstate(name = "dev/x", version = 1)]
struct Extra {
    value: u8,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "dev", version = 1)]
struct Image {
    inner: Inner,
    #[vmstate(subsection)]
    extra: Option<Extra>,
}

fn main() {}
