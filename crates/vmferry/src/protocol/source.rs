//! The source's half of the protocol.

use super::handover::{ABORT, CONFIRM, HELLO, HELLO_ACK, LOADED, RUN};
use crate::channel::Transport;
use crate::control::Owner;

/// Who is at the other end, as far as the source knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// There is no return path; nothing will ever be known.
    Mute(Transport),
    /// The return path is open, and no answer came yet.
    Unknown,
    /// A QEMU: it starts the guest by itself and tells with SHUT.
    Qemu,
    /// One of ours: it starts the guest when told.
    Ferry,
}

/// Where the source stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Writes the head of the stream. Owner: source.
    SettingUp(Peer),
    /// Sends pages while the guest runs. Owner: source.
    Precopy(Peer),
    /// Stops the guest. Owner: source.
    Stopping(Peer),
    /// Sends the last pages. Owner: source.
    LastPages(Peer),
    /// Sends the devices. Owner: source.
    Devices(Peer),
    /// Waits until a QEMU has loaded all but the end of the stream, without which it starts nothing. Owner: source.
    Confirming,
    /// Writes the end of the stream. Owner: source towards our own kind and files, else unknown until told.
    Ending(Peer),
    /// Waits for the destination's verdict. Owner: as in `Ending`.
    Verdict(Peer),
    /// Gave the guest up and tells the destination so. Owner: destination.
    HandingOver,
    /// It is over, and the guest is not here any more.
    Completed(Owner),
    /// It failed. Owner: source, which resumes; or unknown, and nobody resumes by himself.
    Failed(Owner),
}

/// What happens to the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceEvent {
    /// The last action was performed in full.
    Done,
    /// What is still dirty fits into the allowed downtime.
    Converged,
    /// PONG with this value.
    Pong(u32),
    /// SHUT with this value.
    Shut(u32),
    /// The return path was closed or broke.
    ReturnPathClosed,
    /// The last action failed.
    Failed,
    /// The operator wants the migration to end.
    Cancel,
}

/// What the source's driver has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceAction {
    /// Write header and configuration, open the return path if there is one, start the dirty log, list the RAM blocks.
    SetUp {
        /// Whether to write OPEN_RETURN_PATH and the pings.
        return_path: bool,
    },
    /// Send pages, and report [`SourceEvent::Converged`] when the rest is small enough.
    SendPages,
    /// Stop the guest.
    StopGuest,
    /// Synchronise once more and send all that is dirty.
    SendLastPages,
    /// Send the devices and flush, so that only the end of the stream is unsent.
    SendDevices,
    /// Write the end of the stream and the description, and flush. Towards a mute peer: finish the channel.
    SendEnd,
    /// Wait for the return path.
    AwaitVerdict,
    /// Give the guest up: from now on only an explicit `cont` starts it here.
    Relinquish,
    /// Send PING with this value.
    Ping(u32),
    /// Let the guest be what it was before.
    Resume,
    /// Nothing is left to do.
    Finish,
}

impl Source {
    /// The start of a migration over `transport`.
    #[must_use]
    pub fn begin(transport: Transport, return_path: bool) -> (Self, Vec<SourceAction>) {
        let return_path = return_path && transport == Transport::Socket;
        let peer = if return_path { Peer::Unknown } else { Peer::Mute(transport) };
        (Self::SettingUp(peer), vec![SourceAction::SetUp { return_path }])
    }

    /// Who may run the guest.
    #[must_use]
    pub fn owner(self) -> Owner {
        match self {
            Self::SettingUp(_)
            | Self::Precopy(_)
            | Self::Stopping(_)
            | Self::LastPages(_)
            | Self::Devices(_)
            | Self::Confirming => Owner::Source,
            // Nobody reads a file yet, and our own kind waits to be told.
            Self::Ending(Peer::Ferry | Peer::Mute(Transport::File)) | Self::Verdict(Peer::Ferry) => Owner::Source,
            Self::Ending(_) | Self::Verdict(_) => Owner::Unknown,
            Self::HandingOver => Owner::Destination,
            Self::Completed(owner) | Self::Failed(owner) => owner,
        }
    }

    /// Whether the guest stands still because of the migration.
    #[must_use]
    pub fn holds_guest(self) -> bool {
        !matches!(self, Self::SettingUp(_) | Self::Precopy(_) | Self::Stopping(_) | Self::Failed(Owner::Source))
    }

