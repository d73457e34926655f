//! Rounds: each measures every kind once, in turn, so that what disturbs the machine disturbs all of them.
//!
//! The first round is not counted. Every second one goes backwards, so that none always comes behind the same other.

use std::fmt;

use anyhow::{Context as _, Result};

use super::Bench;
use super::results::{Also, Role, Row};
use super::statistics::Samples;

/// What one run of a kind gave.
#[derive(Debug)]
pub(super) struct Took {
    pub(super) figure: f64,
    /// As many as the measurement's [`Also`], or none.
    pub(super) also: Vec<f64>,
}

impl From<f64> for Took {
    fn from(figure: f64) -> Self {
        Self { figure, also: Vec::new() }
    }
}

/// A kind that can be run.
pub(super) struct Contender<'a> {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) run: Box<dyn FnMut() -> Result<Took> + 'a>,
}

impl<'a> Contender<'a> {
    pub(super) fn new(name: impl Into<String>, role: Role, run: impl FnMut() -> Result<Took> + 'a) -> Self {
        Self { name: name.into(), role, run: Box::new(run) }
    }
}

/// Ctrl-C was pressed.
#[derive(Debug)]
pub(super) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Runs every kind in every round.
///
/// A peer that fails is not asked again, and its row says why; another kind that fails ends the measurement.
pub(super) fn alternate(
    bench: &Bench<'_>,
    name: &str,
    also: &[Also],
    mut contenders: Vec<Contender<'_>>,
) -> Result<Vec<Row>> {
    let blank = |contender: &Contender<'_>| Row {
        name: contender.name.clone(),
        role: contender.role,
        samples: Samples::default(),
        also: Vec::new(),
        failed: None,
    };
    let mut rows: Vec<Row> = contenders.iter().map(blank).collect();
    for round in 0..=bench.pairs {
        let mut turns: Vec<_> = contenders.iter_mut().zip(&mut rows).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for (contender, row) in turns {
            bench.check_interrupt()?;
            if row.failed.is_some() {
                continue;
            }
            match (contender.run)() {
                Ok(took) if round > 0 => {
                    bench.output.note(&format!("  {name} {round}/{}: {} {:.3}", bench.pairs, row.name, took.figure));
                    row.add(&took, also.len());
                }
                Ok(_) => {}
                Err(error) if row.role == Role::Peer && !error.is::<Interrupted>() => {
                    let why = format!("{error:#}");
                    bench.output.note(&format!("  {name}: {} failed: {why}", row.name));
                    row.failed = Some(why);
                }
                Err(error) => return Err(error).with_context(|| row.name.clone()),
            }
        }
    }
    Ok(rows)
}

impl Row {
    fn add(&mut self, took: &Took, also: usize) {
        self.samples.0.push(took.figure);
        if took.also.len() == also {
            self.also.resize_with(also, Samples::default);
            for (samples, figure) in self.also.iter_mut().zip(&took.also) {
                samples.0.push(*figure);
            }
        }
    }
}
