//! Images with any values: runs against fields coded one by one, and any change of any octet.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use vmstate::{Input, LoadError, VmState, Wire};

/// Coded in three runs, with what breaks them between.
#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "mixed", version = 4, min = 1)]
struct MixedImage {
    a: u8,
    b: i16,
    c: bool,
    d: [u32; 3],
    #[vmstate(since = 3)]
    e: i64,
    #[vmstate(since = 3)]
    f: [[i8; 2]; 2],
    g: [bool; 3],
    count: u16,
    #[vmstate(len = count, max = 40)]
    list: Vec<i32>,
    h: u64,
    #[vmstate(since = 4)]
    i: u32,
    #[vmstate(buffer)]
    j: [u8; 7],
    nested: NestedImage,
    #[vmstate(subsection)]
    extra: Option<ExtraImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "nested", version = 1)]
struct NestedImage {
    x: u16,
    y: bool,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "mixed/extra", version = 7)]
struct ExtraImage {
    z: [i64; 2],
}

prop_compose! {
    fn any_image()(
        (a, b, c, d) in any::<(u8, i16, bool, [u32; 3])>(),
        (e, f, g) in any::<(i64, [[i8; 2]; 2], [bool; 3])>(),
        list in prop::collection::vec(any::<i32>(), 0..=40),
        (h, i, j) in any::<(u64, u32, [u8; 7])>(),
        (x, y) in any::<(u16, bool)>(),
        extra in any::<Option<[i64; 2]>>(),
    ) -> MixedImage {
        let count = u16::try_from(list.len()).unwrap();
        let nested = NestedImage { x, y };
        MixedImage { a, b, c, d, e, f, g, count, list, h, i, j, nested, extra: extra.map(|z| ExtraImage { z }) }
    }
}

/// Field by field, without runs, as the wire format says.
fn plainly(image: &MixedImage) -> Vec<u8> {
    let MixedImage { a, b, c, d, e, f, g, count, list, h, i, j, nested: NestedImage { x, y }, extra } = image;
    let mut octets = Vec::new();
    let out = &mut octets;
    a.write_to(out).unwrap();
    b.write_to(out).unwrap();
    c.write_to(out).unwrap();
    d.write_to(out).unwrap();
    e.write_to(out).unwrap();
    f.write_to(out).unwrap();
    g.write_to(out).unwrap();
    count.write_to(out).unwrap();
    for element in list {
        out.extend(element.to_be_bytes());
    }
    out.extend(h.to_be_bytes());
    out.extend(i.to_be_bytes());
    out.extend(j);
    out.extend(x.to_be_bytes());
    out.push(u8::from(*y));
    if let Some(ExtraImage { z: [first, second] }) = extra {
        out.extend(b"\x05\x0bmixed/extra\0\0\0\x07");
        out.extend(first.to_be_bytes());
        out.extend(second.to_be_bytes());
    }
    octets
}

fn encode(image: &MixedImage) -> Vec<u8> {
    let mut octets = Vec::new();
    image.encode(&(), &mut octets).unwrap();
    octets
}

fn decode(version: u32, octets: &[u8]) -> Result<(MixedImage, usize), LoadError> {
    let mut image = MixedImage::default();
    let mut input = Input::from_slice(octets, 0);
    image.decode(&(), version, &mut input)?;
    Ok((image, input.buffered().len()))
}

proptest! {
    // A fixed seed: the same images on every machine; the fuzz target looks further.
    #![proptest_config(ProptestConfig { cases: 256, rng_seed: RngSeed::Fixed(14), ..ProptestConfig::default() })]

    #[test]
    fn runs_write_what_single_fields_write(image in any_image()) {
        let octets = encode(&image);
        prop_assert_eq!(&octets, &plainly(&image));
        prop_assert_eq!(decode(4, &octets).unwrap(), (image, 0));
    }

    #[test]
    fn truncation_anywhere_is_within_the_input(image in any_image()) {
        let octets = encode(&image);
        for cut in 0..octets.len() {
            match decode(4, &octets[..cut]) {
                Err(error) => prop_assert!(error.offset() <= cut as u64, "cut at {}: {}", cut, error),
                // The cut is in the header of the subsection, which is then what a footer is looked for in.
                Ok((_, rest)) => prop_assert!(rest == 0 || octets[cut - rest] == 5),
            }
        }
    }

    #[test]
    fn a_changed_octet_gives_an_error_or_an_image_that_comes_back(
        image in any_image(), place in any::<prop::sample::Index>(), value in any::<u8>(), version in 0_u32..6,
    ) {
        let mut octets = encode(&image);
        *place.get_mut(&mut octets) = value;
        if let Ok((changed, rest)) = decode(version, &octets) {
            prop_assert!(rest <= octets.len());
            if version == 4 && rest == 0 {
                prop_assert_eq!(encode(&changed), octets);
            }
        }
    }
}
