//! Tests that every image should pass, one line each: [`vmstate_tests!`](crate::vmstate_tests!).
//!
//! | rule | what is done |
//! |---|---|
//! | round trip | each sample is encoded and decoded over the template, whole and one octet at a time |
//! | truncation | each sample is cut at every octet: an error that says where the input ends, or no footer behind |
//! | versions | the octets of each older version load and keep the template's newer fields; those outside are refused |
//! | counts | each received count is set to its limit, one more, and −1 |
//! | bounds | each `equal` and `le` value is changed to a refused one; each list and tree gets too long, and a wrong mark |
//! | subsections | unknown, repeated and foreign ones; the samples cover all of them |
//! | description | described sizes add up to the octets |

#![allow(clippy::panic, clippy::expect_used, reason = "a failed check stops the test that runs it")]

use std::error::Error;
use std::fmt::Debug;
use std::ops::Range;

use crate::describe::DescribeSink;
use crate::error::{LoadError, Reason, Refused};
use crate::guard::SUBSECTION_MARK;
use crate::image::VmState;
use crate::input::{Input, Refill};
use crate::migrate::{Migrate, Versions};
use crate::schema::{Field, Kind, Presence, Scalar, Schema};
use crate::sink::Sink;

/// First octet of a section's footer, which follows every image.
const FOOTER_MARK: u8 = 0x7e;

/// An image with what is needed to test it.
#[derive(Debug, Clone)]
pub struct Case<I: VmState> {
    /// Properties of both sides.
    pub props: I::Props,
    /// What loads start from. Fields that the samples do not send have its values in them too.
    pub template: I,
    /// Images; together they have every subsection.
    pub samples: Vec<I>,
}

/// Generates tests of an image.
///
/// ```
/// # use vmstate::VmState;
/// #[derive(VmState, Debug, Default, Clone, PartialEq)]
/// #[vmstate(name = "rtc", version = 1)]
/// struct RtcImage {
///     seconds: u64,
/// }
///
/// vmstate::vmstate_tests! {
///     mod rtc_image: RtcImage {
///         props: (),
///         template: RtcImage::default(),
///         samples: [RtcImage { seconds: 5 }],
///     }
/// }
/// ```
#[macro_export]
macro_rules! vmstate_tests {
    (mod $module:ident: $image:ty {
        props: $props:expr,
        template: $template:expr,
        samples: [$($sample:expr),+ $(,)?] $(,)?
    }) => {
        #[cfg(test)]
        mod $module {
            use super::*;

            fn case() -> $crate::testkit::Case<$image> {
                $crate::testkit::Case { props: $props, template: $template, samples: ::std::vec![$($sample),+] }
            }

            #[test]
            fn samples_come_back() {
                $crate::testkit::samples_come_back(&case());
            }

            #[test]
            fn every_truncation_is_noticed() {
                $crate::testkit::every_truncation_is_noticed(&case());
            }

            #[test]
            fn every_version_loads_and_others_are_refused() {
                $crate::testkit::every_version_loads_and_others_are_refused(&case());
            }

            #[test]
            fn counts_meet_their_limits() {
                $crate::testkit::counts_meet_their_limits(&case());
            }

            #[test]
            fn bounds_are_kept() {
                $crate::testkit::bounds_are_kept(&case());
            }

            #[test]
            fn subsections_follow_the_rules() {
                $crate::testkit::subsections_follow_the_rules(&case());
            }

            #[test]
            fn described_sizes_add_up() {
                $crate::testkit::described_sizes_add_up(&case());
            }
        }
    };
}

/// Round trip of every sample.
///
/// # Panics
///
/// The rule does not hold.
pub fn samples_come_back<I: VmState + Debug + Clone + PartialEq>(case: &Case<I>) {
    for sample in &case.samples {
        let octets = encode(case, sample);
        let (back, rest) = decode(case, I::SCHEMA.version, &octets).expect("a sample loads");
        assert_eq!((&back, rest.len()), (sample, 0), "octets {octets:02x?}");
        assert_eq!(encode(case, &back), octets, "the same octets again");

        let mut slow = Input::new(OneByOne(&octets), 0);
        let mut trickled = case.template.clone();
        trickled.decode(&case.props, I::SCHEMA.version, &mut slow).expect("a sample loads one octet at a time");
        assert_eq!((&trickled, slow.offset()), (sample, octets.len() as u64));
    }
}

