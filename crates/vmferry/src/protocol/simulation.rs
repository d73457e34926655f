//! Both machines in memory, with every fault at every step: the whole space is enumerated, not sampled.
//!
//! The world holds two ends and the octets between them. A step delivers the next message of a direction, lets an
//! action succeed or fail, breaks the connection, cancels, or kills a process. From every world all steps are tried.

use std::collections::{HashSet, VecDeque};

use super::destination::{Destination, DestinationAction, DestinationEvent};
use super::handover::{ABORT, CONFIRM, HELLO};
use super::source::{Peer, Source, SourceAction, SourceEvent};
use crate::channel::Transport;
use crate::control::Owner;

/// What travels from source to destination, beside pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Forward {
    OpenReturnPath,
    Ping(u32),
    /// A part of the stream whose loading may fail.
    Part,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Backward {
    Pong(u32),
    Shut(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum DestinationKind {
    Ferry,
    /// Echoes pings, starts by itself, then says SHUT 0; `paused` is QEMU's `-S`.
    Qemu {
        paused: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct World {
    source: Source,
    source_actions: VecDeque<SourceAction>,
    source_runs: bool,
    source_alive: bool,
    /// The source performed `Relinquish`: only an explicit `cont` starts it.
    relinquished: bool,
    kind: DestinationKind,
    destination: Destination,
    destination_actions: VecDeque<DestinationAction>,
    destination_runs: bool,
    destination_alive: bool,
    forward: VecDeque<Forward>,
    backward: VecDeque<Backward>,
    connected: bool,
    /// Both ends notice a broken connection once.
    source_knows: bool,
    destination_knows: bool,
    cancelled: bool,
    /// The source learned that everything before the end was loaded.
    is_confirmed: bool,
    /// The write of the end has not returned yet.
    end_is_pending: bool,
}

impl World {
    fn new(kind: DestinationKind) -> Self {
        let (source, actions) = Source::begin(Transport::Socket, true);
        Self {
            source,
            source_actions: actions.into(),
            source_runs: true,
            source_alive: true,
            relinquished: false,
            kind,
            destination: Destination::begin(),
            destination_actions: VecDeque::new(),
            destination_runs: false,
            destination_alive: true,
            forward: VecDeque::new(),
            backward: VecDeque::new(),
            connected: true,
            source_knows: false,
            destination_knows: false,
            cancelled: false,
            is_confirmed: false,
            end_is_pending: false,
        }
    }

    fn key(&self) -> String {
        format!("{self:?}")
    }

    fn tell_source(&mut self, event: SourceEvent) {
        let (next, actions) = self.source.handle(event);
        // A failure ends whatever was still to be done.
        if next.is_final() && !self.source.is_final() {
            self.source_actions.clear();
        }
        self.source = next;
        self.source_actions.extend(actions);
    }

    fn tell_destination(&mut self, event: DestinationEvent) {
        let (next, actions) = self.destination.handle(event);
        self.destination = next;
        self.destination_actions.extend(actions);
    }

    /// Performs the source's next action; `None` if that needs the connection and it is gone.
    fn perform_source(&mut self, action: SourceAction) -> bool {
        let sends: &[Forward] = match action {
            SourceAction::SetUp { .. } => {
                &[Forward::OpenReturnPath, Forward::Ping(1), Forward::Ping(HELLO), Forward::Part]
            }
            SourceAction::SendPages | SourceAction::SendLastPages | SourceAction::SendDevices => &[Forward::Part],
            SourceAction::SendEnd => &[Forward::End],
            SourceAction::Ping(value) => &[Forward::Ping(value)],
            _ => &[],
        };
        if !sends.is_empty() && !self.connected {
            return false;
        }
        self.forward.extend(sends);
        match action {
            SourceAction::StopGuest => self.source_runs = false,
            SourceAction::Resume => self.source_runs = true,
            SourceAction::Relinquish => self.relinquished = true,
            _ => {}
        }
        true
    }

    /// All worlds that one step leads to.
    fn steps(&self) -> Vec<World> {
        let mut next = Vec::new();
        if self.source_alive {
            self.source_steps(&mut next);
        }
        if self.destination_alive {
            self.destination_steps(&mut next);
        }
        if self.connected {
            // What was under way is lost.
            let mut broken = self.clone();
            broken.connected = false;
            broken.forward.clear();
            broken.backward.clear();
            next.push(broken);
        }
        // A process dies: its guest with it, the connection breaks, what was sent before may still arrive.
        if self.source_alive && self.connected {
            let mut dead = self.clone();
            dead.source_alive = false;
            dead.source_runs = false;
            dead.connected = false;
            next.push(dead);
        }
        if self.destination_alive && self.connected {
            let mut dead = self.clone();
            dead.destination_alive = false;
            dead.destination_runs = false;
            dead.connected = false;
            next.push(dead);
        }
        next
    }

    fn source_steps(&self, next: &mut Vec<World>) {
        if self.end_is_pending {
            for event in [SourceEvent::Done, SourceEvent::Failed] {
                let mut world = self.clone();
                world.end_is_pending = false;
                world.tell_source(event);
                next.push(world);
            }
        } else if let Some(&action) = self.source_actions.front() {
            let mut world = self.clone();
            world.source_actions.pop_front();
            let last = matches!(action, SourceAction::Finish | SourceAction::Resume | SourceAction::Relinquish);
            let waits = action == SourceAction::AwaitVerdict;
            let mut failed = world.clone();
            if action == SourceAction::SendEnd {
                // A part of it is out, and may be all that the peer needs; it may answer before the write returns.
                let mut pending = world.clone();
                pending.end_is_pending = pending.perform_source(action);
                next.push(pending);
            }
            if world.perform_source(action) {
                // An ABORT is not acknowledged: the machine is final already.
                if !last && !waits && action != SourceAction::Ping(ABORT) {
                    world.tell_source(SourceEvent::Done);
                }
                if action == SourceAction::SendPages && self.forward.len() <= 3 {
                    // The same step, but the driver finds that the rest is small.
                    let mut converged = self.clone();
                    converged.source_actions.pop_front();
                    converged.perform_source(action);
                    converged.tell_source(SourceEvent::Converged);
                    next.push(converged);
                }
                // Keep the space finite: pages in precopy need not be sent again and again.
                if !(action == SourceAction::SendPages && self.forward.len() > 3) {
                    next.push(world);
                }
            }
            if !last && !waits {
                // The action fails half way: nothing of it, or all of it, may have reached the peer.
                failed.tell_source(SourceEvent::Failed);
                next.push(failed.clone());
                let mut sent = self.clone();
                sent.source_actions.pop_front();
                if sent.perform_source(action) {
                    sent.tell_source(SourceEvent::Failed);
                    next.push(sent);
                }
            }
        }
        if let Some(&message) = self.backward.front() {
            let mut world = self.clone();
            world.backward.pop_front();
            world.is_confirmed |= message == Backward::Pong(CONFIRM);
            world.tell_source(match message {
                Backward::Pong(value) => SourceEvent::Pong(value),
                Backward::Shut(value) => SourceEvent::Shut(value),
            });
            next.push(world);
        } else if !self.connected && !self.source_knows {
            let mut world = self.clone();
            world.source_knows = true;
            world.tell_source(SourceEvent::ReturnPathClosed);
            next.push(world);
        }
        if !self.cancelled && !self.source.is_final() {
            let mut world = self.clone();
            world.cancelled = true;
            world.tell_source(SourceEvent::Cancel);
            next.push(world);
        }
    }

    fn destination_steps(&self, next: &mut Vec<World>) {
        match self.kind {
            DestinationKind::Ferry => self.ferry_steps(next),
            DestinationKind::Qemu { paused } => self.qemu_steps(paused, next),
        }
    }

    fn ferry_steps(&self, next: &mut Vec<World>) {
        if let Some(&action) = self.destination_actions.front()
            && (action != DestinationAction::AwaitPing || self.forward.is_empty())
        {
            self.ferry_action(action, next);
        }
        let reads = self.destination_actions.is_empty()
            || self.destination_actions.front() == Some(&DestinationAction::AwaitPing);
        if !reads || self.destination.is_final() {
            return;
        }
        let Some(&message) = self.forward.front() else { return };
        let mut world = self.clone();
        world.forward.pop_front();
        world.destination_actions.clear();
        match message {
            Forward::OpenReturnPath => world.tell_destination(DestinationEvent::ReturnPathOpened),
            Forward::Ping(value) => world.tell_destination(DestinationEvent::Ping(value)),
            Forward::End => world.tell_destination(DestinationEvent::Loaded),
            Forward::Part => {
                let mut refused = world.clone();
                refused.tell_destination(DestinationEvent::Failed);
                next.push(refused);
            }
        }
        next.push(world);
    }

    fn ferry_action(&self, action: DestinationAction, next: &mut Vec<World>) {
        let mut world = self.clone();
        let answer = match action {
            DestinationAction::Pong(value) => Some(Backward::Pong(value)),
            DestinationAction::Shut(value) => Some(Backward::Shut(value)),
            DestinationAction::AwaitPing => {
                if !self.connected && !self.destination_knows {
                    world.destination_actions.pop_front();
                    world.destination_knows = true;
                    world.tell_destination(DestinationEvent::Closed);
                    next.push(world);
                }
                return;
            }
            DestinationAction::StartGuest => {
                world.destination_runs = true;
                None
            }
            DestinationAction::Finish => None,
        };
        world.destination_actions.pop_front();
        if answer.is_some() && !self.connected {
            world.tell_destination(DestinationEvent::Failed);
            next.push(world);
            return;
        }
        world.backward.extend(answer);
        let waits = matches!(action, DestinationAction::Pong(_) | DestinationAction::Finish);
        if !waits {
            world.tell_destination(DestinationEvent::Done);
        }
        next.push(world);
    }

    /// A model of QEMU's destination, written from `docs/spec/postcopy.md` section 2.1.
    fn qemu_steps(&self, paused: bool, next: &mut Vec<World>) {
        let Some(&message) = self.forward.front() else { return };
        let mut world = self.clone();
        world.forward.pop_front();
        match message {
            Forward::OpenReturnPath => {}
            Forward::Ping(value) => world.backward.extend(self.connected.then_some(Backward::Pong(value))),
            Forward::Part => {
                let mut refused = world.clone();
                refused.backward.extend(self.connected.then_some(Backward::Shut(1)));
                refused.destination_alive = false;
                next.push(refused);
                // Seen with 5.2 to 11.1: the process ends without a word.
                let mut mute = world.clone();
                mute.destination_alive = false;
                mute.connected = false;
                next.push(mute);
            }
            Forward::End => {
                world.destination = Destination::Completed;
                world.destination_runs = !paused;
                world.backward.extend(self.connected.then_some(Backward::Shut(0)));
            }
        }
        next.push(world);
    }
}

/// Visits every world that can be reached and checks it.
fn explore(kind: DestinationKind, check: impl Fn(&World)) -> usize {
    let mut seen = HashSet::new();
    let mut queue = vec![World::new(kind)];
    while let Some(world) = queue.pop() {
        if !seen.insert(world.key()) {
            continue;
        }
        assert!(seen.len() < 2_000_000, "the space is finite");
        check(&world);
        queue.extend(world.steps());
    }
    seen.len()
}

fn settled(world: &World) -> bool {
    let source = !world.source_alive || (world.source.is_final() && world.source_actions.is_empty());
    let destination =
        !world.destination_alive || (world.destination.is_final() && world.destination_actions.is_empty());
    source && destination
}

#[test]
fn between_our_own_ends_the_guest_runs_at_exactly_one() {
    let worlds = explore(DestinationKind::Ferry, |world| {
        assert!(!(world.source_runs && world.destination_runs), "it runs at both: {world:?}");
        if world.destination_runs {
            assert!(world.relinquished, "it runs at the destination before the source let go: {world:?}");
        }
        if world.relinquished {
            assert!(!world.source_runs, "the source runs what it gave up: {world:?}");
        }
        if settled(world) && world.source_alive && world.destination_alive {
            let here = world.source_runs;
            let there = world.destination_runs;
            let startable = matches!(world.destination, Destination::Completed | Destination::Orphaned);
            assert!(here || there || startable, "nobody has the guest: {world:?}");
        }
    });
    assert!(worlds > 1_000, "the space was walked: {worlds} worlds");
}

#[test]
fn the_owner_that_the_source_reports_is_true() {
    explore(DestinationKind::Ferry, |world| {
        if world.source_alive && world.source.owner() == Owner::Source {
            assert!(!world.destination_runs, "{world:?}");
        }
        if world.source_alive && world.source.is_final() && world.source_actions.is_empty() {
            match world.source.owner() {
                Owner::Source => assert!(world.source_runs, "{world:?}"),
                Owner::Destination | Owner::Unknown => assert!(!world.source_runs, "{world:?}"),
            }
        }
    });
}

#[test]
fn a_qemu_that_starts_by_itself_never_makes_two_that_run() {
    for paused in [false, true] {
        let worlds = explore(DestinationKind::Qemu { paused }, |world| {
            assert!(!(world.source_runs && world.destination_runs), "it runs at both: {world:?}");
            if world.source_alive && world.source.is_final() && world.source_actions.is_empty() && !world.source_runs {
                assert_ne!(world.source.owner(), Owner::Source, "{world:?}");
            }
            if world.source == Source::Failed(Owner::Unknown) {
                assert!(world.is_confirmed, "it could have been kept: {world:?}");
            }
        });
        assert!(worlds > 500, "the space was walked: {worlds} worlds");
    }
}

#[test]
fn without_faults_both_ends_complete() {
    for kind in [DestinationKind::Ferry, DestinationKind::Qemu { paused: false }] {
        let completed = std::cell::Cell::new(false);
        explore(kind, |world| {
            let fine = world.connected && !world.cancelled && settled(world);
            if fine && world.source == Source::Completed(Owner::Destination) {
                assert!(world.destination_runs);
                completed.set(true);
            }
        });
        assert!(completed.get());
    }
}

#[test]
fn a_second_attempt_may_start_wherever_the_first_left_the_guest_at_the_source() {
    explore(DestinationKind::Ferry, |world| {
        if world.source == Source::Failed(Owner::Source) && world.source_actions.is_empty() && world.source_alive {
            assert!(world.source_runs && !world.relinquished, "{world:?}");
        }
    });
}

#[test]
fn a_peer_that_never_says_who_it_is_never_gets_the_guest() {
    explore(DestinationKind::Ferry, |world| {
        if !world.source_runs && world.source_alive {
            let unknown = matches!(
                world.source,
                Source::LastPages(Peer::Unknown) | Source::Devices(Peer::Unknown) | Source::Ending(Peer::Unknown)
            );
            assert!(!unknown, "{world:?}");
        }
    });
}
