//! A loader finds a subsection by the name of its parent.

#[derive(vmstate::VmState, Default)]
#[vmstate(name = "clock", version = 1)]
struct Clock {
    clock: u64,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Image {
    #[vmstate(subsection)]
    clock: Option<Clock>,
}

fn main() {}
