//! What was measured, before it is printed: kinds side by side, each with a figure a round.

use super::statistics::Samples;

/// What one figure of a measurement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    /// As it is printed: `GiB/s`.
    pub(super) name: &'static str,
    /// Digits behind the point.
    pub(super) digits: usize,
    /// Whether the larger figure is the better one.
    pub(super) more_is_better: bool,
}

impl Unit {
    pub(super) const GIB_PER_S: Self = Self { name: "GiB/s", digits: 2, more_is_better: true };
    pub(super) const SECONDS: Self = Self { name: "s", digits: 3, more_is_better: false };
    pub(super) const MS: Self = Self { name: "ms", digits: 1, more_is_better: false };
}

/// Whose figures they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// vmferry's.
    Ours,
    /// QEMU's.
    Peer,
    /// What the machine can do at best, or a plain way of doing the same.
    Limit,
}

impl Role {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "vmferry",
            Self::Peer => "peer",
            Self::Limit => "limit",
        }
    }
}

/// A second figure of a kind, of the same rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Also {
    /// In the JSON document.
    pub(super) key: &'static str,
    /// Head of its column, with the unit.
    pub(super) name: &'static str,
    pub(super) digits: usize,
}

/// One kind.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) samples: Samples,
    /// One for each of [`Measured::also`]; empty where the kind does not have it.
    pub(super) also: Vec<Samples>,
    /// Why it stopped before the last round.
    pub(super) failed: Option<String>,
}

/// How vmferry should compare with another kind.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// In words: `at least QEMU's rate`.
    pub(super) what: &'static str,
    /// The kinds that it is compared with: the first one of this role.
    pub(super) role: Role,
    /// How many times as good as that vmferry should be.
    pub(super) times: f64,
}

/// What a measurement gave.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    /// As `--only` has it.
    pub(super) name: &'static str,
    pub(super) title: String,
    pub(super) unit: Unit,
    pub(super) also: Vec<Also>,
    pub(super) rows: Vec<Row>,
    pub(super) targets: Vec<Target>,
    /// What the reader should know of how it was measured.
    pub(super) notes: Vec<String>,
}

/// How a measurement ended.
#[derive(Debug, Clone)]
pub(super) enum Ended {
    Measured(Measured),
    /// It was not tried.
    LeftOut {
        name: &'static str,
        why: String,
    },
    /// It was, and vmferry or the host failed.
    Failed {
        name: &'static str,
        why: String,
    },
}

/// How a target fared.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    Met(Samples),
    Missed(Samples),
    /// There is nothing to compare with.
    Open,
}

impl Measured {
    fn first(&self, role: Role) -> Option<&Row> {
        self.rows.iter().find(|row| row.role == role)
    }

    /// How many times as good as `row` vmferry is, round by round; nothing if vmferry is not measured here.
    pub(super) fn times_as_good(&self, row: &Row) -> Samples {
        let Some(ours) = self.first(Role::Ours) else { return Samples::default() };
        if self.unit.more_is_better { ours.samples.over(&row.samples) } else { row.samples.over(&ours.samples) }
    }

    pub(super) fn verdict(&self, target: &Target) -> Verdict {
        let times = self.first(target.role).map(|row| self.times_as_good(row)).unwrap_or_default();
        match times.median() {
            median if median.is_nan() => Verdict::Open,
            median if median >= target.times => Verdict::Met(times),
            _ => Verdict::Missed(times),
        }
    }
}

impl Verdict {
    /// `met`, `missed` or `open`.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Met(_) => "met",
            Self::Missed(_) => "missed",
            Self::Open => "open",
        }
    }

    /// With the figures.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Met(times) | Self::Missed(times) => format!("{}: {} times", self.name(), times.text(2)),
            Self::Open => "open: nothing to compare with".to_owned(),
        }
    }
}

impl Ended {
    /// Whether something did not do what it should have done.
    pub(super) fn is_failure(&self) -> bool {
        match self {
            Self::Measured(measured) => measured.rows.iter().any(|row| row.failed.is_some()),
            Self::LeftOut { .. } => false,
            Self::Failed { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(unit: Unit, ours: &[f64], theirs: &[f64]) -> Measured {
        let row = |name: &str, role, figures: &[f64]| Row {
            name: name.to_owned(),
            role,
            samples: Samples(figures.to_vec()),
            also: Vec::new(),
            failed: None,
        };
        Measured {
            name: "precopy",
            title: String::new(),
            unit,
            also: Vec::new(),
            rows: vec![row("vmferry", Role::Ours, ours), row("QEMU", Role::Peer, theirs)],
            targets: vec![Target { what: "at least QEMU's", role: Role::Peer, times: 1.0 }],
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_target_is_met_by_the_median_of_the_pairs() {
        for (unit, ours, theirs, verdict) in [
            (Unit::GIB_PER_S, &[2.0, 2.0, 0.1][..], &[1.0, 2.0, 1.0][..], "met"),
            (Unit::GIB_PER_S, &[2.0, 1.0, 0.1], &[1.0, 2.0, 1.0], "missed"),
            (Unit::SECONDS, &[2.0, 1.0, 0.1], &[1.0, 2.0, 1.0], "met"),
            (Unit::SECONDS, &[2.0, 1.0, 0.1], &[], "open"),
        ] {
            let measured = measured(unit, ours, theirs);
            assert_eq!(measured.verdict(&measured.targets[0]).name(), verdict, "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn what_is_not_there_leaves_a_target_open() {
        let mut measured = measured(Unit::SECONDS, &[1.0], &[2.0]);
        measured.rows.truncate(1);
        assert_eq!(measured.verdict(&measured.targets[0]), Verdict::Open);
    }
}
