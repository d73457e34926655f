//! Images of real devices, encoded and decoded: the octets are those of `docs/spec/vmstate.md` section 5 and 6.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use vmstate::{Input, LoadError, Properties, Reason, VmState};

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "dev/x", version = 1)]
struct ExtraImage {
    value: u32,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "dev", version = 3)]
struct DevImage {
    register: u8,
    #[vmstate(subsection)]
    extra: Option<ExtraImage>,
}

fn encode<I: VmState>(image: &I, props: &I::Props) -> Vec<u8> {
    let mut octets = Vec::new();
    image.encode(props, &mut octets).unwrap();
    octets
}

fn decode<I: VmState>(mut image: I, props: &I::Props, version: u32, octets: &[u8]) -> Result<(I, usize), LoadError> {
    let mut input = Input::from_slice(octets, 0);
    image.decode(props, version, &mut input)?;
    Ok((image, input.buffered().len()))
}

#[test]
fn a_subsection_has_the_octets_of_the_specification() {
    let image = DevImage { register: 0x11, extra: Some(ExtraImage { value: 0xdead_beef }) };
    let octets = encode(&image, &());
    assert_eq!(octets, b"\x11\x05\x05dev/x\0\0\0\x01\xde\xad\xbe\xef");
    let (back, left) = decode(DevImage::default(), &(), 3, &octets).unwrap();
    assert_eq!((back, left), (image, 0));
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "scalars", version = 1)]
struct ScalarsImage {
    yes: bool,
    no: bool,
    a: i8,
    b: i16,
    c: i32,
    d: i64,
    e: u8,
    f: u16,
    g: u32,
    h: u64,
}

fn scalars() -> ScalarsImage {
    ScalarsImage {
        yes: true,
        no: false,
        a: -2,
        b: -300,
        c: -100_000,
        d: -1,
        e: 200,
        f: 0xbeef,
        g: 0xcafe_f00d,
        h: 0x0123_4567_89ab_cdef,
    }
}

#[test]
fn scalars_have_the_octets_of_the_specification() {
    let octets = encode(&scalars(), &());
    let expected = [
        0x01, 0x00, 0xfe, 0xfe, 0xd4, 0xff, 0xfe, 0x79, 0x60, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc8,
        0xbe, 0xef, 0xca, 0xfe, 0xf0, 0x0d, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
    ];
    assert_eq!(octets, expected);
    assert_eq!(decode(ScalarsImage::default(), &(), 1, &octets).unwrap().0, scalars());
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "arrays/element", version = 1)]
struct ElementImage {
    value: u16,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "arrays", version = 1)]
struct ArraysImage {
    matrix: [[u16; 2]; 2],
    pair: [ElementImage; 2],
    count: u8,
    #[vmstate(len = count, max = 4)]
    counted: Vec<ElementImage>,
}

#[test]
fn arrays_have_the_octets_of_the_specification() {
    let image = ArraysImage {
        matrix: [[1, 2], [3, 4]],
        pair: [ElementImage { value: 0xa }, ElementImage { value: 0xb }],
        count: 2,
        counted: vec![ElementImage { value: 7 }, ElementImage { value: 8 }],
    };
    let octets = encode(&image, &());
    assert_eq!(octets, [0, 1, 0, 2, 0, 3, 0, 4, 0, 0xa, 0, 0xb, 2, 0, 7, 0, 8]);
    assert_eq!(decode(ArraysImage::default(), &(), 1, &octets).unwrap().0, image);
}

#[derive(Properties, Debug, Clone)]
#[properties(device = "pl011")]
struct Pl011Props {
    #[property(name = "migrate-clk", default = true)]
    migrate_clk: bool,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "pl011/clock", version = 1)]
struct ClockImage {
    clk: u64,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "pl011", version = 2, props = Pl011Props)]
struct Pl011Image {
    #[vmstate(unused = 4)]
    readbuff: (),
    flags: u32,
    read_fifo: [u32; 16],
    #[vmstate(since = 2)]
    level: u16,
    #[vmstate(gate = migrate_clk)]
    gated: u8,
    #[vmstate(subsection, gate = migrate_clk)]
    clock: Option<ClockImage>,
}

