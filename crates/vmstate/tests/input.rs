//! The reader: offsets, look-ahead, the end of the input, budgets and failures of the source.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::error::Error;

use vmstate::input::{Refill, WINDOW_MIN};
use vmstate::{Input, Reason, VmState};

/// Gives out octets in parts of at most `part`, then ends or fails.
struct Source {
    octets: Vec<u8>,
    at: usize,
    part: usize,
    fails: bool,
}

impl Source {
    fn new(len: usize, part: usize) -> Self {
        let octets = (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
        Self { octets, at: 0, part, fails: false }
    }
}

impl Refill for Source {
    fn refill(&mut self, buffer: &mut [u8]) -> Result<usize, Box<dyn Error + Send + Sync>> {
        let rest = &self.octets[self.at..];
        let part = rest.len().min(buffer.len()).min(self.part);
        if part == 0 && self.fails {
            return Err("connection reset".into());
        }
        buffer[..part].copy_from_slice(&rest[..part]);
        self.at += part;
        Ok(part)
    }
}

#[test]
fn octets_come_in_order_whatever_the_parts_and_the_window() {
    for part in [1, 7, 4096, 100_000] {
        let mut input = Input::new(Source::new(30_000, part), 0);
        let mut seen = Vec::new();
        while seen.len() < 30_000 {
            assert_eq!(input.offset(), seen.len() as u64);
            seen.extend(input.run::<3000>().unwrap());
            seen.extend(input.array::<7>().unwrap());
            let mut rest = [0; 1993];
            input.read_exact(&mut rest).unwrap();
            seen.extend(rest);
        }
        assert_eq!(seen, Source::new(30_000, 1).octets);
        assert_eq!(input.peek(1).unwrap(), [0; 0]);
    }
}

#[test]
fn a_read_longer_than_the_window_and_a_skip_cross_it() {
    let mut input = Input::new(Source::new(5 * WINDOW_MIN, 1000), 0);
    let mut long = vec![0; 3 * WINDOW_MIN];
    input.read_exact(&mut long).unwrap();
    assert_eq!(long, Source::new(3 * WINDOW_MIN, 1).octets);
    input.skip(WINDOW_MIN + 5).unwrap();
    assert_eq!(input.offset(), 4 * WINDOW_MIN as u64 + 5);
    assert_eq!(input.array::<1>().unwrap(), [u8::try_from((4 * WINDOW_MIN + 5) % 251).unwrap()]);
    assert!(matches!(input.skip(WINDOW_MIN).unwrap_err().reason(), Reason::EndOfInput { .. }));
}

/// A source that can pass over octets, at most so many at once; how often it was asked.
struct Seekable(Source, usize, std::rc::Rc<std::cell::Cell<usize>>);

impl Refill for Seekable {
    fn refill(&mut self, buffer: &mut [u8]) -> Result<usize, Box<dyn Error + Send + Sync>> {
        self.0.refill(buffer)
    }

