//! Each generated rule finds an image or a device that breaks it, and finds nothing in one that does not.
//!
//! The images break deep inside only: the outermost one has neither counts nor bounds of its own.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use vmstate::testkit::{self, Case};
use vmstate::{Input, LoadError, Migrate, Reason, Refused, SaveError, Schema, Sink, Versions, VmState};

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "outer", version = 2, min = 1)]
struct OuterImage {
    inner: InnerImage,
    flag: bool,
    #[vmstate(since = 2)]
    late: u16,
    #[vmstate(subsection)]
    extra: Option<ExtraImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "inner", version = 1)]
struct InnerImage {
    count: i32,
    #[vmstate(len = count, max = 5)]
    words: Vec<u32>,
    #[vmstate(equal)]
    same: u32,
    #[vmstate(le)]
    bounded: i32,
    #[vmstate(subsection)]
    part: Option<PartImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "inner/part", version = 1)]
struct PartImage {
    #[vmstate(list, max = 3)]
    list: Vec<ElementImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "element", version = 1)]
struct ElementImage {
    value: i16,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "outer/extra", version = 1)]
struct ExtraImage {
    #[vmstate(tree, max = 3)]
    tree: BTreeMap<u64, ElementImage>,
    #[vmstate(subsection)]
    deepest: Option<DeepestImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "outer/extra/deepest", version = 1)]
struct DeepestImage {
    value: u64,
}

/// What is wrong with a codec.
const NOTHING: u8 = 0;
const IGNORES_COUNTS: u8 = 1;
const IGNORES_NEGATIVE_COUNTS: u8 = 2;
const IGNORES_EQUAL: u8 = 3;
const IGNORES_LE: u8 = 4;
const IGNORES_MARKS: u8 = 5;
const IGNORES_NODES: u8 = 6;
const IGNORES_UNKNOWN: u8 = 7;
const IGNORES_REPEATED: u8 = 8;
const IGNORES_OLD: u8 = 9;
const IGNORES_END: u8 = 10;
const WRITES_ONE_MORE: u8 = 11;
const FORGETS_LATE: u8 = 12;
const DROPS_DEEPEST: u8 = 13;

/// The image with a codec that is wrong.
#[derive(Debug, Default, Clone, PartialEq)]
struct Broken<const FAULT: u8>(OuterImage);

impl<const FAULT: u8> VmState for Broken<FAULT> {
    const SCHEMA: &'static Schema = OuterImage::SCHEMA;
    type Props = ();
    type Shape = vmstate::image::FromTemplate;

    fn encode_part(&self, props: &(), sink: &mut dyn Sink) -> Result<(), SaveError> {
        self.0.encode_part(props, sink)?;
        if FAULT == WRITES_ONE_MORE {
            sink.put(&[0]);
        }
        Ok(())
    }

    fn decode(&mut self, props: &(), version: u32, input: &mut Input<'_>) -> Result<(), LoadError> {
        let decoded = self.0.decode(props, version, input);
        if FAULT == FORGETS_LATE && version < 2 {
            self.0.late = 0;
        }
        if FAULT == DROPS_DEEPEST
            && let Some(extra) = &mut self.0.extra
        {
            extra.deepest = None;
        }
        decoded.or_else(|error| {
            let is_ignored = match error.reason() {
                Reason::CountOverLimit { .. } => FAULT == IGNORES_COUNTS,
                Reason::NegativeCount { .. } => FAULT == IGNORES_NEGATIVE_COUNTS,
                Reason::NotEqual { .. } => FAULT == IGNORES_EQUAL,
                Reason::OutOfBounds { .. } => FAULT == IGNORES_LE,
                Reason::NotAMarker { .. } => FAULT == IGNORES_MARKS,
                Reason::NodeCount { .. } => FAULT == IGNORES_NODES,
                Reason::UnknownSubsection { .. } => FAULT == IGNORES_UNKNOWN,
                Reason::RepeatedSubsection { .. } => FAULT == IGNORES_REPEATED,
                Reason::VersionTooOld { .. } => FAULT == IGNORES_OLD,
                Reason::EndOfInput { .. } => FAULT == IGNORES_END,
                _ => false,
            };
            if is_ignored { Ok(()) } else { Err(error) }
        })
    }
}

