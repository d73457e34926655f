//! What a nested image cannot have.

#[derive(vmstate::Properties)]
#[properties(device = "dev")]
struct Props {
    #[property(default = true)]
    extra: bool,
}

#[derive(vmstate::VmState, Default)]
#[vmstate(name = "part", version = 1, priority = vmstate::Priority::PciBus)]
struct Part {
    value: u8,
}

#[derive(vmstate::VmState, Default)]
#[vmstate(name = "dev/extra", version = 1, early)]
struct Extra {
    value: u8,
}

#[derive(vmstate::VmState)]
#[vmstate(name = "dev", version = 1, props = Props)]
struct Image {
    count: u8,
    #[vmstate(len = count, max = 2)]
    parts: Vec<Part>,
    part: Part,
    #[vmstate(subsection, gate = extra)]
    extra: Option<Extra>,
}

fn main() {}
