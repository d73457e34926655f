//! Counts of what was foretold and what happened.

use std::fmt;

/// Levels of knowledge about the destination.
pub(crate) const LEVELS: [&str; 3] = ["schema", "machine", "reference"];

const VERDICTS: [&str; 3] = ["compatible", "depends", "incompatible"];

/// By level and verdict: streams that loaded, streams that were refused.
#[derive(Debug, Default)]
pub(crate) struct Table {
    counts: [[[usize; 2]; VERDICTS.len()]; LEVELS.len()],
    wrong: Vec<String>,
}

impl Table {
    pub(crate) fn add(&mut self, what: &str, loads: bool, verdicts: [String; LEVELS.len()]) {
        for ((level, counts), verdict) in LEVELS.iter().zip(&mut self.counts).zip(verdicts) {
            let place = VERDICTS.iter().position(|known| *known == verdict).unwrap();
            counts[place][usize::from(!loads)] += 1;
            let happened = if loads { "loads" } else { "is refused" };
            if (verdict == "compatible" && !loads) || (verdict == "incompatible" && loads) {
                self.wrong.push(format!("{what}: {level} says {verdict}, it {happened}"));
            }
            if *level == "reference" && verdict == "depends" {
                println!("{what}: depends, it {happened}");
            }
        }
    }

    pub(crate) fn wrong(&self) -> &[String] {
        &self.wrong
    }

    pub(crate) fn loaded(&self) -> usize {
        self.counts[0].iter().map(|counts| counts[0]).sum()
    }

    pub(crate) fn refused(&self) -> usize {
        self.counts[0].iter().map(|counts| counts[1]).sum()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} loaded, {} refused", self.loaded(), self.refused())?;
        writeln!(f, "level      will load: precision, recall   will be refused: precision, recall   depends")?;
        for (level, [compatible, depends, incompatible]) in LEVELS.iter().zip(self.counts) {
            let share = |part: usize, whole: usize| match whole {
                0 => "      -".to_owned(),
                _ => format!("{part:3}/{whole:3}"),
            };
            writeln!(
                f,
                "{level:10} {}, {}               {}, {}                    {}",
                share(compatible[0], compatible[0] + compatible[1]),
                share(compatible[0], self.loaded()),
                share(incompatible[1], incompatible[0] + incompatible[1]),
                share(incompatible[1], self.refused()),
                depends[0] + depends[1],
            )?;
        }
        Ok(())
    }
}
