//! An image is a struct with named fields and no parameters.

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
enum Choice {
    A,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Tuple(u32);

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Generic<T> {
    value: T,
}

#[derive(vmstate::VmState)]
#[vmstate(version = 1)]
struct Nameless {
    value: u32,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "d")]
struct Versionless {
    value: u32,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1, min = 2)]
struct Inverted {
    value: u32,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1, minimum = 1)]
struct Misspelt {
    value: u32,
}

fn main() {}
