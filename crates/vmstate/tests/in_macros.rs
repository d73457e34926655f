//! Images and properties that a macro of the user declares: names in derived code are not those of the macro's caller.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;

use vmstate::{Input, Properties, Refused, VmState};

macro_rules! declare {
    ($(#[$on_struct:meta])* $name:ident { $($(#[$on_field:meta])* $field:ident: $ty:ty,)* }) => {
        #[derive(VmState, Debug, Default, Clone, PartialEq)]
        $(#[$on_struct])*
        struct $name {
            $($(#[$on_field])* $field: $ty,)*
        }
    };
}

macro_rules! properties {
    ($name:ident $device:literal { $($(#[$on_field:meta])* $field:ident: $ty:ty = $default:expr,)* }) => {
        #[derive(Properties, Debug, Clone)]
        #[properties(device = $device)]
        struct $name {
            $($(#[$on_field])* #[property(default = $default)] $field: $ty,)*
        }
    };
}

properties!(UartProps "uart" { migrate_fifo: bool = true, depth: u16 = 16, });

declare! { #[vmstate(name = "line", version = 2, min = 1)] LineImage { edges: u64, #[vmstate(since = 2)] level: u8, } }
declare! { #[vmstate(name = "uart/fifo", version = 1)] FifoImage { used: u8, #[vmstate(buffer, len = used, max = 16)] octets: Vec<u8>, } }

fn is_set(image: &UartImage, _: u32) -> bool {
    image.control != 0
}

fn is_small(image: &UartImage) -> Result<(), Refused> {
    if image.control < 9 { Ok(()) } else { Err(Refused::new("control is above 8")) }
}

declare! {
    #[vmstate(name = "uart", version = 3, min = 2, props = UartProps)]
    UartImage {
        control: u8,
        table: [[u16; 2]; 2],
        #[vmstate(check = is_small)] small: (),
        #[vmstate(when = is_set)] set: u32,
        #[vmstate(gate = migrate_fifo)] gated: u8,
        #[vmstate(since = 3)] late: u16,
        #[vmstate(unused = 2)] gone: (),
        #[vmstate(equal)] same: u8,
        #[vmstate(le)] bound: i32,
        line: LineImage,
        #[vmstate(pinned = 1)] pinned: LineImage,
        count: u8,
        #[vmstate(len = count, max = 4)] lines: Vec<LineImage>,
        #[vmstate(len = count, scale = 2, max = 8)] pairs: Vec<u8>,
        #[vmstate(bitmap, len = count, max = 64)] bits: Vec<u64>,
        #[vmstate(list, max = 4)] list: Vec<LineImage>,
        #[vmstate(tree, max = 4)] tree: BTreeMap<u64, LineImage>,
        holes: [Option<LineImage>; 2],
        #[vmstate(subsection, gate = migrate_fifo)] fifo: Option<FifoImage>,
    }
}

#[test]
fn all_forms_come_back() {
    let line = LineImage { edges: 5, level: 1 };
    let old = LineImage { edges: 6, level: 0 };
    let image = UartImage {
        control: 3,
        table: [[1, 2], [3, 4]],
        small: (),
        set: 7,
        gated: 8,
        late: 9,
        gone: (),
        same: 4,
        bound: 2,
        line: line.clone(),
        pinned: old,
        count: 1,
        lines: vec![line.clone()],
        pairs: vec![1, 2],
        bits: vec![1],
        list: vec![line.clone()],
        tree: BTreeMap::from([(3, line.clone())]),
        holes: [Some(line), None],
        fifo: Some(FifoImage { used: 2, octets: b"hi".to_vec() }),
    };
    let props = UartProps::default();
    assert_eq!(props.depth, 16);
    let mut octets = Vec::new();
    image.encode(&props, &mut octets).unwrap();
    let holes = [Some(LineImage::default()), None];
    let mut back = UartImage { same: 4, bound: 5, holes, ..UartImage::default() };
    back.decode(&props, 3, &mut Input::from_slice(&octets, 0)).unwrap();
    assert_eq!(back, image);
}
