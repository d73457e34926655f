//! A laboratory: releases, scenarios and the tables of what is expected.

use std::collections::BTreeMap;

use vmstate::machine::Version;

use crate::expected::{ChainDifference, Difference, Failure, OctetDifference, Table};
use crate::octets;
use crate::pairs;
use crate::recordings::{self, Recording};
use crate::release::Release;
use crate::report::{Figures, Matrix, Report};
use crate::running::Stream;
use crate::scenario::Scenario;

/// Hops of the longest chains: from, via, back or to a third, and once more.
pub const HOPS_LIMIT: usize = 3;

/// Chains in one run; what is beyond is counted as left out. A chain takes some ten microseconds, and five releases
/// with five machine types and five scenarios have some ten thousand.
pub const CHAINS_LIMIT: usize = 100_000;

/// Releases side by side.
#[derive(Debug)]
pub struct Lab {
    pub(crate) releases: Vec<Release>,
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) failures: Table<Failure>,
    pub(crate) differences: Table<Difference>,
    pub(crate) octet_differences: Table<OctetDifference>,
    pub(crate) chain_differences: Table<ChainDifference>,
    recordings: Vec<Recording>,
    pub(crate) chains_limit: usize,
    pub(crate) figures: Figures,
    pub(crate) problems: Vec<String>,
    /// Registers, and whether a scenario gave them another value than they have at reset.
    pub(crate) registers: BTreeMap<String, bool>,
    /// Registers that no scenario sets, each with the reason; nothing if that is not looked at.
    idle: Option<Vec<(&'static str, &'static str)>>,
}

impl Lab {
    /// A laboratory of these releases, oldest first: the first that has a machine type is taken for the one that
    /// introduced it.
    #[must_use]
    pub fn new(releases: &[Release]) -> Self {
        Self {
            releases: releases.to_vec(),
            scenarios: vec![Scenario::at_reset()],
            failures: Table::new(),
            differences: Table::new(),
            octet_differences: Table::new(),
            chain_differences: Table::new(),
            recordings: Vec::new(),
            chains_limit: CHAINS_LIMIT,
            figures: Figures::default(),
            problems: Vec::new(),
            registers: BTreeMap::new(),
            idle: None,
        }
    }

    /// Adds a scenario. One is there already: [`Scenario::AT_RESET`].
    #[must_use]
    pub fn scenario(mut self, scenario: Scenario) -> Self {
        self.scenarios.push(scenario);
        self
    }

    /// Adds pairs that are expected to fail.
    #[must_use]
    pub fn fails(mut self, lines: &[Failure]) -> Self {
        self.failures.extend(lines);
        self
    }

    /// Adds registers that are expected to change.
    #[must_use]
    pub fn differs(mut self, lines: &[Difference]) -> Self {
        self.differences.extend(lines);
        self
    }

    /// Adds streams that are expected not to be those of the release that introduced the machine type.
    #[must_use]
    pub fn octets_differ(mut self, lines: &[OctetDifference]) -> Self {
        self.octet_differences.extend(lines);
        self
    }

    /// Adds chains that are expected not to end as the direct migration does.
    #[must_use]
    pub fn chains_differ(mut self, lines: &[ChainDifference]) -> Self {
        self.chain_differences.extend(lines);
        self
    }

    /// Has every register set by a scenario, except for these, each with the reason: of any other that has its reset
    /// value in all of them it is not known whether it arrives, and that is then a problem.
    #[must_use]
    pub fn sets_all_registers_but(mut self, registers: &[(&'static str, &'static str)]) -> Self {
        self.idle.get_or_insert_default().extend(registers);
        self
    }

    /// Adds streams of releases that are not here any more.
    #[must_use]
    pub fn recordings(mut self, recordings: &[Recording]) -> Self {
        self.recordings.extend(recordings);
        self
    }

    /// Runs no more chains than these.
    #[must_use]
    pub fn chains_up_to(mut self, chains: usize) -> Self {
        self.chains_limit = chains;
        self
    }

    /// What each release sends of each machine type in each scenario that it can do: name of the release, machine type,
    /// stream. For checks of streams that need no destination.
    #[must_use]
    pub fn streams(&self) -> Vec<(&'static str, String, Stream)> {
        let mut streams = Vec::new();
        for release in &self.releases {
            for machine in release.machines() {
                let sent = self.scenarios.iter().filter_map(|scenario| octets::sent(&machine, *release, scenario));
                streams.extend(sent.map(|stream| (release.name, machine.clone(), stream)));
            }
        }
        streams
    }

