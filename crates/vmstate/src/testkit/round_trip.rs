//! Rule: an image comes back as it was, however its octets arrive (`docs/spec/vmstate.md` section 2).

use std::error::Error;
use std::fmt::Debug;

use super::{Case, decode, encode};
use crate::image::VmState;
use crate::input::{Input, Refill};

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
