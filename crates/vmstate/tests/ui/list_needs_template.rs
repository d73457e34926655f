//! Elements of a list come into being by loading: they cannot depend on what this side has.

#[derive(vmstate::VmState, Default)]
#[vmstate(name = "e", version = 1)]
struct Inner {
    pair: [Option<u8>; 2],
}

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Image {
    #[vmstate(list, max = 4)]
    a: Vec<Inner>,
}

fn main() {}