    /// Makes every migration.
    #[must_use]
    pub fn run(mut self) -> Report {
        let machines = self.machines();
        let mut matrices = Vec::new();
        let scenarios = std::mem::take(&mut self.scenarios);
        let mut was_run = vec![false; scenarios.len()];
        for machine in &machines {
            let releases: Vec<Release> = self.releases.iter().filter(|release| release.has(machine)).copied().collect();
            let mut matrix = Matrix::new(machine, releases.iter().map(|release| release.name).collect());
            for (scenario, was_run) in scenarios.iter().zip(&mut was_run) {
                for from in &releases {
                    *was_run |= pairs::run(&mut self, &mut matrix, &releases, *from, scenario);
                }
                octets::compare(&mut self, machine, &releases, scenario);
            }
            matrices.push(matrix);
        }
        for recording in std::mem::take(&mut self.recordings) {
            recordings::run(&mut self, &recording, &scenarios);
        }
        for (scenario, _) in scenarios.iter().zip(was_run).filter(|(_, was_run)| !was_run) {
            self.problems.push(format!("scenario '{}': no release can do what it does", scenario.name));
        }
        self.look_for_idle_registers();
        self.look_for_lines_in_vain();
        Report { figures: self.figures, problems: self.problems, matrices }
    }

    /// Machine types of all releases, in the order of their introduction.
    fn machines(&mut self) -> Vec<String> {
        let mut machines: Vec<String> = Vec::new();
        for (index, release) in self.releases.iter().enumerate() {
            if self.releases.iter().take(index).any(|earlier| earlier.name == release.name) {
                self.problems.push(format!("two releases are called {}", release.name));
            }
            if Version::parse(release.name) != Some(release.family().release) {
                let (name, of) = (release.name, release.family().release);
                self.problems.push(format!("release {name} has the machine types of release {of}"));
            }
            for machine in release.machines() {
                if !machines.contains(&machine) {
                    machines.push(machine);
                }
            }
        }
        if machines.is_empty() {
            self.problems.push("no release has a machine type".to_owned());
        }
        machines
    }

    fn look_for_idle_registers(&mut self) {
        let Some(idle) = &self.idle else { return };
        let is_known = |register: &str| idle.iter().any(|(idle, _)| *idle == register);
        for (register, _) in self.registers.iter().filter(|(register, is_set)| !**is_set && !is_known(register)) {
            self.problems
                .push(format!("{register} has its reset value in every scenario: whether it arrives is not known"));
        }
        for (register, reason) in idle {
            if self.registers.get(*register) != Some(&false) || reason.is_empty() {
                self.problems
                    .push(format!("{register} is listed as never set ({reason}), and is not, or has no reason"));
            }
        }
    }

    fn look_for_lines_in_vain(&mut self) {
        let mut lines: Vec<String> = Vec::new();
        lines.extend(self.failures.in_vain().map(|line| format!("{line:?}")));
        lines.extend(self.differences.in_vain().map(|line| format!("{line:?}")));
        lines.extend(self.octet_differences.in_vain().map(|line| format!("{line:?}")));
        lines.extend(self.chain_differences.in_vain().map(|line| format!("{line:?}")));
        self.problems.extend(lines.into_iter().map(|line| format!("expected, and never happened: {line}")));
        let mut without: Vec<String> = Vec::new();
        let failures = self.failures.lines().filter(|line| line.reason.is_empty() || line.text.is_empty());
        without.extend(failures.map(|line| format!("{line:?}")));
        without.extend(self.differences.lines().filter(|line| line.reason.is_empty()).map(|line| format!("{line:?}")));
        let octets = self.octet_differences.lines().filter(|line| line.reason.is_empty());
        without.extend(octets.map(|line| format!("{line:?}")));
        let chains = self.chain_differences.lines().filter(|line| line.reason.is_empty() || line.text.is_empty());
        without.extend(chains.map(|line| format!("{line:?}")));
        self.problems.extend(without.into_iter().map(|line| format!("expected without saying what or why: {line}")));
    }
}
