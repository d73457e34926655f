//! Subsections are behind all fields.

#[derive(vmstate::VmState, Default)]
#[vmstate(name = "d/clock", version = 1)]
struct Clock {
    clock: u64,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Image {
    #[vmstate(subsection)]
    clock: Option<Clock>,
    a: u32,
}

fn main() {}