/// Whether a check of the test kit fails.
fn fails(check: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(check)).is_err()
}

fn template() -> OuterImage {
    OuterImage { inner: InnerImage { same: 7, bounded: 9, ..InnerImage::default() }, late: 5, ..OuterImage::default() }
}

/// Names of the rules that find something.
fn found<const FAULT: u8>() -> Vec<&'static str> {
    let Ok(case) = catch_unwind(|| Case::<Broken<FAULT>>::generated((), Broken(template()), vec![])) else {
        return vec!["samples"];
    };
    let rules: [(&str, &dyn Fn()); 7] = [
        ("round trip", &|| testkit::samples_come_back(&case)),
        ("truncation", &|| testkit::every_truncation_is_noticed(&case)),
        ("versions", &|| testkit::every_version_loads_and_others_are_refused(&case)),
        ("counts", &|| testkit::counts_meet_their_limits(&case)),
        ("bounds", &|| testkit::bounds_are_kept(&case)),
        ("subsections", &|| testkit::subsections_follow_the_rules(&case)),
        ("description", &|| testkit::described_sizes_add_up(&case)),
    ];
    rules.iter().filter(|(_, rule)| fails(rule)).map(|(name, _)| *name).collect()
}

#[test]
fn each_rule_finds_what_breaks_it() {
    assert_eq!(found::<NOTHING>(), [""; 0]);
    // Lists and trees have limits too.
    assert_eq!(found::<IGNORES_COUNTS>(), ["counts", "bounds"]);
    assert_eq!(found::<IGNORES_NEGATIVE_COUNTS>(), ["counts"]);
    assert_eq!(found::<IGNORES_EQUAL>(), ["bounds"]);
    assert_eq!(found::<IGNORES_LE>(), ["bounds"]);
    assert_eq!(found::<IGNORES_MARKS>(), ["bounds"]);
    assert_eq!(found::<IGNORES_NODES>(), ["bounds"]);
    assert_eq!(found::<IGNORES_UNKNOWN>(), ["subsections"]);
    assert_eq!(found::<IGNORES_REPEATED>(), ["subsections"]);
    assert_eq!(found::<IGNORES_OLD>(), ["versions"]);
    assert_eq!(found::<IGNORES_END>(), ["truncation"]);
    assert_eq!(found::<FORGETS_LATE>(), ["versions"]);
}

#[test]
fn a_codec_that_disagrees_with_its_description_has_no_samples() {
    assert_eq!(found::<WRITES_ONE_MORE>(), ["samples"]);
    assert_eq!(found::<DROPS_DEEPEST>(), ["samples"]);
}

#[test]
fn samples_have_what_the_description_allows() {
    let case = Case::<OuterImage>::generated((), template(), vec![]);
    let any = |holds: &dyn Fn(&OuterImage) -> bool| case.samples.iter().any(holds);
    for count in [0, 1, 5] {
        assert!(
            any(&|image| i32::try_from(image.inner.words.len()) == Ok(count) && image.inner.count == count),
            "{count} words"
        );
    }
    for word in [0, 1, u32::MAX] {
        assert!(any(&|image| image.inner.words.contains(&word)), "word {word}");
    }
    for value in [i16::MIN, i16::MAX, 0] {
        let has = |part: &PartImage| part.list.iter().any(|element| element.value == value);
        assert!(any(&|image| image.inner.part.as_ref().is_some_and(has)), "element {value}");
    }
    assert!(any(&|image| image.flag) && any(&|image| !image.flag));
    for bounded in [0, 1, 9] {
        assert!(any(&|image| image.inner.bounded == bounded && image.inner.same == 7), "{bounded}");
    }
    for length in [0, 1, 3] {
        assert!(
            any(&|image| image.inner.part.as_ref().is_some_and(|part| part.list.len() == length)),
            "list of {length}"
        );
        assert!(any(&|image| image.extra.as_ref().is_some_and(|extra| extra.tree.len() == length)), "tree of {length}");
    }
    let present = |image: &OuterImage| {
        let deepest = image.extra.as_ref().is_some_and(|extra| extra.deepest.is_some());
        (image.inner.part.is_some(), image.extra.is_some(), deepest)
    };
    let all =
        [(false, false, false), (true, false, false), (false, true, false), (false, true, true), (true, true, true)];
    for wanted in all {
        assert!(any(&|image| present(image) == wanted), "subsections {wanted:?}");
    }
}

