//! A gate needs properties.

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Image {
    #[vmstate(gate = level)]
    value: u8,
}

fn main() {}
