//! The forms of fields, octet for octet as in `docs/spec/vmstate.md` section 5.8 where it has them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;

use vmstate::codecs::{Float64Bits, GuestUlong, TimerExpiry};
use vmstate::describe::{DescribeSink, DescribedField, Repeat};
use vmstate::parts::{ClockImage, ClockMuldivImage, Fifo8Image, PtimerImage};
use vmstate::{Input, LoadError, VmState};

fn encode<I: VmState<Props = ()>>(image: &I) -> Vec<u8> {
    let mut octets = Vec::new();
    image.encode(&(), &mut octets).unwrap();
    octets
}

fn decode<I: VmState<Props = ()>>(mut image: I, octets: &[u8]) -> Result<I, LoadError> {
    let mut input = Input::from_slice(octets, 0);
    image.decode(&(), I::SCHEMA.version, &mut input)?;
    assert_eq!(input.buffered(), [0_u8; 0], "octets that nobody read");
    Ok(image)
}

fn refusal<I: VmState<Props = ()>>(template: I, octets: &[u8]) -> String {
    match decode(template, octets) {
        Ok(_) => "loads".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn described<I: VmState<Props = ()>>(image: &I) -> Vec<DescribedField> {
    let mut octets = Vec::new();
    let mut sink = DescribeSink::new(I::SCHEMA, &mut octets);
    image.encode(&(), &mut sink).unwrap();
    let description = sink.finish();
    assert_eq!(description.octets(), octets.len() as u64, "{description:#?}");
    description.fields
}

/// Name, repetition, type and size of each entry.
fn entries(fields: &[DescribedField]) -> Vec<String> {
    let entry = |field: &DescribedField| {
        let repeat = match field.repeat {
            Repeat::Single => String::new(),
            Repeat::Array(elements) => format!("*{elements}"),
            Repeat::Element(index) => format!("[{index}]"),
        };
        format!("{}{repeat} {} {}", field.name, field.type_name, field.size)
    };
    fields.iter().map(entry).collect()
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[vmstate(name = "octet", version = 1)]
struct OctetImage {
    value: u8,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "lists", version = 1)]
struct ListsImage {
    #[vmstate(list, max = 3)]
    queue: Vec<OctetImage>,
    #[vmstate(list = qlist, max = 3)]
    list: Vec<OctetImage>,
}

fn octets_of(values: &[u8]) -> Vec<OctetImage> {
    values.iter().map(|value| OctetImage { value: *value }).collect()
}

#[test]
fn a_list_has_a_mark_before_each_element_and_one_behind_the_last() {
    let image = ListsImage { queue: octets_of(b"ab"), list: vec![] };
    let octets = encode(&image);
    assert_eq!(octets, [1, 0x61, 1, 0x62, 0, 0]);
    // What is there does not stay, as in a list that is emptied before a load.
    let template = ListsImage { queue: octets_of(b"xyz"), list: octets_of(b"z") };
    assert_eq!(decode(template, &octets).unwrap(), image);
    assert_eq!(entries(&described(&image)), ["queue qtailq 5", "list qlist 1"]);
}

#[test]
fn a_list_is_bounded_and_its_marks_are_known_ones() {
    let load = |octets: &[u8]| refusal(ListsImage::default(), octets);
    assert_eq!(load(&[1, 7, 1, 7, 1, 7, 0, 0]), "loads");
    assert_eq!(load(&[1, 7, 1, 7, 1, 7, 1, 7, 0, 0]), "queue at byte 0x7: count 4 is over the limit of 3");
    assert_eq!(load(&[2, 7, 0, 0]), "queue at byte 0x0: octet 0x02 neither announces an element nor ends the list");
    assert_eq!(load(&[1, 7, 1]), "queue[1].value at byte 0x3: stream ends: needs 1 bytes, 0 left");
    let long = ListsImage { queue: octets_of(b"abcd"), list: vec![] };
    let refused = long.encode(&(), &mut Vec::new()).unwrap_err();
    assert_eq!(refused.to_string(), "queue: holds 4 elements, over the limit of 3");
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "ring/extra", version = 1)]
struct RingExtraImage {
    value: u8,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "ring", version = 1)]
struct RingElementImage {
    value: u8,
}

/// A nested image of this name right before the subsection would claim it.
#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "ring", version = 1)]
struct RingImage {
    #[vmstate(list, max = 2)]
    elements: Vec<RingElementImage>,
    #[vmstate(subsection)]
    extra: Option<RingExtraImage>,
}

