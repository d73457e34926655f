//! What the sections of one stream may still cost.

use crate::limits::{DEVICE_STATE_BYTES_LIMIT, VALUE_COUNT_LIMIT};

/// The budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OverBudget;

/// What may still be kept, for all sections together.
#[derive(Debug)]
pub(crate) struct Budget {
    values: u64,
    octets: u64,
}

impl Budget {
    pub(crate) fn new() -> Budget {
        Budget { values: VALUE_COUNT_LIMIT, octets: DEVICE_STATE_BYTES_LIMIT }
    }

    /// Takes the octets of a body, if there is still room for them.
    pub(crate) fn take_octets(&mut self, count: usize) -> bool {
        let left = u64::try_from(count).ok().and_then(|count| self.octets.checked_sub(count));
        self.octets = left.unwrap_or(self.octets);
        left.is_some()
    }

    /// Takes so many values, or steps of the decoder that may each become one.
    pub(crate) fn take_values(&mut self, count: u64) -> Result<(), OverBudget> {
        self.values = self.values.checked_sub(count).ok_or(OverBudget)?;
        Ok(())
    }
}
