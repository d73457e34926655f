//! Tables of what is expected not to work, or not to be the same. Each line has its reason; one that never comes true
//! is a failure of the laboratory, as is whatever is not listed.
//!
//! | table | says of | that |
//! |---|---|---|
//! | [`Failure`] | pairs | the migration fails, with this text |
//! | [`Difference`] | pairs | the guest finds another value in a register at the destination |
//! | [`OctetDifference`] | a release and a machine type | it sends other octets than the release that introduced the type |
//! | [`ChainDifference`] | chains | the last hop does not end as the direct migration does |
//!
//! Coordinates are patterns: `*` is any, `1.0|1.1` either, `board-1.*` each that begins so.

/// A pair of releases between which a migration fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// The release that sends.
    pub from: &'static str,
    /// The release that is to load.
    pub to: &'static str,
    /// The machine type.
    pub machine: &'static str,
    /// The scenario.
    pub scenario: &'static str,
    /// A part of the error's text.
    pub text: &'static str,
    /// Why this is so, and cannot be mended.
    pub reason: &'static str,
}

/// A register in which the guest finds another value after it moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// The release that sends.
    pub from: &'static str,
    /// The release that loads.
    pub to: &'static str,
    /// The machine type.
    pub machine: &'static str,
    /// The scenario.
    pub scenario: &'static str,
    /// The register: `rtc.alarm`.
    pub register: &'static str,
    /// What the guest finds in it.
    pub value: &'static str,
    /// Why that is right, or cannot be mended.
    pub reason: &'static str,
}

/// A release whose stream of an old machine type is not that of the release that introduced the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OctetDifference {
    /// The release.
    pub release: &'static str,
    /// The machine type.
    pub machine: &'static str,
    /// The scenario.
    pub scenario: &'static str,
    /// Id string of the section that differs, or is there in one of the two only; `stream` for what is no device's.
    pub section: &'static str,
    /// Why the other releases load it all the same, or what it breaks.
    pub reason: &'static str,
}

/// A chain that does not end as the direct migration from its first to its last release does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainDifference {
    /// The chain, each release a pattern: `1.0 > 1.1 > 1.0`.
    pub chain: &'static str,
    /// The machine type.
    pub machine: &'static str,
    /// The scenario.
    pub scenario: &'static str,
    /// A part of what is reported of it.
    pub text: &'static str,
    /// Why this is so, and cannot be mended.
    pub reason: &'static str,
}

/// Whether a pattern fits.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    pattern.split('|').any(|pattern| match pattern.trim().strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => pattern.trim() == text,
    })
}

impl Failure {
    pub(crate) fn covers(&self, from: &str, to: &str, machine: &str, scenario: &str) -> bool {
        fits(self.from, from) && fits(self.to, to) && fits(self.machine, machine) && fits(self.scenario, scenario)
    }
}

impl Difference {
    pub(crate) fn covers(&self, from: &str, to: &str, machine: &str, scenario: &str) -> bool {
        fits(self.from, from) && fits(self.to, to) && fits(self.machine, machine) && fits(self.scenario, scenario)
    }
}

impl OctetDifference {
    pub(crate) fn covers(&self, release: &str, machine: &str, scenario: &str) -> bool {
        fits(self.release, release) && fits(self.machine, machine) && fits(self.scenario, scenario)
    }
}

impl ChainDifference {
    pub(crate) fn covers(&self, chain: &[&str], machine: &str, scenario: &str) -> bool {
        let patterns: Vec<&str> = self.chain.split('>').collect();
        patterns.len() == chain.len()
            && patterns.iter().zip(chain).all(|(pattern, release)| fits(pattern.trim(), release))
            && fits(self.machine, machine)
            && fits(self.scenario, scenario)
    }
}

/// A table with, for each line, how often it came true.
#[derive(Debug)]
pub(crate) struct Table<T> {
    lines: Vec<(T, usize)>,
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self { lines: Vec::new() }
    }

    pub(crate) fn extend(&mut self, lines: &[T])
    where
        T: Copy,
    {
        self.lines.extend(lines.iter().map(|line| (*line, 0)));
    }

    /// Counts for the lines that `covers` and `is_true`; whether there was one of each.
    pub(crate) fn meet(&mut self, covers: impl Fn(&T) -> bool, is_true: impl Fn(&T) -> bool) -> Met {
        let mut met = Met { is_covered: false, is_true: false };
        for (line, count) in self.lines.iter_mut().filter(|(line, _)| covers(line)) {
            met.is_covered = true;
            if is_true(line) {
                met.is_true = true;
                *count = count.saturating_add(1);
            }
        }
        met
    }

    /// All lines.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &T> {
        self.lines.iter().map(|(line, _)| line)
    }

    /// Lines that never came true.
    pub(crate) fn in_vain(&self) -> impl Iterator<Item = &T> {
        self.lines.iter().filter(|(_, count)| *count == 0).map(|(line, _)| line)
    }
}

/// What a table says of a case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Met {
    /// A line has the case in its coordinates.
    pub(crate) is_covered: bool,
    /// And what it says is what happened.
    pub(crate) is_true: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_any_alternatives_and_beginnings() {
        assert!(fits("*", "1.0") && fits("1.0|1.1", "1.1") && fits("board-1.*", "board-1.0"));
        assert!(!fits("1.0", "1.0.1") && !fits("1.0|1.1", "1") && !fits("board-1.*", "board-2.0") && !fits("", "1.0"));
    }

    #[test]
    fn a_chain_is_covered_by_a_pattern_for_each_of_its_releases() {
        let line = ChainDifference { chain: "1.0 > * > 1.0", machine: "*", scenario: "*", text: "", reason: "" };
        assert!(line.covers(&["1.0", "1.1", "1.0"], "m", "s"));
        assert!(!line.covers(&["1.0", "1.1", "1.1"], "m", "s") && !line.covers(&["1.0", "1.0"], "m", "s"));
    }
}
