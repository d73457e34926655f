//! The reader that every decoder pulls from.
//!
//! Sections have no length on the wire, so a decoder cannot be handed a finished slice: it pulls from a window that is
//! refilled as needed. One `Input` serves a whole stream; the engine reads framing and pages from the same window.

use std::error::Error;
use std::fmt;

use crate::error::{LoadError, Reason};

/// Where an [`Input`] gets its octets.
pub trait Refill {
    /// Reads some octets to the front of `buffer` and returns how many; 0 at the end of the input.
    ///
    /// # Errors
    ///
    /// Whatever made reading impossible; it becomes the source of a [`LoadError`].
    fn refill(&mut self, buffer: &mut [u8]) -> Result<usize, Box<dyn Error + Send + Sync>>;

    /// Passes over up to `octets` without reading them, not past the end of the input, and returns how many; 0 where
    /// every octet must be read.
    ///
    /// # Errors
    ///
    /// As [`Refill::refill`].
    fn pass_over(&mut self, octets: u64) -> Result<u64, Box<dyn Error + Send + Sync>> {
        let _ = octets;
        Ok(0)
    }
}

/// Smallest size of the window, in octets: the longest batch that a decoder asks for at once, and the longest peek
/// (2 + 255 octets, `docs/spec/stream.md` section 8.2), fit.
pub const WINDOW_MIN: usize = 8 << 10;

/// A pull reader with look-ahead and absolute offsets.
pub struct Input<'a> {
    window: Vec<u8>,
    /// Position of the cursor in `window`.
    at: usize,
    /// Octets of `window` that are filled.
    filled: usize,
    /// Absolute offset of `window[0]`.
    base: u64,
    /// Absolute offset behind which the current section must not read.
    budget_end: u64,
    budget: u64,
    source: Option<Box<dyn Refill + 'a>>,
    /// Octets that a refill asks for at most, if no more are wanted.
    ahead_limit: usize,
    /// Subsections of the current section, in stream order.
    subsections: Vec<(&'static str, u32)>,
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("offset", &self.offset()).field("ahead", &(self.filled - self.at)).finish()
    }
}

impl<'a> Input<'a> {
    /// A reader of `source` with a window of `window` octets (at least [`WINDOW_MIN`]).
    #[must_use]
    pub fn new(source: impl Refill + 'a, window: usize) -> Self {
        Self {
            window: vec![0; window.max(WINDOW_MIN)],
            at: 0,
            filled: 0,
            base: 0,
            budget_end: u64::MAX,
            budget: u64::MAX,
            source: Some(Box::new(source)),
            ahead_limit: usize::MAX,
            subsections: Vec::new(),
        }
    }

    /// A reader of octets at hand; offsets count from `base`.
    #[must_use]
    pub fn from_slice(octets: &[u8], base: u64) -> Self {
        Self {
            window: octets.to_vec(),
            at: 0,
            filled: octets.len(),
            base,
            budget_end: u64::MAX,
            budget: u64::MAX,
            source: None,
            ahead_limit: usize::MAX,
            subsections: Vec::new(),
        }
    }

