//! What came of a run: figures, a matrix for each machine type, and what is not as it should be.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Migrations from one release to one release, each of one machine type in one scenario.
    pub pairs: usize,
    /// Those of them to a destination that was given the settings of an island's guests.
    pub sticky_pairs: usize,
    /// Migrations that begin where another ended.
    pub chains: usize,
    /// Chains left out when [`CHAINS_LIMIT`](crate::CHAINS_LIMIT) was reached.
    pub chains_left_out: usize,
    /// Pairs that failed as listed.
    pub expected_failures: usize,
    /// Registers that changed as listed.
    pub expected_differences: usize,
    /// Refused loads, of pairs and in chains, after which the devices were found to be what they were.
    pub refused_untouched: usize,
    /// Recordings of older releases that were loaded, each counted for each release.
    pub recordings: usize,
    /// Streams that were compared with those of the release that introduced the machine type.
    pub octet_comparisons: usize,
}

impl Add for Figures {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            pairs: self.pairs.saturating_add(other.pairs),
            sticky_pairs: self.sticky_pairs.saturating_add(other.sticky_pairs),
            chains: self.chains.saturating_add(other.chains),
            chains_left_out: self.chains_left_out.saturating_add(other.chains_left_out),
            expected_failures: self.expected_failures.saturating_add(other.expected_failures),
            expected_differences: self.expected_differences.saturating_add(other.expected_differences),
            refused_untouched: self.refused_untouched.saturating_add(other.refused_untouched),
            recordings: self.recordings.saturating_add(other.recordings),
            octet_comparisons: self.octet_comparisons.saturating_add(other.octet_comparisons),
        }
    }
}

impl Sum for Figures {
    fn sum<I: Iterator<Item = Self>>(figures: I) -> Self {
        figures.fold(Self::default(), Self::add)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pairs, sticky_pairs, chains, chains_left_out, .. } = self;
        let Self { expected_failures, expected_differences, refused_untouched, recordings, octet_comparisons, .. } =
            self;
        writeln!(f, "{pairs} pairs ({sticky_pairs} with the settings of an island's guests), {chains} chains")?;
        if *chains_left_out > 0 {
            writeln!(f, "{chains_left_out} chains left out beyond the limit")?;
        }
        writeln!(
            f,
            "{expected_failures} expected failures, {expected_differences} expected differences of a register"
        )?;
        if *recordings > 0 {
            writeln!(f, "{recordings} loads of recordings")?;
        }
        write!(f, "{refused_untouched} refused loads left the devices alone, {octet_comparisons} streams compared")
    }
}

/// How the scenarios of one pair ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) worked: usize,
    pub(crate) refused: usize,
    pub(crate) wrong: usize,
}

/// The pairs of one machine type.
#[derive(Debug)]
pub(crate) struct Matrix {
    pub(crate) machine: String,
    /// Rows are sources, columns destinations.
    pub(crate) releases: Vec<&'static str>,
    /// A cell for each pair, row by row.
    pub(crate) cells: Vec<Cell>,
}

impl Matrix {
    pub(crate) fn new(machine: &str, releases: Vec<&'static str>) -> Self {
        let cells = vec![Cell::default(); releases.len().saturating_mul(releases.len())];
        Self { machine: machine.to_owned(), releases, cells }
    }

    pub(crate) fn cell(&mut self, from: &str, to: &str) -> Option<&mut Cell> {
        let row = self.releases.iter().position(|release| *release == from)?;
        let column = self.releases.iter().position(|release| *release == to)?;
        self.cells.get_mut(row.checked_mul(self.releases.len())?.checked_add(column)?)
    }
}

/// What came of a run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// What was counted.
    pub figures: Figures,
    /// What is not as the tables say; empty if all is well.
    pub problems: Vec<String>,
    pub(crate) matrices: Vec<Matrix>,
}

impl Report {
    /// Stops the test that runs this unless all is as the tables say.
    ///
    /// # Panics
    ///
    /// There are problems; the text has the matrix and each of them.
    pub fn assert(&self) {
        assert!(self.problems.is_empty(), "{self}");
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worked, refused, wrong } = self;
        let mut text = Vec::new();
        for (count, word) in [(worked, "ok"), (refused, "refused"), (wrong, "WRONG")] {
            if *count > 0 {
                text.push(format!("{count} {word}"));
            }
        }
        f.pad(&if text.is_empty() { "-".to_owned() } else { text.join(", ") })
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        write!(f, "  {:<10}", "from \\ to")?;
        for release in &self.releases {
            write!(f, " {release:<18}")?;
        }
        for (release, row) in self.releases.iter().zip(self.cells.chunks(self.releases.len().max(1))) {
            write!(f, "\n  {release:<10}")?;
            for cell in row {
                write!(f, " {cell:<18}")?;
            }
        }
        writeln!(f)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        for matrix in &self.matrices {
            writeln!(f, "{matrix}")?;
        }
        writeln!(f, "{}", self.figures)?;
        for problem in &self.problems {
            writeln!(f, "- {problem}")?;
        }
        Ok(())
    }
}