    /// Whether nothing will happen any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed(_) | Self::Failed(_))
    }

    /// Takes an event; returns the next state and what to do.
    #[must_use]
    pub fn handle(self, event: SourceEvent) -> (Self, Vec<SourceAction>) {
        use SourceAction as A;
        use SourceEvent as E;
        match (self, event) {
            // The way of success.
            (Self::SettingUp(peer), E::Done) => (Self::Precopy(peer), vec![A::SendPages]),
            (Self::Precopy(Peer::Unknown), E::Converged | E::Done) => (self, vec![A::SendPages]),
            (Self::Precopy(peer), E::Converged) => (Self::Stopping(peer), vec![A::StopGuest]),
            (Self::Precopy(_), E::Done) => (self, vec![A::SendPages]),
            (Self::Stopping(peer), E::Done) => (Self::LastPages(peer), vec![A::SendLastPages]),
            (Self::LastPages(peer), E::Done) => (Self::Devices(peer), vec![A::SendDevices]),
            (Self::Devices(Peer::Qemu), E::Done) => (Self::Confirming, vec![A::Ping(CONFIRM)]),
            (Self::Confirming, E::Done) => (self, vec![A::AwaitVerdict]),
            (Self::Confirming, E::Pong(CONFIRM)) => (Self::Ending(Peer::Qemu), vec![A::SendEnd]),
            (Self::Devices(peer), E::Done) => (Self::Ending(peer), vec![A::SendEnd]),
            (Self::Ending(Peer::Mute(_)), E::Done) => (Self::Completed(Owner::Unknown), vec![A::Relinquish, A::Finish]),
            (Self::Ending(peer), E::Done) => (Self::Verdict(peer), vec![A::AwaitVerdict]),
            (Self::Verdict(Peer::Ferry), E::Pong(LOADED)) => (Self::HandingOver, vec![A::Relinquish, A::Ping(RUN)]),
            // It needs the end mark, and not all of what follows.
            (Self::Ending(Peer::Qemu) | Self::Verdict(Peer::Qemu), E::Shut(0)) => {
                (Self::Completed(Owner::Destination), vec![A::Relinquish, A::Finish])
            }
            (Self::HandingOver, E::Done) => (self, vec![A::AwaitVerdict]),
            // RUN arrived, or nobody will ever know; the guest is the destination's either way.
            (Self::HandingOver, E::Shut(_) | E::ReturnPathClosed | E::Failed) => {
                (Self::Completed(Owner::Destination), vec![A::Finish])
            }

            // Who is there?
            (Self::SettingUp(Peer::Unknown), E::Pong(HELLO_ACK)) => (Self::SettingUp(Peer::Ferry), vec![]),
            (Self::SettingUp(Peer::Unknown), E::Pong(HELLO)) => (Self::SettingUp(Peer::Qemu), vec![]),
            (Self::Precopy(Peer::Unknown), E::Pong(HELLO_ACK)) => (Self::Precopy(Peer::Ferry), vec![]),
            (Self::Precopy(Peer::Unknown), E::Pong(HELLO)) => (Self::Precopy(Peer::Qemu), vec![]),

            // Once the last octet may be with a peer that starts by itself, only its verdict counts: a broken
            // connection says nothing, and a cancellation comes too late.
            (Self::Ending(Peer::Qemu | Peer::Mute(Transport::Pipe | Transport::Socket)), E::Failed)
            | (Self::Ending(Peer::Qemu), E::ReturnPathClosed)
            | (Self::Verdict(Peer::Qemu), E::ReturnPathClosed | E::Failed) => {
                (Self::Failed(Owner::Unknown), vec![A::Finish])
            }
            (Self::Ending(Peer::Qemu | Peer::Mute(_)) | Self::Verdict(Peer::Qemu) | Self::HandingOver, E::Cancel) => {
                (self, vec![])
            }

            // Our own kind waits to be told, so the source may keep the guest; it says so if it still can.
            (Self::Ending(Peer::Ferry) | Self::Verdict(Peer::Ferry), E::Cancel) => {
                (Self::Failed(Owner::Source), vec![A::Ping(ABORT), A::Resume, A::Finish])
            }

            // A PONG to the first ping, or one that says nothing new.
            (_, E::Pong(_)) => (self, vec![]),
            // After the end an event is an echo.
            (Self::Completed(_) | Self::Failed(_), _) => (self, vec![]),
            // Anything else before the point of no return: the guest stays, and resumes.
            (_, E::Failed | E::Cancel | E::ReturnPathClosed | E::Shut(_)) => {
                (Self::Failed(Owner::Source), vec![A::Resume, A::Finish])
            }
            (_, E::Done | E::Converged) => (self, vec![]),
        }
    }
}
