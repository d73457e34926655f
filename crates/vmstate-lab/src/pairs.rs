//! Every pair from one release, and what follows from there.

use vmstate::machine::Global;

use crate::chains::Chains;
use crate::expected::Met;
use crate::guest::Observation;
use crate::lab::Lab;
use crate::refusal::{Refusal, Side};
use crate::release::Release;
use crate::report::Matrix;
use crate::running::{Running, Stream};
use crate::scenario::Scenario;

/// Where a guest came from and what it did: what all migrations of one run have in common.
#[derive(Clone, Copy)]
pub(crate) struct Start<'a> {
    pub(crate) from: Release,
    pub(crate) machine: &'a str,
    pub(crate) scenario: &'a Scenario,
    /// Whether destinations are given the settings that guests of an island need.
    pub(crate) is_sticky: bool,
}

/// A direct migration: the guest as it arrived, or why it did not.
pub(crate) struct Direct {
    pub(crate) to: Release,
    pub(crate) result: Result<Arrived, Refusal>,
    /// Whether it ended as the tables say; nothing follows from one that did not.
    pub(crate) is_right: bool,
}

/// A guest that arrived.
pub(crate) struct Arrived {
    pub(crate) running: Running,
    pub(crate) seen: Observation,
}

/// Runs the pairs from `from`, and the chains that begin with them. Says whether the scenario could be done there.
pub(crate) fn run(
    lab: &mut Lab,
    matrix: &mut Matrix,
    releases: &[Release],
    from: Release,
    scenario: &Scenario,
) -> bool {
    let machine = matrix.machine.clone();
    let start = Start { from, machine: &machine, scenario, is_sticky: false };
    let source = match start.source() {
        Ok(Some(source)) => source,
        Ok(None) => return false,
        Err(refusal) => {
            // Nothing moves from a machine that does not start.
            for to in releases {
                let direct = judge(lab, start, *to, Err(refusal.clone()), None);
                note(lab, matrix, start, &direct);
            }
            return true;
        }
    };
    let seen = source.observe();
    note_registers(lab, start, &seen);
    let sent = send(lab, start, &source);
    let mut all = Vec::new();
    for to in releases {
        let moved = match &sent {
            Ok(stream) => receive(lab, start, *to, stream),
            Err(refusal) => Err(refusal.clone()),
        };
        let direct = judge(lab, start, *to, moved, Some(&seen));
        note(lab, matrix, start, &direct);
        all.push(direct);
    }
    Chains::new(lab, start, &all).run();
    if let Ok(stream) = &sent {
        run_sticky(lab, Start { is_sticky: true, ..start }, all, stream, &seen);
    }
    true
}

/// Notes which registers a scenario set to something.
fn note_registers(lab: &mut Lab, start: Start<'_>, seen: &Observation) {
    let at_reset = start.from.start(start.machine, &[]).map(|running| running.observe()).unwrap_or_default();
    for (register, value) in seen.iter() {
        let is_set = at_reset.value(register) != Some(value);
        match lab.registers.get_mut(register) {
            Some(was_set) => *was_set |= is_set,
            None => drop(lab.registers.insert(register.to_owned(), is_set)),
        }
    }
}

/// Once more, where a release knows that guests from here need settings: then it has to take them.
fn run_sticky(lab: &mut Lab, start: Start<'_>, mut all: Vec<Direct>, stream: &Stream, seen: &Observation) {
    let mut has_any = false;
    for direct in all.iter_mut().filter(|direct| !start.globals(direct.to).is_empty()) {
        has_any = true;
        lab.figures.pairs += 1;
        lab.figures.sticky_pairs += 1;
        let result = receive(lab, start, direct.to, stream);
        let problems = match &result {
            Ok(arrived) => compare(lab, start, direct.to, arrived, Some(seen)),
            Err(refusal) => vec![refusal.to_string()],
        };
        let is_right = problems.is_empty();
        let Start { from, machine, scenario, .. } = start;
        for problem in problems {
            let at = format!("{} > {} {machine}, '{}'", from.name, direct.to.name, scenario.name);
            lab.problems.push(format!("{at}, with the settings of the island's guests: {problem}"));
        }
        *direct = Direct { to: direct.to, result, is_right };
    }
    if has_any {
        Chains::new(lab, start, &all).run();
    }
}

impl Start<'_> {
    /// What a destination's operator sets for a guest that was started at the source.
    pub(crate) fn globals(&self, to: Release) -> Vec<Global> {
        let started_on = self.from.family().release;
        let machine = to.family().find(self.machine).filter(|_| self.is_sticky);
        machine.map(|machine| machine.sticky(started_on)).unwrap_or_default()
    }

    /// The machine at the source after the scenario; nothing if this release cannot do it.
    pub(crate) fn source(&self) -> Result<Option<Running>, Refusal> {
        let mut source = self.from.start(self.machine, &[])?;
        Ok(source.apply(|machine| self.scenario.act(machine)).is_ok().then_some(source))
    }
}

