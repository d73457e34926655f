//! Traces: what a guest dirties in how long, as text.
//!
//! ```text
//! # any comment
//! vmferry-dirty-trace 1
//! memory 8589934592
//! dirty 100 52428800
//! dirty 1000 419430400
//! ```
//!
//! | line | meaning |
//! |---|---|
//! | `vmferry-dirty-trace 1` | the format, first |
//! | `memory BYTES` | the guest's RAM, once |
//! | `dirty MS BYTES` | in a time of that many milliseconds the guest wrote pages of that many bytes in all, each page counted once |
//!
//! Lines are at most 200 octets, 10 000 in all.

use std::fmt::Write as _;
use std::time::Duration;

use vmferry::convergence::DirtyCurve;

const FORMAT: &str = "vmferry-dirty-trace 1";
const LINES_LIMIT: usize = 10_000;
const LINE_LIMIT: usize = 200;

/// A trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trace {
    pub(super) memory_bytes: u64,
    /// Milliseconds, and bytes of pages.
    pub(super) dirty: Vec<(u64, u64)>,
}

impl Trace {
    /// Reads one; what is wrong with it, with its line, if it is none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut memory, mut dirty, mut begun) = (None, Vec::new(), false);
        for (index, line) in text.lines().enumerate() {
            let at = |what: &str| format!("line {}: {what}", index + 1);
            if index >= LINES_LIMIT {
                return Err(at(&format!("a trace has at most {LINES_LIMIT} lines")));
            }
            if line.len() > LINE_LIMIT {
                return Err(at(&format!("a line has at most {LINE_LIMIT} octets")));
            }
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            if !begun {
                if line != FORMAT {
                    return Err(at(&format!("found '{line}', expected '{FORMAT}'")));
                }
                begun = true;
                continue;
            }
            let number =
                |text: &str| text.parse::<u64>().map_err(|_| at(&format!("found '{text}', expected a whole number")));
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["memory", bytes] if memory.is_none() => memory = Some(number(bytes)?),
                ["memory", _] => return Err(at("memory is told twice")),
                ["dirty", ms, bytes] => {
                    let (ms, bytes) = (number(ms)?, number(bytes)?);
                    if ms == 0 {
                        return Err(at("nothing is dirtied in 0 milliseconds; expected 1 or more"));
                    }
                    dirty.push((ms, bytes));
                }
                _ => return Err(at(&format!("found '{line}', expected 'memory BYTES' or 'dirty MS BYTES'"))),
            }
        }
        match memory {
            None if !begun => Err(format!("it is empty; expected '{FORMAT}'")),
            None | Some(0) => Err("it does not say how much memory the guest has: 'memory BYTES'".to_owned()),
            Some(_) if dirty.is_empty() => {
                Err("it says nothing of what the guest dirties: 'dirty MS BYTES'".to_owned())
            }
            Some(memory_bytes) => Ok(Self { memory_bytes, dirty }),
        }
    }

    /// The same as text.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{FORMAT}\nmemory {}\n", self.memory_bytes);
        for (ms, bytes) in &self.dirty {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "dirty {ms} {bytes}");
        }
        text
    }

    pub(super) fn curve(&self) -> DirtyCurve {
        let points = self.dirty.iter().map(|(ms, bytes)| (Duration::from_millis(*ms), *bytes));
        DirtyCurve::new(self.memory_bytes, points)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_reads_back() {
        let trace = Trace { memory_bytes: 1 << 30, dirty: vec![(100, 4096), (1000, 1 << 20)] };
        assert_eq!(Trace::parse(&trace.text()), Ok(trace.clone()));
        let commented = trace.text().replace("memory", " # the guest's\n\nmemory");
        assert_eq!(Trace::parse(&commented), Ok(trace));
    }

    #[test]
    fn what_is_none_is_refused_with_its_line() {
        let head = format!("{FORMAT}\nmemory 4096\n");
        for (text, found) in [
            (String::new(), "it is empty"),
            ("dirty 1 2\n".to_owned(), "line 1: found 'dirty 1 2', expected 'vmferry-dirty-trace 1'"),
            (format!("{FORMAT}\ndirty 1 2\n"), "it does not say how much memory"),
            (format!("{FORMAT}\nmemory 0\ndirty 1 2\n"), "it does not say how much memory"),
            (head.clone(), "it says nothing of what the guest dirties"),
            (format!("{head}dirty 0 2\n"), "line 3: nothing is dirtied in 0"),
            (format!("{head}dirty 1\n"), "line 3: found 'dirty 1', expected"),
            (format!("{head}dirty 1 -2\n"), "line 3: found '-2', expected a whole number"),
            (format!("{head}memory 1\n"), "line 3: memory is told twice"),
            (format!("{head}{}", "x".repeat(201)), "line 3: a line has at most"),
            (format!("{head}{}", "\n".repeat(10_001)), "line 10001: a trace has at most"),
        ] {
            let error = Trace::parse(&text).unwrap_err();
            assert!(error.starts_with(found), "{error}, not {found}");
        }
    }
}
