//! The protocol of a migration as a pair of state machines without I/O.
//!
//! Events go in, actions come out; drivers perform the actions on threads and sockets, the simulator in memory. Page
//! payloads never enter the machines.
//!
//! ```text
//!        source                                               destination
//!   SettingUp    header, configuration, OPEN_RETURN_PATH, PING 1, PING HELLO ──►  Loading
//!   Precopy      ◄── PONG 1, PONG HELLO_ACK (HELLO from a QEMU)
//!                pages, while the guest runs ─────────────────────────────────►
//!   Stopping     the guest stops
//!   LastPages    last pages ─────────────────────────────────────────────────►
//!   Devices      devices ────────────────────────────────────────────────────►
//!   Ending       end of stream, description ─────────────────────────────────►
//!   Verdict      ◄── PONG LOADED ─────────────────────────────────────────────  AwaitRun
//!   ------------ point of no return: the source gives the guest up ------------
//!   HandingOver  PING RUN ───────────────────────────────────────────────────►  the guest starts
//!                ◄── SHUT 0 ──────────────────────────────────────────────────  Completed
//!   Completed
//! ```
//!
//! The steps from HELLO to RUN are ours. They are carried by PING and PONG, whose values QEMU gives no meaning to and
//! echoes: a QEMU destination answers HELLO with HELLO and is thereby known, a QEMU source never sends it. Towards a
//! QEMU the exchange ends with its SHUT, as `docs/spec/postcopy.md` section 2.1 says. `docs/design.md` has the table of
//! what each combination guarantees.

pub mod destination;
pub mod handover;
pub mod source;

#[cfg(test)]
mod simulation;
