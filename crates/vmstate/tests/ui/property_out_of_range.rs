//! A default is a value of its property.

#[derive(vmstate::Properties)]
#[properties(device = "d")]
struct TooLarge {
    #[property(default = 256)]
    level: u8,
}

fn main() {}