/// Cuts every sample at every octet.
///
/// # Panics
///
/// The rule does not hold.
pub fn every_truncation_is_noticed<I: VmState + Debug + Clone>(case: &Case<I>) {
    for sample in &case.samples {
        let octets = encode(case, sample);
        for cut in 0..octets.len() {
            let part = octets.get(..cut).unwrap_or_default();
            match decode(case, I::SCHEMA.version, part) {
                Err(error) => {
                    assert!(matches!(error.reason(), Reason::EndOfInput { .. }), "cut at {cut}: {error}");
                    assert!(error.offset() <= cut as u64, "cut at {cut}: {error}");
                    assert!(!error.path().is_empty(), "cut at {cut}: {error}");
                }
                Ok((_, rest)) => assert_ne!(rest.first(), Some(&FOOTER_MARK), "cut at {cut}: looks complete"),
            }
        }
    }
}

/// Loads every sample as each older version would have sent it.
///
/// # Panics
///
/// The rule does not hold.
pub fn every_version_loads_and_others_are_refused<I: VmState + Debug + Clone>(case: &Case<I>) {
    let schema = I::SCHEMA;
    let tested = schema.fields.iter().any(|field| matches!(field.presence, Presence::When(_)));
    for sample in &case.samples {
        let (octets, spans) = encode_with_spans(case, sample);
        let (_, template_spans) = encode_with_spans(case, &case.template);
        let newer = |field: &Field, version| matches!(field.presence, Presence::Since(since) if since > version);
        for version in schema.minimum_version..=schema.version {
            let mut old = octets.clone();
            for span in spans.iter().rev().filter(|span| newer(span.field, version)) {
                old.drain(span.octets.clone());
            }
            let loaded = decode(case, version, &old);
            // A test may look at the version and decide otherwise: then no more than the absence of a panic is known.
            if tested && loaded.is_err() {
                continue;
            }
            let (loaded, rest) = loaded.unwrap_or_else(|error| panic!("version {version}: {error}"));
            assert!(tested || rest.is_empty(), "version {version} leaves {rest:02x?}");
            let (again, again_spans) = encode_with_spans(case, &loaded);
            for span in again_spans.iter().filter(|span| newer(span.field, version)) {
                let kept = template_spans.iter().find(|kept| kept.index == span.index);
                let octets = again.get(span.octets.clone());
                assert_eq!(octets, kept.map(|kept| &*kept.bytes), "version {version} keeps '{}'", span.field.name);
            }
        }
        let refused = |version| decode(case, version, &octets).err();
        let error = refused(schema.version.saturating_add(1)).expect("a newer version is refused");
        assert!(matches!(error.reason(), Reason::VersionTooNew { .. }), "{error}");
        if let Some(version) = schema.minimum_version.checked_sub(1) {
            let error = refused(version).expect("an older version is refused");
            assert!(matches!(error.reason(), Reason::VersionTooOld { .. }), "{error}");
        }
    }
}