#[test]
fn the_end_of_a_list_keeps_its_elements_from_claiming_subsections() {
    let elements = vec![RingElementImage { value: 5 }];
    let image = RingImage { elements, extra: Some(RingExtraImage { value: 7 }) };
    let octets = encode(&image);
    assert_eq!(octets, b"\x01\x05\0\x05\x0aring/extra\0\0\0\x01\x07");
    assert_eq!(decode(RingImage::default(), &octets).unwrap(), image);
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[vmstate(name = "key", version = 1)]
struct KeyImage {
    key: u32,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "trees", version = 1)]
struct TreesImage {
    #[vmstate(tree, max = 3)]
    tree: BTreeMap<KeyImage, OctetImage>,
    #[vmstate(tree, max = 3)]
    direct: BTreeMap<u64, OctetImage>,
}

#[test]
fn a_tree_has_the_octets_of_the_specification() {
    let value = |value| OctetImage { value };
    let image = TreesImage {
        tree: BTreeMap::from([(KeyImage { key: 5 }, value(0x55)), (KeyImage { key: 3 }, value(0x33))]),
        direct: BTreeMap::from([(9, value(0x55))]),
    };
    let octets = encode(&image);
    let expected = [
        &[0, 0, 0, 2, 1, 0, 0, 0, 3, 0x33, 1, 0, 0, 0, 5, 0x55, 0][..],
        &[0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0x55, 0],
    ];
    assert_eq!(octets, expected.concat());
    let template = TreesImage { direct: BTreeMap::from([(1, value(1))]), ..TreesImage::default() };
    assert_eq!(decode(template, &octets).unwrap(), image);
    assert_eq!(entries(&described(&image)), ["tree gtree 17", "direct gtree 15"]);
}

#[test]
fn a_tree_has_as_many_nodes_as_it_says_and_no_key_twice() {
    let load = |octets: &[u8]| refusal(TreesImage::default(), octets);
    let node = [1, 0, 0, 0, 3, 0x33];
    let empty = [0, 0, 0, 0, 0];
    let tree = |count: u8, nodes: &[u8]| [&[0, 0, 0, count], nodes, &[0], &empty].concat();
    assert_eq!(load(&tree(1, &node)), "loads");
    assert_eq!(load(&tree(2, &node)), "tree[1] at byte 0xa: 1 nodes, but the tree says it has 2");
    assert_eq!(load(&tree(0, &node)), "tree at byte 0x4: more nodes than the 0 that the tree says it has");
    assert_eq!(load(&tree(2, &[node, node].concat())), "tree[1] at byte 0xb: key comes twice");
    assert_eq!(load(&tree(4, &node)), "tree at byte 0x0: count 4 is over the limit of 3");
    assert_eq!(load(&[0xff; 4]), "tree at byte 0x0: count 4294967295 is over the limit of 3");
    let mut marked = tree(1, &node);
    marked[4] = 0x30;
    assert!(load(&marked).starts_with("tree[0] at byte 0x4: octet 0x30"), "{}", load(&marked));
}

fn second_is_odd(image: &NestedImage, version: u32) -> bool {
    version == 2 && image.y % 2 == 1
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "nested", version = 2, min = 1)]
struct NestedImage {
    x: u8,
    #[vmstate(since = 2)]
    y: u8,
    #[vmstate(when = second_is_odd)]
    z: u8,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "pins", version = 1)]
struct PinsImage {
    newest: NestedImage,
    #[vmstate(pinned = 1)]
    old: NestedImage,
    #[vmstate(pinned = 2)]
    odd: NestedImage,
}

#[test]
fn a_pinned_image_has_the_fields_of_its_version() {
    let nested = NestedImage { x: 1, y: 2, z: 0 };
    let odd = NestedImage { x: 3, y: 5, z: 7 };
    let image = PinsImage { newest: nested.clone(), old: NestedImage { y: 9, ..nested }, odd };
    let octets = encode(&image);
    assert_eq!(octets, [1, 2, 1, 3, 5, 7]);
    let template = PinsImage { old: NestedImage { x: 0, y: 9, z: 0 }, ..PinsImage::default() };
    assert_eq!(decode(template, &octets).unwrap(), image);
    assert_eq!(entries(&described(&image)), ["newest struct 2", "old vstruct 1", "odd vstruct 3"]);
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "plain", version = 2, min = 0)]
struct PlainImage {
    x: u8,
    #[vmstate(since = 1)]
    y: u16,
    #[vmstate(since = 2)]
    z: u32,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "sizes", version = 1)]
