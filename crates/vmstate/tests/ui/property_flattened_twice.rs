//! Properties that share a namespace have different names.

#[derive(vmstate::Properties)]
#[properties(device = "port")]
struct PortProps {
    #[property(default = true)]
    wide: bool,
}

#[derive(vmstate::Properties)]
#[properties(device = "bus")]
struct BusProps {
    #[property(default = true)]
    wide: bool,
    #[property(flatten)]
    port: PortProps,
}

fn main() {}