/// Sets every count that is in the stream to its limit, one more, and −1.
///
/// # Panics
///
/// The rule does not hold.
pub fn counts_meet_their_limits<I: VmState + Debug + Clone>(case: &Case<I>) {
    for sample in &case.samples {
        let (octets, spans) = encode_with_spans(case, sample);
        for field in spans.iter().map(|span| span.field) {
            let Some((count, limit)) = field.kind.count() else { continue };
            let Some(place) = spans.iter().find(|span| span.field.name == count.field && !count.local) else {
                continue;
            };
            let Kind::Scalar(scalar) = place.field.kind else { continue };
            let load = |value: i128| {
                let bytes = value.to_be_bytes();
                let bytes = bytes.get(bytes.len() - scalar.octets()..).unwrap_or_default();
                let mut changed = octets.clone();
                changed.splice(place.octets.clone(), bytes.iter().copied());
                // What follows is short of the elements, so that an accepted count ends at the end of the input.
                decode(case, I::SCHEMA.version, &changed).map(|_| ())
            };
            let groups = (limit / count.scale.max(1)) as i128;
            let over = groups + 1;
            if over <= largest(scalar) {
                let error = load(over).expect_err("a count over the limit is refused");
                assert!(matches!(error.reason(), Reason::CountOverLimit { .. }), "'{}': {error}", field.name);
            }
            // A count that comes later may be refused, since it is read from where elements are missing.
            if let Err(error) = load(groups).map_err(|error| (error.path() == field.name).then_some(error)) {
                let over = error.filter(|error| matches!(error.reason(), Reason::CountOverLimit { .. }));
                assert!(over.is_none(), "'{}': {over:?}", field.name);
            }
            if scalar == Scalar::I32 {
                let error = load(-1).expect_err("a negative count is refused");
                assert!(matches!(error.reason(), Reason::NegativeCount { .. }), "'{}': {error}", field.name);
            }
        }
    }
}

/// Sets every value that this side bounds to one that it refuses, and breaks every list and tree.
///
/// # Panics
///
/// The rule does not hold.
pub fn bounds_are_kept<I: VmState + Debug + Clone>(case: &Case<I>) {
    for sample in &case.samples {
        let (octets, spans) = encode_with_spans(case, sample);
        let (_, template_spans) = encode_with_spans(case, &case.template);
        for span in &spans {
            let refused = |bytes: Vec<u8>| {
                let mut changed = octets.clone();
                changed.splice(span.octets.clone(), bytes);
                let error = decode(case, I::SCHEMA.version, &changed).map(|_| ()).expect_err(span.field.name);
                assert!(error.path().starts_with(span.field.name), "'{}': {error}", span.field.name);
                error
            };
            match span.field.kind {
                Kind::Equal { .. } => {
                    let flipped = span.bytes.iter().map(|octet| !octet).collect();
                    let error = refused(flipped);
                    assert!(matches!(error.reason(), Reason::NotEqual { .. }), "{error}");
                }
                Kind::Le => {
                    let here = template_spans.iter().find(|here| here.index == span.index);
                    let here = here.and_then(|here| here.bytes.first_chunk()).expect("the template has the field");
                    let above = i32::from_be_bytes(*here).checked_add(1);
                    for value in above.into_iter().chain([-1]) {
                        let error = refused(value.to_be_bytes().to_vec());
                        assert!(matches!(error.reason(), Reason::OutOfBounds { .. }), "{error}");
                    }
                }
                Kind::List { element, limit, .. } => {
                    let (first, rest) = span.bytes.split_first().expect("a list has an end");
                    let error = refused([&[first | 2], rest].concat());
                    assert!(matches!(error.reason(), Reason::NotAMarker { .. }), "{error}");
                    let one = element.octets().and_then(|octets| span.bytes.get(..=octets));
                    if let Some(one) = one.filter(|_| *first == 1 && limit <= LONGEST_LIST) {
                        let error = refused([&one.repeat(limit + 1)[..], &[0]].concat());
                        assert!(matches!(error.reason(), Reason::CountOverLimit { .. }), "{error}");
                        assert!(decode_list(case, &octets, span, &one.repeat(limit)), "a list of the limit loads");
                    }
                }
                Kind::Tree { limit, .. } => {
                    let (number, rest) = span.bytes.split_first_chunk().expect("a tree has a number");
                    let number = u32::from_be_bytes(*number);
                    let with = |number: u32| [&number.to_be_bytes(), rest].concat();
                    let error = refused(with(number + 1));
                    assert!(
                        matches!(error.reason(), Reason::NodeCount { .. } | Reason::CountOverLimit { .. }),
                        "{error}"
                    );
                    if let Some(fewer) = number.checked_sub(1) {
                        let error = refused(with(fewer));
                        assert!(matches!(error.reason(), Reason::NodeCount { .. }), "{error}");
                    }
                    let over = u32::try_from(limit).ok().and_then(|limit| limit.checked_add(1));
                    let error = refused(with(over.unwrap_or(u32::MAX)));
                    assert!(matches!(error.reason(), Reason::CountOverLimit { .. }), "{error}");
                }
                _ => {}
            }
        }
    }
}