struct SizesImage {
    #[vmstate(pinned = 0)]
    none: PlainImage,
    #[vmstate(pinned = 1)]
    one: PlainImage,
}

#[test]
fn the_size_of_a_pinned_image_is_that_of_its_version() {
    assert_eq!(SizesImage::SCHEMA.octets(), Some(4));
    assert_eq!(encode(&SizesImage::default()).len(), 4);
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "word", version = 1)]
struct WordImage {
    value: u16,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "pointers", version = 1)]
struct PointersImage {
    structs: [Option<WordImage>; 3],
    words: [Option<u32>; 2],
    count: u8,
    #[vmstate(len = count, max = 4)]
    counted: Vec<Option<u16>>,
}

fn word(value: u16) -> Option<WordImage> {
    Some(WordImage { value })
}

fn pointers() -> PointersImage {
    let structs = [word(0x1111), None, word(0x3333)];
    PointersImage { structs, words: [None, Some(0x4444_5555)], count: 2, counted: vec![Some(7), None] }
}

/// The same holes, without values.
fn holes() -> PointersImage {
    PointersImage { structs: [word(0), None, word(0)], words: [None, Some(0)], count: 0, counted: vec![Some(0), None] }
}

#[test]
fn absent_pointers_are_marks_where_the_template_has_none() {
    let octets = encode(&pointers());
    let structs = [0x11, 0x11, 0x30, 0x33, 0x33];
    assert_eq!(octets, [&structs[..], &[0x30, 0x44, 0x44, 0x55, 0x55, 2, 0, 7, 0x30]].concat());
    assert_eq!(decode(holes(), &octets).unwrap(), pointers());
    let expected = [
        "structs[0] struct 2",
        "structs[1] nullptr 1",
        "structs[2] struct 2",
        "words[0] nullptr 1",
        "words[1] uint32 4",
        "count uint8 1",
        "counted[0] uint16 2",
        "counted[1] nullptr 1",
    ];
    assert_eq!(entries(&described(&pointers())), expected);
}

#[test]
fn a_pointer_where_the_template_has_none_is_refused() {
    let octets = encode(&pointers());
    let template = PointersImage { structs: [None, None, word(0)], ..holes() };
    let text = "structs[0] at byte 0x0: octet 0x11 is not the mark of an element that is absent, as it is here";
    assert_eq!(refusal(template, &octets), text);
    let template = PointersImage { counted: vec![Some(0)], ..holes() };
    assert!(refusal(template, &octets).starts_with("counted[1] at byte 0xd: the device has no place"));
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "pointers/sub", version = 1)]
struct PointersSubImage {
    pair: [Option<u8>; 2],
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "pointers", version = 1)]
struct PointersParentImage {
    #[vmstate(subsection)]
    sub: Option<PointersSubImage>,
}

#[test]
fn pointers_in_a_subsection_need_a_template() {
    let sub = Some(PointersSubImage { pair: [Some(5), None] });
    let image = PointersParentImage { sub };
    let octets = encode(&image);
    assert!(refusal(PointersParentImage::default(), &octets).contains("the device has no place"));
    assert_eq!(decode(image.clone(), &octets).unwrap(), image);
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "bits", version = 1)]
struct BitsImage {
    bits: i32,
    #[vmstate(bitmap, len = bits, max = 65)]
    map: Vec<u64>,
}

#[test]
fn a_bitmap_has_the_octets_of_the_specification() {
    let first = 0x8000_0000_0000_0003;
    for (bits, words, hex) in [
        (65, vec![first, 1], "0000004180000000000000030000000000000001"),
        (64, vec![first], "000000408000000000000003"),
        // Stray bits are sent.
        (1, vec![first], "000000018000000000000003"),
        (0, vec![], "00000000"),
    ] {
        let image = BitsImage { bits, map: words };
        let octets = encode(&image);
        assert_eq!(octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>(), hex);
        assert_eq!(decode(BitsImage { bits: 3, map: vec![5; 9] }, &octets).unwrap(), image);
        let size = octets.len() - 4;
        assert_eq!(entries(&described(&image)), ["bits int32 4".to_owned(), format!("map bitmap {size}")]);
    }
}

