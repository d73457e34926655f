//! One image of each kind, with a value that exercises it.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::{Deserialize, Serialize};
use vmstate::{Input, VmState};

/// What a benchmark does with an image of some kind.
pub(crate) trait Kind:
    VmState<Props = ()> + Serialize + for<'de> Deserialize<'de> + Default + Clone + PartialEq + Debug
{
    /// Its name in tables.
    const NAME: &'static str;

    /// A value with everything in it.
    fn full() -> Self;

    /// What a load starts from.
    fn template() -> Self {
        Self::default()
    }
}

/// The octets of an image.
pub(crate) fn encoded<K: Kind>() -> Vec<u8> {
    let mut octets = Vec::new();
    K::full().encode(&(), &mut octets).unwrap();
    octets
}

/// Decodes over `image`, with the octet of a footer behind the image, as in a stream.
pub(crate) fn decode_over<K: Kind>(image: &mut K, octets: &[u8]) {
    image.decode(&(), K::SCHEMA.version, &mut Input::from_slice(octets, 0)).unwrap();
}

macro_rules! kinds {
    ($($name:ident $text:literal { $($(#[$attribute:meta])* $field:ident: $ty:ty,)* } = $full:expr;)*) => {$(
        #[derive(VmState, Serialize, Deserialize, Debug, Default, Clone, PartialEq)]
        #[vmstate(name = "bench", version = 1)]
        pub(crate) struct $name {
            $($(#[$attribute])* $field: $ty,)*
        }

        impl Kind for $name {
            const NAME: &'static str = $text;

            fn full() -> Self {
                $full
            }
        }
    )*};
}

kinds! {
    Registers "20 registers" {
        a0: u32, a1: u32, a2: u32, a3: u32, b0: u64, b1: u64, b2: u64, b3: u64, c0: u16, c1: u16,
        c2: u16, c3: u16, d0: u8, d1: u8, d2: u8, d3: u8, e0: bool, e1: bool, e2: i32, e3: i64,
    } = Self { a0: 1, b1: u64::MAX, c2: 0xbeef, e0: true, e2: -5, ..Self::default() };
    Array "array of 256 u32" { values: [[u32; 32]; 8], } = Self { values: [[0xcafe_f00d; 32]; 8] };
    Structs "array of 32 images" { lines: [Line; 32], } = Self { lines: [Line::full(); 32] };
    Counted "counted array of 256 u32" {
        count: u16,
        #[vmstate(len = count, max = 1024)]
        values: Vec<u32>,
    } = Self { count: 256, values: vec![0xcafe_f00d; 256] };
    Buffer "counted buffer of 4096 octets" {
        count: u32,
        #[vmstate(buffer, len = count, max = 65536)]
        #[serde(with = "raw")]
        octets: Vec<u8>,
    } = Self { count: 4096, octets: vec![0xa5; 4096] };
    Bitmap "bitmap of 4096 bits" {
        bits: u32,
        #[vmstate(bitmap, len = bits, max = 65536)]
        words: Vec<u64>,
    } = Self { bits: 4096, words: vec![u64::MAX; 64] };
    List "list of 64 images" {
        #[vmstate(list, max = 1024)]
        lines: Vec<Line>,
    } = Self { lines: vec![Line::full(); 64] };
    Tree "tree of 64 images" {
        #[vmstate(tree, max = 1024)]
        lines: BTreeMap<u64, Line>,
    } = Self { lines: (0..64).map(|key| (key * 0x1_0000_0001, Line::full())).collect() };
    Subsections "4 subsections" {
        control: u32,
        #[vmstate(subsection)]
        one: Option<One>,
        #[vmstate(subsection)]
        two: Option<Two>,
        #[vmstate(subsection)]
        three: Option<Three>,
        #[vmstate(subsection)]
        four: Option<Four>,
    } = Self {
        control: 3,
        one: Some(One { value: 1 }),
        two: Some(Two { value: 2 }),
        three: Some(Three { value: 3 }),
        four: Some(Four { value: 4 }),
    };
}

/// Half of 32 pointers have something behind them.
#[derive(VmState, Serialize, Deserialize, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "bench", version = 1)]
pub(crate) struct Pointers {
    lines: [Option<Line>; 32],
}

impl Kind for Pointers {
    const NAME: &'static str = "32 pointers, 16 null";

    fn full() -> Self {
        Self { lines: std::array::from_fn(|at| at.is_multiple_of(2).then(Line::full)) }
    }

    fn template() -> Self {
        Self { lines: std::array::from_fn(|at| at.is_multiple_of(2).then(Line::default)) }
    }
}

#[derive(VmState, Serialize, Deserialize, Debug, Default, Clone, Copy, PartialEq)]
#[vmstate(name = "line", version = 1)]
pub(crate) struct Line {
    edges: u64,
    route: u32,
    level: bool,
}

impl Line {
    fn full() -> Self {
        Self { edges: 0x0123_4567_89ab_cdef, route: 77, level: true }
    }
}

macro_rules! subsections {
    ($($name:ident $text:literal),*) => {$(
        #[derive(VmState, Serialize, Deserialize, Debug, Default, Clone, PartialEq)]
        #[vmstate(name = $text, version = 1)]
        pub(crate) struct $name {
            value: u64,
        }
    )*};
}

subsections!(One "bench/one", Two "bench/two", Three "bench/three", Four "bench/four");

/// Octets as octets for the peer, too, which else writes them one by one.
mod raw {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(octets: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(octets)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        <&[u8]>::deserialize(deserializer).map(<[u8]>::to_vec)
    }
}