    /// Absolute offset of the cursor in the stream, in octets.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.base.wrapping_add(self.at as u64)
    }

    /// Lets the section that starts here read `octets` at most; longer ones end in [`Reason::OverBudget`].
    pub fn set_budget(&mut self, octets: u64) {
        self.budget = octets;
        self.budget_end = self.offset().saturating_add(octets);
    }

    /// Takes the limit away that [`Input::set_budget`] set.
    pub fn clear_budget(&mut self) {
        self.budget = u64::MAX;
        self.budget_end = u64::MAX;
    }

    /// What is in the window from the cursor on, without reading more.
    #[must_use]
    pub fn buffered(&self) -> &[u8] {
        self.window.get(self.at..self.filled).unwrap_or_default()
    }

    /// Looks at up to `wanted` octets without consuming them; fewer only at the end of the input.
    ///
    /// Reads no more than is needed to have `wanted` octets, so it never waits for a peer that has nothing to add.
    /// `wanted` above the window's size is cut to it.
    ///
    /// # Errors
    ///
    /// The source failed.
    pub fn peek(&mut self, wanted: usize) -> Result<&[u8], LoadError> {
        if self.filled - self.at < wanted {
            self.fill(wanted)?;
        }
        let end = self.filled.min(self.at.saturating_add(wanted));
        Ok(self.window.get(self.at..end).unwrap_or_default())
    }

    /// Moves the cursor over `octets` that were looked at before; cut to what the window holds.
    pub fn consume(&mut self, octets: usize) {
        self.at = self.at.saturating_add(octets).min(self.filled);
    }

    /// Lets no refill take more than `octets` from the source, unless more are wanted: what stands behind them is going
    /// to be read another way ([`Input::passed`]). `usize::MAX` takes the limit away.
    pub fn limit_ahead(&mut self, octets: usize) {
        self.ahead_limit = octets;
    }

    /// Moves the cursor over `octets` that someone else has read, the window's first among them, and puts `ahead` into
    /// the window in place of what it had: what was read behind them and is still to be read here.
    ///
    /// **limits**: `ahead` is cut to the window's size.
    pub fn passed(&mut self, octets: u64, ahead: &[u8]) {
        debug_assert!(ahead.len() <= self.window.len());
        self.base = self.offset().wrapping_add(octets);
        self.at = 0;
        self.filled = ahead.len().min(self.window.len());
        for (place, octet) in self.window.iter_mut().zip(ahead) {
            *place = *octet;
        }
    }

    /// The next `N` octets.
    ///
    /// # Errors
    ///
    /// The input ends before, the source failed, or the section's budget is used up.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], LoadError> {
        if let Some(octets) = self.window.get(self.at..self.filled).and_then(|ahead| ahead.first_chunk::<N>())
            && self.base.wrapping_add(self.at as u64).saturating_add(N as u64) <= self.budget_end
        {
            self.at += N;
            return Ok(*octets);
        }
        self.array_slow()
    }

    /// The next `N` octets, in place: the batch of a decoder that has several fields in it.
    ///
    /// # Errors
    ///
    /// As [`Input::array`]. `N` above [`WINDOW_MIN`] does not compile.
    #[inline]
    pub fn run<const N: usize>(&mut self) -> Result<&[u8; N], LoadError> {
        const { assert!(N <= WINDOW_MIN) }
        if self.filled - self.at < N || self.offset().saturating_add(N as u64) > self.budget_end {
            self.prepare(N)?;
        }
        let (start, offset) = (self.at, self.offset());
        self.at += N;
        let octets = self.window.get(start..).and_then(|ahead| ahead.first_chunk::<N>());
        octets.ok_or_else(|| LoadError::new(offset, Reason::EndOfInput { needed: N, left: 0 }))
    }

    /// Makes sure that `octets` are in the window and within the budget.
    #[cold]
    fn prepare(&mut self, octets: usize) -> Result<(), LoadError> {
        if self.offset().saturating_add(octets as u64) > self.budget_end {
            return Err(self.error(Reason::OverBudget { limit: self.budget }));
        }
        let left = self.peek(octets)?.len();
        if left < octets {
            return Err(self.error(Reason::EndOfInput { needed: octets, left }));
        }
        Ok(())
    }

    #[cold]
    fn array_slow<const N: usize>(&mut self) -> Result<[u8; N], LoadError> {
        let mut octets = [0; N];
        self.read_exact(&mut octets)?;
        Ok(octets)
    }

    /// Fills `out` with the next octets.
    ///
    /// # Errors
    ///
    /// As [`Input::array`]. At the end of the input nothing is consumed if the rest fits the window.
    pub fn read_exact(&mut self, out: &mut [u8]) -> Result<(), LoadError> {
        if self.offset().saturating_add(out.len() as u64) > self.budget_end {
            return Err(LoadError::new(self.offset(), Reason::OverBudget { limit: self.budget }));
        }
        let (start, needed) = (self.offset(), out.len());
        let mut done = 0;
        while done < needed {
            let rest = needed - done;
            let got = self.peek(rest)?.len().min(rest);
            // A peek falls short of both its wish and the window only at the end of the input; without a source the
            // window is all there is.
            let ended = self.source.is_none() || got < self.window.len();
            if got == 0 || (got < rest && ended) {
                // However the octets came: the window may hold less than the whole.
                return Err(LoadError::new(start, Reason::EndOfInput { needed, left: done + got }));
            }
            let ahead = self.window.get(self.at..self.at + got).unwrap_or_default();
            if let Some(part) = out.get_mut(done..done + got) {
                part.copy_from_slice(ahead);
            }
            self.at += got;
            done += got;
        }
        Ok(())
    }

    /// Skips `octets`; without reading what is not in the window, where the source can ([`Refill::pass_over`]).
    ///
    /// # Errors
    ///
    /// As [`Input::array`].
    pub fn skip(&mut self, mut octets: usize) -> Result<(), LoadError> {
        let ahead = self.filled - self.at;
        if octets > ahead && self.offset().saturating_add(octets as u64) <= self.budget_end {
            self.at = self.filled;
            octets -= self.pass_over(octets - ahead)? + ahead;
        }
        let mut scratch = [0; 512];
        while octets > 0 {
            let part = octets.min(scratch.len());
            self.read_exact(scratch.get_mut(..part).unwrap_or_default())?;
            octets -= part;
        }
        Ok(())
    }

    /// Lets the source pass over some of the next `octets`, with nothing in the window; returns how many.
    fn pass_over(&mut self, octets: usize) -> Result<usize, LoadError> {
        let offset = self.offset();
        let Some(source) = &mut self.source else { return Ok(0) };
        let passed = source.pass_over(octets as u64).map_err(|cause| LoadError::new(offset, Reason::Source(cause)))?;
        let passed = usize::try_from(passed).map_or(octets, |passed| passed.min(octets));
        self.base = self.base.wrapping_add(passed as u64);
        Ok(passed)
    }

    /// The failure of the element that starts at the cursor.
    #[cold]
    #[must_use]
    pub fn error(&self, reason: Reason) -> LoadError {
        LoadError::new(self.offset(), reason)
    }

    /// Forgets the subsections of the section before.
    pub(crate) fn start_section(&mut self) {
        self.subsections.clear();
    }

    /// Notes a subsection that is about to be decoded, for [`crate::migrate::Versions`].
    pub(crate) fn note_subsection(&mut self, name: &'static str, version: u32) {
        self.subsections.push((name, version));
    }

    /// The subsections since [`Input::start_section`].
    pub(crate) fn take_subsections(&mut self) -> Vec<(&'static str, u32)> {
        std::mem::take(&mut self.subsections)
    }

    #[cold]
    fn fill(&mut self, wanted: usize) -> Result<(), LoadError> {
        let Some(source) = &mut self.source else { return Ok(()) };
        self.window.copy_within(self.at..self.filled, 0);
        self.base = self.base.wrapping_add(self.at as u64);
        self.filled -= self.at;
        self.at = 0;
        let wanted = wanted.min(self.window.len());
        while self.filled < wanted {
            let end = self.window.len().min(self.filled.saturating_add(self.ahead_limit.max(wanted - self.filled)));
            let room = self.window.get_mut(self.filled..end).unwrap_or_default();
            let room_len = room.len();
            match source.refill(room) {
                Ok(0) => break,
                Ok(got) => self.filled += got.min(room_len),
                Err(cause) => {
                    return Err(LoadError::new(self.base.wrapping_add(self.filled as u64), Reason::Source(cause)));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0, 1, 2, … and how many were taken.
    struct Counting(std::rc::Rc<std::cell::Cell<u8>>);

    impl Refill for Counting {
        fn refill(&mut self, buffer: &mut [u8]) -> Result<usize, Box<dyn Error + Send + Sync>> {
            for place in buffer.iter_mut() {
                *place = self.0.replace(self.0.get() + 1);
            }
            Ok(buffer.len())
        }
    }

    #[test]
    fn what_someone_else_read_is_passed_and_what_came_with_it_is_read_here() {
        let taken = std::rc::Rc::new(std::cell::Cell::new(0));
        let mut input = Input::new(Counting(std::rc::Rc::clone(&taken)), 0);
        input.limit_ahead(5);
        assert_eq!(input.array().unwrap(), [0, 1]);
        assert_eq!((input.buffered(), taken.get()), (&[2, 3, 4][..], 5), "no more than the limit");
        assert_eq!(input.array().unwrap(), [2]);
        // Someone takes these two and ten more, of which two are to be read here.
        taken.set(15);
        input.passed(10, &[13, 14]);
        assert_eq!(input.offset(), 13);
        assert_eq!(input.array().unwrap(), [13, 14, 15]);
        assert_eq!((input.offset(), taken.get()), (16, 20));
        assert_eq!(input.array::<30>().unwrap()[29], 45, "what is wanted is read, whatever the limit");
        assert_eq!(taken.get(), 46);
    }
}
