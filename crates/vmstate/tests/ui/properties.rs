//! Properties are named fields of known types with a default, and each name stands once.

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
struct Fractional {
    #[property(default = 1.5)]
    level: f32,
}

#[derive(vmstate::Properties)]
#[properties(device = "d")]
struct Referring {
    #[property(default = "x")]
    level: &'static str,
}

#[derive(vmstate::Properties)]
#[properties(device = "d")]
struct Unlisted {
    #[property(default = 1)]
    levels: Vec<u8>,
}

#[derive(vmstate::Properties)]
#[properties(device = "d")]
struct Twice {
    #[property(name = "level", default = 1)]
    a: u8,
    #[property(name = "level", default = 1)]
    b: u8,
}

#[derive(vmstate::Properties)]
#[properties(device = "d")]
struct Aliased {
    #[property(default = 1)]
    a: u8,
    #[property(default = 1, old_name = "a")]
    b: u8,
}

#[derive(vmstate::Properties)]
#[properties(device = "d", removed("a", "since 2.0"))]
struct Back {
    #[property(default = 1)]
    a: u8,
}

#[derive(vmstate::Properties)]
#[properties(device = "d", removed("a"))]
struct Unexplained {
    #[property(default = 1)]
    b: u8,
}

#[derive(vmstate::Properties)]
#[properties(device = "d", parents = ["p", "d"])]
struct OwnParent {
    #[property(default = 1)]
    b: u8,
}

#[derive(vmstate::Properties)]
#[properties(device = "d")]
struct Misspelt {
    #[property(default = 1, alais = "c")]
    b: u8,
}

#[derive(vmstate::Properties)]
#[properties(device = "d")]
struct Nested {
    #[property(default = [[1], [2]])]
    rows: Vec<Vec<u8>>,
}

fn main() {}
