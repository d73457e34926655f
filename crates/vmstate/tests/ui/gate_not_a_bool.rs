//! A gate is on or off.

#[derive(vmstate::Properties, Clone)]
#[properties(device = "d")]
struct Props {
    #[property(default = 1)]
    level: u8,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1, props = Props)]
struct Image {
    #[vmstate(gate = level)]
    value: u8,
}

fn main() {}
