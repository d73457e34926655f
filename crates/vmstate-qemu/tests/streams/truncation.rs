//! Long bodies, cut where there is something in them.
//!
//! The generated tests cut short bodies at every octet. A long one is mostly zeros; here it is cut before, in and
//! behind everything that is not, and where it ends.

use vmstate::{Input, Reason, VmState};

use crate::sections::Section;

/// First octet of a section's footer.
const FOOTER_MARK: u8 = 0x7e;
/// Octets of zeros that are still cut at every octet, on either side of something.
const ZEROS: usize = 2;
/// Most cuts of a body whose tables are not zeros: every so manieth is made then.
const CUTS_MAX: usize = 600;

/// Cuts a section's body, and looks whether the image notices.
///
/// A subsection whose header is cut is none, and its octets are left to what follows. If that is a field, this field
/// may find them wrong in its own way.
pub(crate) fn is_noticed<I: VmState<Props: Default> + Clone>(template: &I, section: &Section) {
    let body = &section.body;
    let says_something = |at: &usize| {
        let near = at.saturating_sub(ZEROS)..(at + ZEROS).min(body.len());
        body[near].iter().any(|octet| *octet != 0)
    };
    let cuts: Vec<usize> = (0..body.len()).filter(says_something).collect();
    for cut in cuts.iter().step_by(cuts.len().div_ceil(CUTS_MAX)).copied() {
        let (mut image, mut input) = (template.clone(), Input::from_slice(&body[..cut], 0));
        match image.decode(&I::Props::default(), section.version, &mut input) {
            Err(error) => {
                let is_last = I::SCHEMA.fields.len() == 1;
                let ended = matches!(error.reason(), Reason::EndOfInput { .. });
                assert!(ended || !is_last, "{} cut at {cut}: {error}", section.place());
                assert!(error.offset() <= cut as u64 && !error.path().is_empty(), "cut at {cut}: {error}");
            }
            Ok(()) => assert_ne!(input.buffered().first(), Some(&FOOTER_MARK), "{} cut at {cut}", section.place()),
        }
    }
}