    fn pass_over(&mut self, octets: u64) -> Result<u64, Box<dyn Error + Send + Sync>> {
        let passed = usize::try_from(octets).unwrap().min(self.1).min(self.0.octets.len() - self.0.at);
        self.0.at += passed;
        self.2.set(self.2.get() + 1);
        Ok(passed as u64)
    }
}

#[test]
fn a_source_that_can_passes_over_what_is_skipped() {
    for most in [0, 1, 5000, usize::MAX] {
        let asked = std::rc::Rc::default();
        let mut input = Input::new(Seekable(Source::new(50_000, 1000), most, std::rc::Rc::clone(&asked)), 0);
        assert_eq!(input.peek(100).unwrap().len(), 100);
        input.skip(50).unwrap();
        assert_eq!((asked.get(), input.buffered()[0]), (0, 50), "what is in the window is skipped there");
        input.skip(40_000).unwrap();
        assert_eq!((asked.get(), input.offset()), (1, 40_050));
        assert_eq!(input.array::<1>().unwrap(), [u8::try_from(40_050 % 251).unwrap()]);
        assert!(matches!(input.skip(50_000).unwrap_err().reason(), Reason::EndOfInput { .. }), "{most}");
    }
    let mut input = Input::new(Seekable(Source::new(50_000, 1000), usize::MAX, std::rc::Rc::default()), 0);
    input.set_budget(1000);
    assert!(matches!(input.skip(2000).unwrap_err().reason(), Reason::OverBudget { limit: 1000 }));
}

#[test]
fn a_peek_reads_no_more_than_it_needs() {
    let mut input = Input::new(Source::new(100, 1), 0);
    assert_eq!(input.peek(3).unwrap(), [0, 1, 2]);
    assert_eq!(input.buffered(), [0, 1, 2]);
    input.consume(2);
    assert_eq!((input.offset(), input.buffered()), (2, &[2][..]));
    assert_eq!(input.peek(1000).unwrap().len(), 98);
}

#[test]
fn the_end_of_the_input_says_how_much_is_missing() {
    let mut input = Input::from_slice(&[1, 2, 3], 0x40);
    for _ in 0..2 {
        let error = input.array::<8>().unwrap_err();
        assert_eq!(error.to_string(), "at byte 0x40: stream ends: needs 8 bytes, 3 left");
        let error = input.run::<8>().unwrap_err();
        assert_eq!(error.to_string(), "at byte 0x40: stream ends: needs 8 bytes, 3 left");
    }
    assert_eq!(input.array::<3>().unwrap(), [1, 2, 3]);
}

#[test]
fn a_failure_of_the_source_is_kept_as_the_cause() {
    let mut input = Input::new(Source { fails: true, ..Source::new(5, 5) }, 0);
    let error = input.array::<8>().unwrap_err();
    assert_eq!(error.offset(), 5);
    assert_eq!(error.source().unwrap().to_string(), "connection reset");
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "long", version = 1)]
struct LongImage {
    count: u32,
    #[vmstate(buffer, len = count, max = 1 << 20)]
    octets: Vec<u8>,
    after: [u8; 6],
}

#[test]
fn a_section_ends_at_its_budget() {
    let octets = [&[0, 0, 0, 100][..], &[7; 200]].concat();
    let decode = |budget: Option<u64>| {
        let mut input = Input::new(Source { octets: octets.clone(), ..Source::new(0, 64) }, 0);
        if let Some(budget) = budget {
            input.set_budget(budget);
        }
        let mut image = LongImage::default();
        image.decode(&(), 1, &mut input).map(|()| input.offset())
    };
    assert_eq!(decode(None).unwrap(), 110);
    assert_eq!(decode(Some(110)).unwrap(), 110);
    let error = decode(Some(109)).unwrap_err();
    assert_eq!(error.to_string(), "after at byte 0x68: section is longer than the limit of 109 bytes");
    let error = decode(Some(103)).unwrap_err();
    assert_eq!(error.to_string(), "octets at byte 0x4: section is longer than the limit of 103 bytes");
    let error = decode(Some(3)).unwrap_err();
    assert_eq!(error.to_string(), "count at byte 0x0: section is longer than the limit of 3 bytes");
}

#[test]
fn the_end_within_a_long_read_is_told_the_same_however_the_octets_come() {
    let octets = vec![7; 3 * WINDOW_MIN];
    let sources = [1, 1000].map(|step| Input::new(Source::new(3 * WINDOW_MIN, step), 0));
    for mut input in [Input::from_slice(&octets, 0)].into_iter().chain(sources) {
        input.array::<1>().unwrap();
        let error = input.read_exact(&mut vec![0; 4 * WINDOW_MIN]).unwrap_err();
        let (needed, left) = (4 * WINDOW_MIN, 3 * WINDOW_MIN - 1);
        assert_eq!(error.to_string(), format!("at byte 0x1: stream ends: needs {needed} bytes, {left} left"));
    }
}
