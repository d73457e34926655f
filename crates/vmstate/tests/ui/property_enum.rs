//! The values of an enumeration have names of their own.

#[derive(vmstate::PropertyEnum, Clone)]
struct NoEnum;

#[derive(vmstate::PropertyEnum, Clone)]
enum Empty {}

#[derive(vmstate::PropertyEnum, Clone)]
enum WithFields {
    Fast,
    Other(u8),
}

#[derive(vmstate::PropertyEnum, Clone)]
enum Twice {
    Fast,
    #[property(name = "fast")]
    Quick,
}

#[derive(vmstate::PropertyEnum, Clone)]
enum Comma {
    #[property(name = "fast,quick")]
    Fast,
}

fn main() {}
