//! A type of the author's own derives `PropertyEnum`.

#[derive(Clone)]
enum Speed {
    Fast,
}

#[derive(vmstate::Properties)]
#[properties(device = "d")]
struct Props {
    #[property(default = Speed::Fast)]
    speed: Speed,
}

fn main() {}