/// Saves, and checks that this changed nothing.
pub(crate) fn send(lab: &mut Lab, start: Start<'_>, source: &Running) -> Result<Stream, Refusal> {
    let before = source.observe();
    let sent = source.save();
    let again = source.save();
    let after = source.observe();
    let at = format!("{} {}, '{}'", source.release().name, start.machine, start.scenario.name);
    if before != after {
        lab.problems.push(format!("{at}: saving changed what the guest sees: {}", changes(&before, &after)));
    }
    if sent != again {
        lab.problems.push(format!("{at}: saved again, the machine gives other octets"));
    }
    sent
}

/// Builds a destination and loads, and checks what a refusal leaves behind.
pub(crate) fn receive(lab: &mut Lab, start: Start<'_>, to: Release, stream: &Stream) -> Result<Arrived, Refusal> {
    let mut destination = to.start(start.machine, &start.globals(to))?;
    if let Err(unsupported) = destination.apply(|machine| start.scenario.arrange(machine)) {
        return Err(Refusal::new(Side::Start, None, unsupported.to_string()));
    }
    let before = (destination.observe(), destination.bodies());
    match destination.load(stream) {
        Ok(()) => Ok(Arrived { seen: destination.observe(), running: destination }),
        Err(refusal) => {
            let after = (destination.observe(), destination.bodies());
            let mut touched = Vec::new();
            for (old, new) in before.1.iter().zip(&after.1) {
                let is_loaded = refusal.loaded.contains(&old.0);
                if old != new && !is_loaded {
                    touched.push(format!("{}/{}", old.0.0, old.0.1));
                }
            }
            if refusal.loaded.is_empty() && before.0 != after.0 {
                touched.push(changes(&before.0, &after.0));
            }
            if touched.is_empty() {
                lab.figures.refused_untouched += 1;
            } else {
                let (from, machine, scenario) = (start.from.name, start.machine, start.scenario.name);
                let text = touched.join(", ");
                lab.problems.push(format!(
                    "{from} > {} {machine}, '{scenario}': the load was refused ({refusal}) and changed {text}",
                    to.name
                ));
            }
            Err(refusal)
        }
    }
}

/// Compares a direct migration with the tables.
fn judge(
    lab: &mut Lab,
    start: Start<'_>,
    to: Release,
    result: Result<Arrived, Refusal>,
    seen: Option<&Observation>,
) -> Direct {
    let Start { from, machine, scenario, .. } = start;
    let at = format!("{} > {} {machine}, '{}'", from.name, to.name, scenario.name);
    let text = result.as_ref().err().map(ToString::to_string);
    let Met { is_covered, is_true } = lab.failures.meet(
        |line| line.covers(from.name, to.name, machine, scenario.name),
        |line| text.as_ref().is_some_and(|text| text.contains(line.text)),
    );
    let mut is_right = true;
    match &result {
        Err(_) if is_true => lab.figures.expected_failures += 1,
        Err(refusal) => {
            is_right = false;
            let listed = if is_covered { ", which is not the failure that is listed" } else { "" };
            lab.problems.push(format!("{at}: {refusal}{listed}"));
        }
        Ok(_) if is_covered => {
            is_right = false;
            lab.problems.push(format!("{at}: works, but is listed as a failure"));
        }
        Ok(arrived) => {
            for problem in compare(lab, start, to, arrived, seen) {
                is_right = false;
                lab.problems.push(format!("{at}: {problem}"));
            }
        }
    }
    Direct { to, result, is_right }
}

/// What the guest finds changed and should not.
fn compare(lab: &mut Lab, start: Start<'_>, to: Release, arrived: &Arrived, seen: Option<&Observation>) -> Vec<String> {
    let at_reset = to.start(start.machine, &start.globals(to)).map(|running| running.observe()).unwrap_or_default();
    let mut problems = Vec::new();
    for (register, found) in arrived.seen.iter() {
        let at_source = seen.and_then(|seen| seen.value(register));
        let wanted = at_source.or(at_reset.value(register));
        let Met { is_covered, is_true } = lab.differences.meet(
            |line| {
                line.register == register
                    && wanted != Some(found)
                    && line.covers(start.from.name, to.name, start.machine, start.scenario.name)
            },
            |line| line.value == found,
        );
        if is_true {
            lab.figures.expected_differences += 1;
        } else if wanted != Some(found) {
            let listed = if is_covered { ", and not as listed either" } else { "" };
            let place = if at_source.is_some() { "at the source" } else { "at reset" };
            let wanted = wanted.unwrap_or("nothing");
            problems.push(format!("the guest finds {register} {found}, which was {wanted} {place}{listed}"));
        }
    }
    problems
}

fn note(lab: &mut Lab, matrix: &mut Matrix, start: Start<'_>, direct: &Direct) {
    lab.figures.pairs += 1;
    let Some(cell) = matrix.cell(start.from.name, direct.to.name) else { return };
    match (&direct.result, direct.is_right) {
        (_, false) => cell.wrong += 1,
        (Ok(_), true) => cell.worked += 1,
        (Err(_), true) => cell.refused += 1,
    }
}

/// Registers that differ, with both values.
pub(crate) fn changes(before: &Observation, after: &Observation) -> String {
    let changed = after.iter().filter(|(register, value)| before.value(register) != Some(value));
    let texts = changed
        .map(|(register, value)| format!("{register} {value}, was {}", before.value(register).unwrap_or("not there")));
    texts.collect::<Vec<_>>().join("; ")
}
