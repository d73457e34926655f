//! Tests that every image and every device should pass, one line each: [`vmstate_tests!`](crate::vmstate_tests!) and
//! [`device_tests!`](crate::device_tests!).
//!
//! | rule | what is done |
//! |---|---|
//! | samples | octets are made from the description and a seed: extremes of each type, counts, lists and trees of no, one and many elements, each subsection alone, none and all; the codec accepts them and gives them back |
//! | round trip | each sample is encoded and decoded over the template, whole and one octet at a time |
//! | truncation | each sample is cut at every octet: an error that says where the input ends, or no footer behind |
//! | versions | the octets of each older version load and keep the template's newer fields; those outside are refused |
//! | counts | each received count, at any depth, is set to its limit, one more, and −1 |
//! | bounds | each `equal` and `le` value is changed to a refused one; each list and tree gets too long, and a wrong mark |
//! | subsections | unknown, repeated and foreign ones at each level; the samples cover all of them |
//! | description | described sizes add up to the octets |
//! | schema | the description is the committed one; otherwise the failure says what that means for older releases |
//! | findings | what the lint says of the description is known, with a reason |
//! | device | its octets, cut and changed at every place: what is refused leaves it equal, what is accepted can be saved and, if asked for, has the change |

#![allow(clippy::panic, clippy::expect_used, reason = "a failed check stops the test that runs it")]

mod bounds;
mod counts;
mod description;
mod device;
mod generate;
mod golden;
mod known;
mod record;
mod round_trip;
mod sample;
mod schema_change;
mod subsections;
mod truncation;
mod values;
mod versions;

use crate::describe::SUBSECTION_HEADER_OCTETS;
use crate::error::LoadError;
use crate::image::VmState;
use crate::input::Input;
use crate::schema::Schema;

pub use bounds::bounds_are_kept;
pub use counts::counts_meet_their_limits;
pub use description::described_sizes_add_up;
pub use device::{
    refused_loads_leave_the_device_equal, refuses_untouched, what_is_loaded_is_saved, what_is_saved_loads,
};
pub use golden::{schema_text, the_schema_is_the_committed_one};
pub use known::{all_findings_are_known, findings_are_known};
pub use round_trip::samples_come_back;
pub use subsections::{samples_have_all_subsections, subsections_follow_the_rules};
pub use truncation::every_truncation_is_noticed;
pub use versions::every_version_loads_and_others_are_refused;
#[doc(hidden)]
pub use vmstate_derive::tests_in_a_module;

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
/// One line does for an image that is `Default + Clone + PartialEq + Debug` and whose properties have a default:
/// samples are made from its description, and the tests are in a module that is called like the image.
///
/// ```
/// # use vmstate::VmState;
/// #[derive(VmState, Debug, Default, Clone, PartialEq)]
/// #[vmstate(name = "rtc", version = 1)]
/// struct RtcImage {
///     seconds: u64,
/// }
///
/// vmstate::vmstate_tests!(RtcImage); // mod rtc_image
/// ```
///
/// What cannot be told from the description is given, each part if needed, in this order:
///
/// ```
/// # use vmstate::VmState;
/// # #[derive(VmState, Debug, Default, Clone, PartialEq)]
/// # #[vmstate(name = "rtc", version = 1)]
/// # struct RtcImage {
/// #     seconds: u64,
/// # }
/// vmstate::vmstate_tests! {
///     mod rtc_at_noon: RtcImage {
///         props: (),                            // of both sides; the default otherwise
///         template: RtcImage { seconds: 3600 }, // what loads start from; the default otherwise
///         samples: [RtcImage { seconds: 5 }],   // beside those that are made
///         schema: "schemas/noon.schema",        // where its description is committed; schemas/NAME.schema otherwise
///         allow: [("since-at-minimum at rtc.seconds", "QEMU's")], // findings that are meant, and why
///     }
/// }
/// ```
#[macro_export]
macro_rules! vmstate_tests {
    (mod $module:ident: $image:ty {
        $(props: $props:expr,)?
        $(template: $template:expr,)?
        $(samples: [$($sample:expr),* $(,)?],)?
        $(schema: $schema:expr,)?
        $(allow: [$($allow:expr),* $(,)?],)?
    }) => {
        #[cfg(test)]
        mod $module {
            use super::*;

            fn case() -> $crate::testkit::Case<$image> {
                $crate::testkit::Case::generated(
                    $crate::vmstate_tests!(@or $($props)?),
                    $crate::vmstate_tests!(@or $($template)?),
                    ::std::vec![$($($sample),*)?],
                )
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
                let case = case();
                $crate::testkit::samples_have_all_subsections(&case);
                $crate::testkit::subsections_follow_the_rules(&case);
            }

            #[test]
            fn described_sizes_add_up() {
                $crate::testkit::described_sizes_add_up(&case());
            }

            #[test]
            fn the_schema_is_the_committed_one() {
                let path = ::std::option::Option::None$(.or(::std::option::Option::Some($schema)))?;
                let schema = <$image as $crate::VmState>::SCHEMA;
                $crate::testkit::the_schema_is_the_committed_one(schema, ::std::env!("CARGO_MANIFEST_DIR"), path);
            }

            #[test]
            fn findings_are_known() {
                $crate::testkit::findings_are_known(<$image as $crate::VmState>::SCHEMA, &[$($($allow),*)?]);
            }
        }
    };
    (@or) => { ::std::default::Default::default() };
    (@or $given:expr) => { $given };
    ($($image:ident)::+ $(,)?) => { $crate::testkit::tests_in_a_module! { $($image)::+ } };
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

/// Octets of the header of a subsection.
fn header_octets(schema: &Schema) -> usize {
    usize::try_from(SUBSECTION_HEADER_OCTETS).unwrap_or(0) + schema.name.len()
}

/// Octets at each end of a long image that are tried one by one.
const EACH_END: usize = 1 << 10;

/// Places between its ends that are tried in a long image.
const BETWEEN: usize = 1 << 10;

/// Where an image of so many octets is damaged: at each octet, or if there are more than 3072, at each of the first
/// and last 1024 and at 1024 places between. Trying each of them costs the square of their number.
fn places(octets: usize) -> impl Iterator<Item = usize> {
    let is_long = octets > 2 * EACH_END + BETWEEN;
    let step = if is_long { (octets - 2 * EACH_END).div_ceil(BETWEEN) } else { 1 };
    let (first, last) = if is_long { (EACH_END, octets - EACH_END) } else { (octets, octets) };
    (0..first).chain((first..last).step_by(step)).chain(last..octets)
}
