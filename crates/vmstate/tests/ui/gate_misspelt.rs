//! A gate names a field of the properties.

#[derive(vmstate::Properties, Clone)]
#[properties(device = "d")]
struct Props {
    #[property(default = true)]
    migrate_clk: bool,
}

#[derive(vmstate::VmState, Default)]
#[vmstate(name = "d/clock", version = 1)]
struct Clock {
    clock: u64,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1, props = Props)]
struct Image {
    #[vmstate(subsection, gate = migrate_clock)]
    clock: Option<Clock>,
}

fn main() {}