/// Longest list that is built only to be refused, in elements.
const LONGEST_LIST: usize = 1 << 12;

/// Whether the sample loads with these elements in a list of it.
fn decode_list<I: VmState + Clone>(case: &Case<I>, octets: &[u8], span: &Span, elements: &[u8]) -> bool {
    let mut changed = octets.to_vec();
    changed.splice(span.octets.clone(), [elements, &[0]].concat());
    decode(case, I::SCHEMA.version, &changed).is_ok_and(|(_, rest)| rest.is_empty())
}

/// Unknown, repeated, foreign and missing subsections.
///
/// # Panics
///
/// The rule does not hold.
pub fn subsections_follow_the_rules<I: VmState + Debug + Clone>(case: &Case<I>) {
    let schema = I::SCHEMA;
    let mut covered = vec![false; schema.subsections.len()];
    for sample in &case.samples {
        let recorded = record(case, sample);
        let fields_end = recorded.subsections.first().map_or(recorded.octets.len(), |(_, octets)| octets.start);
        let fields = recorded.octets.get(..fields_end).unwrap_or_default();

        let unknown = [fields, &header(&format!("{}/?", schema.name))].concat();
        let error = decode(case, schema.version, &unknown).expect_err("an unknown subsection of ours is refused");
        assert!(matches!(error.reason(), Reason::UnknownSubsection { .. }), "{error}");
        assert_eq!(error.offset(), fields_end as u64);

        let foreign = header(&format!("?{}", schema.name));
        let (_, rest) = decode(case, schema.version, &[fields, &foreign].concat()).expect("a foreign one is left");
        assert_eq!(rest, foreign);

        for (name, octets) in &recorded.subsections {
            let one = recorded.octets.get(octets.clone()).unwrap_or_default();
            if let Some(covered) = schema.subsection(name.as_bytes()).and_then(|index| covered.get_mut(index)) {
                *covered = true;
            }
            let (_, rest) = decode(case, schema.version, &[fields, one].concat()).expect("each one loads alone");
            assert!(rest.is_empty(), "'{name}' alone leaves {rest:02x?}");
            let error =
                decode(case, schema.version, &[fields, one, one].concat()).expect_err("a repeated one is refused");
            assert!(matches!(error.reason(), Reason::RepeatedSubsection { .. }), "'{name}': {error}");
        }
    }
    for (subsection, covered) in schema.subsections.iter().zip(covered) {
        assert!(covered, "no sample has the subsection '{}'", subsection.schema.name);
    }
}

/// The description of every sample against its octets.
///
/// # Panics
///
/// The rule does not hold.
pub fn described_sizes_add_up<I: VmState + Debug + Clone>(case: &Case<I>) {
    for sample in &case.samples {
        let mut octets = Vec::new();
        let mut sink = DescribeSink::new(I::SCHEMA, &mut octets);
        sample.encode(&case.props, &mut sink).expect("a sample is encoded");
        let description = sink.finish();
        assert_eq!(description.octets(), octets.len() as u64, "{description:#?}");
        assert_eq!(octets, encode(case, sample), "describing changes no octet");
    }
}

/// Checks that a device refuses `image` and is what it was.
///
/// # Panics
///
/// The device accepts the image, or changed.
pub fn refuses_untouched<M: Migrate<Image: Debug + PartialEq>>(device: &mut M, image: M::Image) -> Refused {
    let before = device.snapshot().expect("the device can be saved");
    let version = M::Image::SCHEMA.version;
    let refused = device.restore(image, &Versions::new(version)).expect_err("the image is refused");
    assert_eq!(device.snapshot().expect("the device can still be saved"), before, "{refused}");
    refused
}

