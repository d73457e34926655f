//! Properties are named fields of known types with a default.

#[derive(vmstate::Properties)]
struct Deviceless {
    #[property(default = true)]
    on: bool,
}

#[derive(vmstate::Properties)]
#[properties(device = "d")]
struct Undecided {
    on: bool,
}

#[derive(vmstate::Properties)]
#[properties(device = "d")]
struct Signed {
    #[property(default = 1)]
    level: i32,
}

#[derive(vmstate::Properties)]
#[properties(device = "d")]
struct Twice {
    #[property(name = "level", default = 1)]
    a: u8,
    #[property(name = "level", default = 1)]
    b: u8,
}

fn main() {}