#[test]
fn a_bitmap_is_bounded_in_bits() {
    let load = |octets: &[u8]| refusal(BitsImage::default(), octets);
    assert_eq!(load(&[0, 0, 0, 66]), "map at byte 0x4: count 66 is over the limit of 65");
    assert_eq!(load(&[0xff; 4]), "map at byte 0x4: count -1 is negative");
    assert_eq!(load(&[0, 0, 0, 65, 1]), "map[0] at byte 0x4: stream ends: needs 8 bytes, 1 left");
    let save =
        |bits, words| BitsImage { bits, map: vec![0; words] }.encode(&(), &mut Vec::new()).unwrap_err().to_string();
    assert_eq!(save(65, 1), "map: holds 1 words, but its 65 bits need 2");
    assert_eq!(save(66, 2), "map: count is over the limit of 65");
    assert_eq!(save(-1, 0), "map: count -1 is negative");
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "buffers", version = 1)]
struct BuffersImage {
    #[vmstate(buffer)]
    whole: [u8; 4],
    #[vmstate(buffer)]
    first: [u8; 1],
    #[vmstate(buffer)]
    from_3: [u8; 1],
    #[vmstate(unused = 2)]
    gone: (),
    len: u32,
    #[vmstate(buffer, len = len, max = 8)]
    variable: Vec<u8>,
}

#[test]
fn buffers_have_the_octets_of_the_specification() {
    let image = BuffersImage {
        whole: [0xa0, 0xa1, 0xa2, 0xa3],
        first: [0xa0],
        from_3: [0xa3],
        gone: (),
        len: 3,
        variable: vec![1, 2, 3],
    };
    let octets = encode(&image);
    assert_eq!(octets, [0xa0, 0xa1, 0xa2, 0xa3, 0xa0, 0xa3, 0, 0, 0, 0, 0, 3, 1, 2, 3]);
    assert_eq!(decode(BuffersImage::default(), &octets).unwrap(), image);
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "counts", version = 1)]
struct CountsImage {
    octet: u8,
    #[vmstate(len = octet, max = 2)]
    by_octet: Vec<WordImage>,
    word: u16,
    #[vmstate(len = word, max = 2)]
    by_word: Vec<WordImage>,
    signed: i32,
    #[vmstate(len = signed, max = 2)]
    by_signed: Vec<WordImage>,
    long: u32,
    #[vmstate(len = long, max = 2)]
    by_long: Vec<WordImage>,
    rows: u32,
    #[vmstate(len = rows, scale = 3, max = 6)]
    cells: Vec<u16>,
    sectors: u32,
    #[vmstate(buffer, len = sectors, scale = 4, max = 9)]
    data: Vec<u8>,
    holes: u32,
    #[vmstate(unused = 5, len = holes, max = 2)]
    gone: (),
}

fn counts() -> CountsImage {
    let words = |count: u16| (0..count).map(|value| WordImage { value }).collect();
    CountsImage {
        octet: 1,
        by_octet: words(1),
        word: 2,
        by_word: words(2),
        signed: 1,
        by_signed: words(1),
        long: 0,
        by_long: words(0),
        rows: 2,
        cells: vec![1, 2, 3, 4, 5, 6],
        sectors: 2,
        data: vec![9; 8],
        holes: 2,
        gone: (),
    }
}

