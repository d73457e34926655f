//! The destination's half of the protocol.

use super::handover::{ABORT, HELLO, HELLO_ACK, LOADED, RUN};
use crate::control::Owner;

/// How the destination can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnPath {
    /// Not at all.
    None,
    /// To a source that waits for SHUT and resumes if it does not come.
    Qemu,
    /// To a source that hands over in two steps.
    Ferry,
}

/// Where the destination stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// Reads the stream. Owner: source.
    Loading(ReturnPath),
    /// Everything is loaded; waits for the source to give the guest up. Owner: source.
    AwaitRun,
    /// Told a QEMU source that the load succeeded. Owner: unknown until the word is out.
    Reporting,
    /// Starts the guest. Owner: destination.
    Starting(ReturnPath),
    /// The guest is here.
    Completed,
    /// Everything is loaded, but the source's last word is missing: the guest stays stopped, and `cont` starts it.
    Orphaned,
    /// The load failed. Owner: source.
    Failed,
}

/// What happens to the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DestinationEvent {
    /// The source sent OPEN_RETURN_PATH, and the channel has a return direction.
    ReturnPathOpened,
    /// The source sent PING with this value.
    Ping(u32),
    /// The end of the stream was read, and all of it is loaded.
    Loaded,
    /// The last action was performed.
    Done,
    /// The stream could not be loaded, or the last action failed.
    Failed,
    /// The connection was closed or broke.
    Closed,
}

/// What the destination's driver has to do. Without an action it reads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DestinationAction {
    /// Send PONG with this value.
    Pong(u32),
    /// Send SHUT with this value; before a SHUT 1 to our own kind, the reason.
    Shut(u32),
    /// Read the next command; nothing but PING may come.
    AwaitPing,
    /// Start the guest, unless it was stopped at the source or is to stay stopped here.
    StartGuest,
    /// Nothing is left to do.
    Finish,
}

impl Destination {
    /// The start of a load.
    #[must_use]
    pub fn begin() -> Self {
        Self::Loading(ReturnPath::None)
    }

    /// Who may run the guest, as far as this side knows.
    #[must_use]
    pub fn owner(self) -> Owner {
        match self {
            Self::Loading(_) | Self::AwaitRun | Self::Failed => Owner::Source,
            Self::Reporting | Self::Orphaned => Owner::Unknown,
            Self::Starting(_) | Self::Completed => Owner::Destination,
        }
    }

    /// Whether nothing will happen any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Orphaned | Self::Failed)
    }

    /// Takes an event; returns the next state and what to do.
    #[must_use]
    pub fn handle(self, event: DestinationEvent) -> (Self, Vec<DestinationAction>) {
        use DestinationAction as A;
        use DestinationEvent as E;
        match (self, event) {
            (Self::Loading(ReturnPath::None), E::ReturnPathOpened) => (Self::Loading(ReturnPath::Qemu), vec![]),
            // Opened twice: ignored, as QEMU does.
            (Self::Loading(_), E::ReturnPathOpened) => (self, vec![]),
            (Self::Loading(ReturnPath::Qemu), E::Ping(HELLO)) => {
                (Self::Loading(ReturnPath::Ferry), vec![A::Pong(HELLO_ACK)])
            }
            (Self::Loading(ReturnPath::Qemu | ReturnPath::Ferry), E::Ping(value)) => (self, vec![A::Pong(value)]),

            (Self::Loading(ReturnPath::None), E::Loaded) => (Self::Starting(ReturnPath::None), vec![A::StartGuest]),
            (Self::Loading(ReturnPath::Qemu), E::Loaded) => (Self::Reporting, vec![A::Shut(0)]),
            (Self::Loading(ReturnPath::Ferry), E::Loaded) => (Self::AwaitRun, vec![A::Pong(LOADED), A::AwaitPing]),

            // The word is out: a QEMU source has the verdict and stays stopped.
            (Self::Reporting, E::Done) => (Self::Starting(ReturnPath::Qemu), vec![A::StartGuest]),
            // It may be out or not, so neither start nor drop the guest.
            (Self::Reporting, E::Failed | E::Closed) => (Self::Orphaned, vec![A::Finish]),

            (Self::AwaitRun, E::Ping(RUN)) => (Self::Starting(ReturnPath::Ferry), vec![A::StartGuest]),
            (Self::AwaitRun, E::Ping(ABORT)) => (Self::Failed, vec![A::Finish]),
            (Self::AwaitRun, E::Ping(_)) => (self, vec![A::AwaitPing]),
            (Self::AwaitRun, E::Closed | E::Failed) => (Self::Orphaned, vec![A::Finish]),

            (Self::Starting(ReturnPath::Ferry), E::Done) => (Self::Completed, vec![A::Shut(0), A::Finish]),
            (Self::Starting(_), E::Done) => (Self::Completed, vec![A::Finish]),
            // Started or not, it is ours.
            (Self::Starting(_), E::Failed | E::Closed) => (Self::Completed, vec![A::Finish]),

            (Self::Loading(ReturnPath::Qemu | ReturnPath::Ferry), E::Failed) => {
                (Self::Failed, vec![A::Shut(1), A::Finish])
            }
            (Self::Loading(_), E::Failed | E::Closed | E::Ping(_)) => (Self::Failed, vec![A::Finish]),
            (Self::Completed | Self::Orphaned | Self::Failed, _)
            | (_, E::Done | E::ReturnPathOpened | E::Loaded | E::Ping(_)) => (self, vec![]),
        }
    }
}
