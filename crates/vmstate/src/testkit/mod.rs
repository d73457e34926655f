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

mod bounds;
mod counts;
mod description;
mod device;
mod known;
mod record;
mod round_trip;
mod subsections;
mod truncation;
mod versions;

use crate::error::LoadError;
use crate::image::VmState;
use crate::input::Input;

pub use bounds::bounds_are_kept;
pub use counts::counts_meet_their_limits;
pub use description::described_sizes_add_up;
pub use device::refuses_untouched;
pub use known::{all_findings_are_known, findings_are_known};
pub use round_trip::samples_come_back;
pub use subsections::subsections_follow_the_rules;
pub use truncation::every_truncation_is_noticed;
pub use versions::every_version_loads_and_others_are_refused;

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