fn is_even(image: &PickyImage) -> Result<(), Refused> {
    if image.value.is_multiple_of(2) { Ok(()) } else { Err(Refused::new("odd")) }
}

fn is_hidden(image: &PickyImage, _version: u32) -> bool {
    image.value == 0x1234_5678
}

/// An image of which a description does not tell what is accepted.
#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "picky", version = 1)]
struct PickyImage {
    value: u32,
    #[vmstate(when = is_hidden)]
    hidden: u8,
    #[vmstate(check = is_even)]
    even: (),
    #[vmstate(subsection)]
    extra: Option<PickyExtraImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "picky/extra", version = 1)]
struct PickyExtraImage {
    #[vmstate(local)]
    length: u8,
    #[vmstate(buffer, len = length, max = 4)]
    text: Vec<u8>,
}

#[test]
fn what_a_check_refuses_is_no_sample() {
    let case = Case::<PickyImage>::generated((), PickyImage::default(), vec![]);
    assert!(!case.samples.is_empty());
    assert!(case.samples.iter().all(|image| image.value.is_multiple_of(2) && image.hidden == 0));
    testkit::samples_come_back(&case);
    // Its length is the template's, which has none: the rule asks for one.
    assert!(fails(|| testkit::samples_have_all_subsections(&case)));
    let extra = PickyExtraImage { length: 2, text: vec![0; 2] };
    let template = PickyImage { extra: Some(extra), ..PickyImage::default() };
    let case = Case::generated((), template, vec![]);
    testkit::samples_have_all_subsections(&case);
    testkit::subsections_follow_the_rules(&case);
    assert!(case.samples.iter().any(|image| image.extra.as_ref().is_some_and(|extra| extra.text.len() == 2)));
}

fn never(_: &RefusingImage) -> Result<(), Refused> {
    Err(Refused::new("never"))
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "refusing", version = 1)]
struct RefusingImage {
    value: u8,
    #[vmstate(check = never)]
    never: (),
}

#[test]
fn an_image_of_which_none_can_be_made_says_that_samples_must_be_given() {
    let refused = catch_unwind(|| Case::<RefusingImage>::generated((), RefusingImage::default(), vec![])).unwrap_err();
    let text = refused.downcast_ref::<String>().unwrap();
    assert!(text.contains("give `samples`") && text.contains("never"), "{text}");
}

/// A device with a fault.
#[derive(Debug, Clone, Default)]
struct Gadget {
    fault: u8,
    low: u8,
    high: u8,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "gadget", version = 2, min = 1)]
struct GadgetImage {
    low: u8,
    high: u8,
}

const SOUND: u8 = 0;
const CHANGES_FIRST: u8 = 1;
const CANNOT_BE_SAVED: u8 = 2;
const FORGETS: u8 = 3;
const SWAPS: u8 = 4;

impl Migrate for Gadget {
    type Image = GadgetImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<GadgetImage, Refused> {
        let Self { fault, low, high } = self;
        if *fault == CANNOT_BE_SAVED && low > high {
            return Err(Refused::new("low is above high"));
        }
        Ok(GadgetImage { low: *low, high: *high })
    }

    fn template(&self) -> Result<GadgetImage, Refused> {
        Ok(GadgetImage::default())
    }