#[test]
fn a_gate_decides_what_is_sent() {
    let image = Pl011Image { flags: 7, gated: 9, clock: Some(ClockImage { clk: 5 }), ..Default::default() };
    let on = encode(&image, &Pl011Props { migrate_clk: true });
    let off = encode(&image, &Pl011Props { migrate_clk: false });
    assert_eq!(off.len(), 4 + 4 + 64 + 2);
    assert_eq!(on.len(), off.len() + 1 + 2 + "pl011/clock".len() + 4 + 8);
    assert_eq!(on[..off.len()], off);
    let subsection = Pl011Image::SCHEMA.subsections[0];
    assert_eq!(subsection.gate, Some("migrate-clk"));
    assert_eq!(Pl011Image::SCHEMA.fields[4].gate, Some("migrate-clk"));
}

#[test]
fn a_stale_subsection_of_the_template_does_not_survive() {
    let template = Pl011Image { clock: Some(ClockImage { clk: 5 }), ..Default::default() };
    let props = Pl011Props { migrate_clk: false };
    let octets = encode(&Pl011Image::default(), &props);
    let (image, _) = decode(template, &props, 2, &octets).unwrap();
    assert_eq!(image.clock, None);
}

#[test]
fn truncation_names_the_field_and_its_offset() {
    let octets = encode(&scalars(), &());
    let error = decode(ScalarsImage::default(), &(), 1, &octets[..20]).unwrap_err();
    assert_eq!(error.to_string(), "g at byte 0x14: stream ends: needs 4 bytes, 0 left");
    let error = decode(ScalarsImage::default(), &(), 1, &octets[..12]).unwrap_err();
    assert_eq!(error.to_string(), "d at byte 0x9: stream ends: needs 8 bytes, 3 left");
    let props = Pl011Props::defaults();
    let octets = encode(&Pl011Image::default(), &props);
    let error = decode(Pl011Image::default(), &props, 2, &octets[..8 + 4 * 5 + 1]).unwrap_err();
    assert_eq!(error.to_string(), "read_fifo[5] at byte 0x1c: stream ends: needs 4 bytes, 1 left");
}

#[test]
fn a_bool_is_zero_or_one() {
    let mut octets = encode(&scalars(), &());
    octets[1] = 2;
    let error = decode(ScalarsImage::default(), &(), 1, &octets).unwrap_err();
    assert_eq!(error.to_string(), "no at byte 0x1: octet 0x02 is neither 0 nor 1, as a bool is");
}

fn is_long(image: &VersionedImage, version: u32) -> bool {
    version > 1 && image.flag != 0
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "versioned", version = 3, min = 1)]
struct VersionedImage {
    flag: u8,
    #[vmstate(since = 1)]
    always: u8,
    #[vmstate(since = 2)]
    two: u16,
    #[vmstate(since = 2)]
    too: u16,
    #[vmstate(since = 3)]
    three: u8,
    #[vmstate(buffer, when = is_long)]
    long: [u8; 3],
}

#[test]
fn older_versions_lack_fields_and_keep_the_template() {
    let template = VersionedImage { two: 0x2222, too: 0x3333, three: 4, ..Default::default() };
    let (image, left) = decode(template.clone(), &(), 1, &[1, 2]).unwrap();
    assert_eq!((image, left), (VersionedImage { flag: 1, always: 2, ..template.clone() }, 0));
    let (image, left) = decode(template.clone(), &(), 2, &[1, 2, 0, 5, 0, 6, 7, 8, 9]).unwrap();
    assert_eq!((image, left), (VersionedImage { flag: 1, always: 2, two: 5, too: 6, long: [7, 8, 9], ..template }, 0));
    let error = decode(VersionedImage::default(), &(), 4, &[0; 20]).unwrap_err();
    assert!(matches!(error.reason(), Reason::VersionTooNew { found: 4, newest: 3 }));
    let error = decode(VersionedImage::default(), &(), 0, &[0; 20]).unwrap_err();
    assert!(matches!(error.reason(), Reason::VersionTooOld { found: 0, oldest: 1 }));
}
