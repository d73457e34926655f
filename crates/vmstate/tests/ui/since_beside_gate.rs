//! A property and a version on one field: in QEMU that is a test.

#[derive(vmstate::Properties, Clone)]
#[properties(device = "d")]
struct Props {
    #[property(default = true)]
    late: bool,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "d", version = 2, props = Props)]
struct Image {
    #[vmstate(since = 2, gate = late)]
    late: u32,
}

fn main() {}
