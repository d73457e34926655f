//! A nested image with properties says where they are.

#[derive(vmstate::Properties, Clone)]
#[properties(device = "d")]
struct Props {
    #[property(default = true)]
    wide: bool,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "inner", version = 1, props = Props)]
struct Inner {
    #[vmstate(gate = wide)]
    value: u8,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 1)]
struct Image {
    inner: Inner,
}

fn main() {}