#[test]
fn counts_of_every_width_and_their_multiples() {
    let octets = encode(&counts());
    let expected = [
        &[1, 0, 0][..],
        &[0, 2, 0, 0, 0, 1],
        &[0, 0, 0, 1, 0, 0],
        &[0, 0, 0, 0],
        &[0, 0, 0, 2, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6],
        &[0, 0, 0, 2, 9, 9, 9, 9, 9, 9, 9, 9],
        &[0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    assert_eq!(octets, expected.concat());
    assert_eq!(decode(CountsImage::default(), &octets).unwrap(), counts());
    let described = entries(&described(&counts()));
    assert_eq!(
        described[7..],
        [
            "rows uint32 4",
            "cells*6 uint16 2",
            "sectors uint32 4",
            "data buffer 8",
            "holes uint32 4",
            "unused*2 unused_buffer 5"
        ]
    );
}

#[test]
fn multiples_are_bounded_as_a_whole() {
    let with = |index: usize, value: u8| {
        let mut octets = encode(&CountsImage::default());
        octets[index] = value;
        refusal(CountsImage::default(), &octets)
    };
    assert_eq!(with(14, 3), "cells at byte 0xf: count 9 is over the limit of 6");
    assert_eq!(with(11, 0xff), "cells at byte 0xf: count 12834570240 is over the limit of 6");
    assert_eq!(with(18, 3), "data at byte 0x13: count 12 is over the limit of 9");
    assert_eq!(with(22, 3), "unused at byte 0x17: count 3 is over the limit of 2");
    assert_eq!(with(22, 1), "unused at byte 0x17: stream ends: needs 5 bytes, 0 left");
    let wrong = CountsImage { rows: 1, ..counts() };
    let refused = wrong.encode(&(), &mut Vec::new()).unwrap_err();
    assert_eq!(refused.to_string(), "cells: holds 6 elements, but its count says 3");
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "bounds", version = 1)]
struct BoundsImage {
    #[vmstate(le)]
    count: i32,
    #[vmstate(len = count, max = 8)]
    elements: Vec<u8>,
    #[vmstate(equal)]
    a: u8,
    #[vmstate(equal)]
    b: u16,
    #[vmstate(equal)]
    c: i32,
    #[vmstate(equal)]
    d: u32,
    #[vmstate(equal, hint = "same model")]
    e: u64,
}

#[test]
fn a_bounded_value_is_from_zero_to_that_of_the_template() {
    let template = BoundsImage { count: 2, elements: vec![0; 2], a: 1, b: 2, c: 3, d: 4, e: 5 };
    let mut octets = encode(&template);
    assert_eq!(octets.len(), 4 + 2 + 1 + 2 + 4 + 4 + 8);
    let names: Vec<_> = BoundsImage::SCHEMA.fields.iter().map(|field| field.kind.type_name()).collect();
    assert_eq!(
        names,
        ["int32 le", "uint8", "uint8 equal", "uint16 equal", "int32 equal", "uint32 equal", "int64 equal"]
    );
    octets[3] = 1;
    octets.remove(4);
    let expected = BoundsImage { count: 1, elements: vec![0], ..template.clone() };
    assert_eq!(decode(template.clone(), &octets).unwrap(), expected);
    octets[3] = 3;
    assert_eq!(refusal(template.clone(), &octets), "count at byte 0x0: value 3 is not from 0 to 2, as it must be here");
    octets[0] = 0xff;
    assert!(refusal(template, &octets).contains("value -16777213 is not from 0 to 2"));
    assert!(BoundsImage::SCHEMA.needs_template());
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "codecs", version = 1)]
struct CodecsImage {
    timer: TimerExpiry,
    timers: [TimerExpiry; 2],
    float: Float64Bits,
    narrow: GuestUlong<u32>,
    wide: [GuestUlong<u64>; 2],
    low: u64,
    high: u64,
}

#[test]
fn timers_floats_and_target_longs() {
    let image = CodecsImage {
        timer: TimerExpiry(Some(0x0102)),
        timers: [TimerExpiry(None), TimerExpiry(Some(0))],
        float: Float64Bits::of(-1.5),
        narrow: GuestUlong(0xcafe_f00d),
        wide: [GuestUlong(1), GuestUlong(2)],
        low: 3,
        high: 4,
    };
    let octets = encode(&image);
    let number = |value: u64| value.to_be_bytes();
    let expected = [
        &number(0x0102)[..],
        &[0xff; 8],
        &[0; 8],
        &[0xbf, 0xf8, 0, 0, 0, 0, 0, 0],
        &[0xca, 0xfe, 0xf0, 0x0d],
        &number(1),
        &number(2),
        &number(3),
        &number(4),
    ];
    assert_eq!(octets, expected.concat());
    assert_eq!(decode(CodecsImage::default(), &octets).unwrap(), image);
    assert_eq!(Float64Bits::of(-1.5).value(), -1.5);
    let expected = [
        "timer timer 8",
        "timers*2 timer 8",
        "float CPU_Double_U 8",
        "narrow uint32 4",
        "wide*2 uint64 8",
        "low uint64 8",
        "high uint64 8",
    ];
    assert_eq!(entries(&described(&image)), expected);
}

