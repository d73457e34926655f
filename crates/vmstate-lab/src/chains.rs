//! Chains of migrations: each must end as the direct migration from its first to its last release does.
//!
//! ```text
//!           ┌─► to ─► back ─► …          what arrives at the end of a chain, and what is refused there,
//! from ─► via ─► to                      is what the direct migration from → to gives
//! ```
//!
//! A hop may fail as the direct migration does, or as it is listed for its own two releases; the chain ends there.

use crate::expected::{ChainDifference, Failure};
use crate::guest::Observation;
use crate::lab::{HOPS_LIMIT, Lab};
use crate::pairs::{Arrived, Direct, Start, changes, receive, send};
use crate::refusal::Refusal;
use crate::release::Release;
use crate::running::Running;

/// All chains of a guest.
pub(crate) struct Chains<'a> {
    lab: &'a mut Lab,
    start: Start<'a>,
    direct: &'a [Direct],
}

impl<'a> Chains<'a> {
    pub(crate) fn new(lab: &'a mut Lab, start: Start<'a>, direct: &'a [Direct]) -> Self {
        Self { lab, start, direct }
    }

    /// Goes on from each direct migration that arrived.
    pub(crate) fn run(&mut self) {
        for direct in self.direct.iter().filter(|direct| direct.is_right) {
            if let Ok(Arrived { running, .. }) = &direct.result {
                self.go_on(running, &mut vec![self.start.from.name, direct.to.name]);
            }
        }
    }

    /// Moves a guest, which came by `chain`, to every release, and on from there.
    fn go_on(&mut self, guest: &Running, chain: &mut Vec<&'static str>) {
        if chain.len() > HOPS_LIMIT {
            return;
        }
        let sent = send(self.lab, self.start, guest);
        let all = self.direct;
        for direct in all.iter().filter(|direct| direct.is_right) {
            if self.lab.figures.chains >= self.lab.chains_limit {
                self.lab.figures.chains_left_out += 1;
                continue;
            }
            self.lab.figures.chains += 1;
            chain.push(direct.to.name);
            let moved = match &sent {
                Ok(stream) => receive(self.lab, self.start, direct.to, stream),
                Err(refusal) => Err(refusal.clone()),
            };
            let via = guest.release();
            match (moved, &direct.result) {
                (Ok(moved), Ok(expected)) if self.is_equal(chain, &expected.seen, &moved.seen) => {
                    self.go_on(&moved.running, chain);
                }
                (Ok(_), Ok(_)) => {}
                (Ok(moved), Err(refusal)) => {
                    let text = format!("arrives, where the direct migration fails: {refusal}");
                    if self.is_listed(chain, &text) {
                        self.go_on(&moved.running, chain);
                    }
                }
                (Err(found), _) if self.is_listed_for_pair(via, direct.to, &found) => {}
                (Err(found), Ok(_)) => {
                    self.is_listed(chain, &format!("{found}, where the direct migration works"));
                }
                (Err(found), Err(expected)) => {
                    // Offsets differ where earlier sections do.
                    let is_alike = (found.side, &found.section) == (expected.side, &expected.section)
                        && without_numbers(&found.text) == without_numbers(&expected.text);
                    if !is_alike {
                        self.is_listed(chain, &format!("{found}, where the direct migration says {expected}"));
                    }
                }
            }
            chain.pop();
        }
    }

    fn is_equal(&mut self, chain: &[&str], expected: &Observation, found: &Observation) -> bool {
        expected == found || {
            let text = format!("differs from the direct migration: {}", changes(expected, found));
            self.is_listed(chain, &text)
        }
    }

    /// Whether a hop fails as is listed for its two releases. What is listed says nothing of machines with the settings
    /// of an island's guests.
    fn is_listed_for_pair(&mut self, from: Release, to: Release, refusal: &Refusal) -> bool {
        let (machine, scenario) = (self.start.machine, self.start.scenario.name);
        if [from, to].iter().any(|release| !self.start.globals(*release).is_empty()) {
            return false;
        }
        let text = refusal.to_string();
        let covers = |line: &Failure| line.covers(from.name, to.name, machine, scenario);
        self.lab.failures.meet(covers, |line| text.contains(line.text)).is_true
    }

    /// Whether the tables have this; if not, it is a problem.
    fn is_listed(&mut self, chain: &[&str], text: &str) -> bool {
        let (machine, scenario) = (self.start.machine, self.start.scenario.name);
        let covers = |line: &ChainDifference| line.covers(chain, machine, scenario);
        let met = self.lab.chain_differences.meet(covers, |line| text.contains(line.text));
        if !met.is_true {
            self.lab.problems.push(format!("{} {machine}, '{scenario}': {text}", chain.join(" > ")));
        }
        met.is_true
    }
}

/// A text with each number replaced by `#`.
fn without_numbers(text: &str) -> String {
    let mut plain = String::new();
    for word in text.split(' ') {
        let number = word.trim_end_matches([':', ',']);
        let is_number = number.strip_prefix("0x").is_some_and(|digits| u64::from_str_radix(digits, 16).is_ok());
        plain.push_str(if is_number { "#" } else { word });
        plain.push(' ');
    }
    plain
}