    fn restore(&mut self, image: GadgetImage, _: &Versions) -> Result<(), Refused> {
        let GadgetImage { low, high } = image;
        if self.fault == CHANGES_FIRST {
            self.low = low;
        }
        if self.fault != CANNOT_BE_SAVED && low > high {
            return Err(Refused::new("low is above high"));
        }
        self.low = if self.fault == SWAPS { high } else { low };
        if self.fault == SWAPS {
            self.high = low;
        } else if self.fault != FORGETS {
            self.high = high;
        }
        Ok(())
    }
}

/// Whether each of the three rules finds something, in devices of these states.
fn found_in(states: [(u8, u8); 2], fault: u8) -> (bool, bool, bool) {
    let makes = states.map(|(low, high)| move || Gadget { fault, low, high });
    let makes: [&dyn Fn() -> Gadget; 2] = [&makes[0], &makes[1]];
    (
        fails(|| testkit::what_is_saved_loads(&makes)),
        fails(|| testkit::refused_loads_leave_the_device_equal(&makes)),
        fails(|| testkit::what_is_loaded_is_saved(&makes, &[])),
    )
}

#[test]
fn a_device_that_breaks_a_rule_is_found() {
    let states = [(0, 5), (3, 9)];
    assert_eq!(found_in(states, SOUND), (false, false, false));
    assert_eq!(found_in(states, CHANGES_FIRST), (false, true, false));
    assert_eq!(found_in(states, CANNOT_BE_SAVED), (false, true, false));
    assert_eq!(found_in(states, FORGETS), (true, false, true));
    assert_eq!(found_in(states, SWAPS), (true, false, true));
}

#[test]
fn a_field_that_is_dropped_is_found_in_states_that_do_not_differ_in_it() {
    let states = [(3, 3), (3, 3)];
    assert_eq!(found_in(states, SOUND), (false, false, false));
    assert_eq!(found_in(states, FORGETS), (false, false, true));
    assert_eq!(found_in(states, SWAPS), (false, false, true));

    let forgets = || Gadget { fault: FORGETS, low: 3, high: 9 };
    testkit::what_is_loaded_is_saved(&[&forgets], &[("gadget.high", "a fault of the test")]);
    for drops in [&[("gadget.high", "")][..], &[("gadget.high", "a fault"), ("gadget.low", "kept")]] {
        assert!(fails(|| testkit::what_is_loaded_is_saved(&[&forgets], drops)), "{drops:?}");
    }
}

vmstate::device_tests!(mod gadget: Gadget::default, || Gadget { low: 1, high: 2, ..Gadget::default() }; drops: []);

#[test]
fn a_schema_that_is_not_the_committed_one_fails_and_says_what_that_means() {
    if std::env::var_os("VMSTATE_BLESS").is_some() {
        println!("skipped: VMSTATE_BLESS is set, and files are written instead of compared");
        return;
    }
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let compare = |committed: &str| {
        std::fs::write(folder.join("gadget.schema"), committed).unwrap();
        let folder = folder.to_str().unwrap();
        let compared = catch_unwind(|| {
            testkit::the_schema_is_the_committed_one(GadgetImage::SCHEMA, folder, Some("gadget.schema"));
        });
        compared.map_err(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default())
    };
    let text = testkit::schema_text(GadgetImage::SCHEMA);
    assert_eq!(text, "gadget, version 2, loads from 1\n  low: uint8\n  high: uint8\n");
    compare(&text).unwrap();
    let refused = compare("gadget, version 2, loads from 1\n  high: uint8\n").unwrap_err();
    assert!(refused.contains("gadget.low: inserted before high: breaks both directions"), "{refused}");
    assert!(refused.contains("VMSTATE_BLESS=1 cargo test"), "{refused}");
    let refused = catch_unwind(|| {
        testkit::the_schema_is_the_committed_one(GadgetImage::SCHEMA, "nowhere", None);
    });
    let refused = refused.unwrap_err().downcast_ref::<String>().cloned().unwrap();
    assert!(refused.starts_with("nowhere/schemas/gadget.schema: "), "{refused}");
}