#[test]
fn an_expiry_that_means_not_pending_is_not_sent() {
    let image = CodecsImage { timer: TimerExpiry(Some(u64::MAX)), ..CodecsImage::default() };
    let refused = image.encode(&(), &mut Vec::new()).unwrap_err().to_string();
    assert!(refused.starts_with("timer: expiry of 2^64 - 1 ns"), "{refused}");
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "parts", version = 1)]
struct PartsImage {
    clock: ClockImage,
    countdown: PtimerImage,
    fifo: Fifo8Image,
}

#[test]
fn parts_have_the_sizes_that_qemu_describes() {
    let muldiv = Some(ClockMuldivImage { multiplier: 2, divider: 3 });
    let image = PartsImage {
        clock: ClockImage { period: 1, muldiv },
        countdown: PtimerImage { enabled: 1, limit: 2, timer: TimerExpiry(None), ..PtimerImage::default() },
        fifo: Fifo8Image::holding(b"hi", 16).unwrap(),
    };
    let octets = encode(&image);
    // The subsection's header is 05, a length, 12 octets of name and the version.
    assert_eq!(octets.len(), 8 + (2 + 12 + 4 + 8) + 53 + (16 + 4 + 4));
    let template = PartsImage { fifo: Fifo8Image { capacity: 16, ..Fifo8Image::default() }, ..PartsImage::default() };
    assert_eq!(decode(template, &octets).unwrap(), image);
}

#[test]
fn a_fifo_gives_back_what_is_in_it_and_refuses_what_is_none() {
    let fifo = |head, num| Fifo8Image { capacity: 4, data: b"abcd".to_vec(), head, num }.octets();
    assert_eq!(fifo(0, 0).unwrap(), b"");
    assert_eq!(fifo(3, 3).unwrap(), b"dab");
    assert_eq!(fifo(4, 1).unwrap_err().to_string(), "FIFO begins at 4, accepted are positions below 4");
    assert_eq!(fifo(0, 5).unwrap_err().to_string(), "FIFO holds 5 octets, accepted are up to 4");
    assert_eq!(Fifo8Image::holding(b"hi", 16).unwrap().octets().unwrap(), b"hi");
    assert!(Fifo8Image::holding(b"hi", 1).is_err());
}

/// Every form beside the others, for the generated tests.
#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "all forms", version = 2, min = 1)]
struct AllFormsImage {
    counts: CountsImage,
    #[vmstate(le)]
    limit: i32,
    #[vmstate(equal)]
    model: u32,
    #[vmstate(list, max = 3)]
    queue: Vec<OctetImage>,
    #[vmstate(tree, max = 3)]
    tree: BTreeMap<KeyImage, OctetImage>,
    #[vmstate(pinned = 1)]
    old: NestedImage,
    structs: [Option<WordImage>; 3],
    bits: u32,
    #[vmstate(bitmap, len = bits, max = 100)]
    map: Vec<u64>,
    groups: i32,
    #[vmstate(len = groups, scale = 2, max = 5)]
    cells: Vec<u16>,
    holes: u8,
    #[vmstate(unused = 3, len = holes, max = 4)]
    gone: (),
    #[vmstate(since = 2)]
    timer: TimerExpiry,
    #[vmstate(since = 2, list = qlist, max = 2)]
    late: Vec<WordImage>,
    fifo: Fifo8Image,
}

fn template() -> AllFormsImage {
    AllFormsImage {
        limit: 7,
        model: 9,
        structs: [word(0), None, word(0)],
        fifo: Fifo8Image { capacity: 5, data: vec![0; 5], ..Fifo8Image::default() },
        ..AllFormsImage::default()
    }
}

fn sample() -> AllFormsImage {
    AllFormsImage {
        counts: counts(),
        limit: 3,
        queue: octets_of(b"ab"),
        tree: BTreeMap::from([(KeyImage { key: 1 }, OctetImage { value: 2 })]),
        old: NestedImage { x: 1, y: 0, z: 0 },
        structs: [word(1), None, word(3)],
        bits: 70,
        map: vec![1, 2],
        groups: 2,
        cells: vec![1, 2, 3, 4],
        holes: 4,
        timer: TimerExpiry(Some(1)),
        late: vec![WordImage { value: 1 }],
        fifo: Fifo8Image::holding(b"abc", 5).unwrap(),
        ..template()
    }
}

vmstate::vmstate_tests! {
    mod all_forms_image: AllFormsImage {
        props: (),
        template: template(),
        samples: [template(), sample()],
        schema: "tests/schemas/all_forms.schema",
    }
}