/// A source that gives one octet at a time.
struct OneByOne<'a>(&'a [u8]);

impl Refill for OneByOne<'_> {
    fn refill(&mut self, buffer: &mut [u8]) -> Result<usize, Box<dyn Error + Send + Sync>> {
        let Some(((first, rest), place)) = self.0.split_first().zip(buffer.first_mut()) else { return Ok(0) };
        *place = *first;
        self.0 = rest;
        Ok(1)
    }
}

fn encode<I: VmState>(case: &Case<I>, image: &I) -> Vec<u8> {
    let mut octets = Vec::new();
    image.encode(&case.props, &mut octets).expect("a sample is encoded");
    octets
}

fn decode<I: VmState + Clone>(case: &Case<I>, version: u32, octets: &[u8]) -> Result<(I, Vec<u8>), LoadError> {
    let mut image = case.template.clone();
    let mut input = Input::from_slice(octets, 0);
    image.decode(&case.props, version, &mut input)?;
    Ok((image, input.buffered().to_vec()))
}

fn header(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).expect("a name of a subsection has 255 octets at most");
    [&[SUBSECTION_MARK, length], name.as_bytes(), &[0, 0, 0, 1]].concat()
}

fn largest(scalar: Scalar) -> i128 {
    let bits = scalar.octets() * 8;
    let signed = matches!(scalar, Scalar::I8 | Scalar::I16 | Scalar::I32 | Scalar::I64);
    (1 << (bits - usize::from(signed))) - 1
}

/// Where a field of the outermost image went.
struct Span {
    index: usize,
    field: &'static Field,
    octets: Range<usize>,
    bytes: Vec<u8>,
}

fn encode_with_spans<I: VmState>(case: &Case<I>, image: &I) -> (Vec<u8>, Vec<Span>) {
    let recorded = record(case, image);
    let spans = recorded.fields.into_iter().map(|(index, field, octets)| {
        let bytes = recorded.octets.get(octets.clone()).unwrap_or_default().to_vec();
        Span { index, field, octets, bytes }
    });
    (recorded.octets.clone(), spans.collect())
}

/// A sink that records where fields and subsections of the outermost image go.
#[derive(Default)]
struct Record {
    octets: Vec<u8>,
    fields: Vec<(usize, &'static Field, Range<usize>)>,
    subsections: Vec<(&'static str, Range<usize>)>,
    depth: usize,
}

fn record<I: VmState>(case: &Case<I>, image: &I) -> Record {
    let mut record = Record::default();
    image.encode(&case.props, &mut record).expect("a sample is encoded");
    record
}

impl Sink for Record {
    fn put(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    fn fields(&mut self, schema: &'static Schema, range: Range<usize>) {
        let mut at = self.octets.len();
        for index in range.filter(|_| self.depth == 0) {
            let Some(field) = schema.fields.get(index) else { continue };
            let end = at + field.kind.octets().unwrap_or(0);
            self.fields.push((index, field, at..end));
            at = end;
        }
    }

    fn begin_field(&mut self, schema: &'static Schema, index: usize, _elements: usize) {
        if self.depth == 0
            && let Some(field) = schema.fields.get(index)
        {
            self.fields.push((index, field, self.octets.len()..self.octets.len()));
        }
        self.depth += 1;
    }

    fn end_field(&mut self) {
        self.depth -= 1;
        if self.depth == 0
            && let Some((_, _, octets)) = self.fields.last_mut()
        {
            octets.end = self.octets.len();
        }
    }

    fn begin_subsection(&mut self, schema: &'static Schema) {
        if self.depth == 0 {
            self.subsections.push((schema.name, self.octets.len()..self.octets.len()));
        }
        self.depth += 1;
    }

    fn end_subsection(&mut self, _schema: &'static Schema) {
        self.depth -= 1;
        if self.depth == 0
            && let Some((_, octets)) = self.subsections.last_mut()
        {
            octets.end = self.octets.len();
        }
    }
}
