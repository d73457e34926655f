//! Events on their way from the machine to every client.
//!
//! The machine gives each [`Event`] to its [`EventBus`], as it happens and whether or not anybody wants it; the bus
//! stamps it and puts it into the bounded queue of each client that has negotiated. Giving never waits: a client
//! whose queue is full is disconnected.
//!
//! `MIGRATION` and `MIGRATION_PASS` need the capability `events` (`docs/spec/control.md` section 6). The bus filters
//! them; the server tells it when the capability changes.
//!
//! ```text
//! {"event": NAME, "data": {…}, "timestamp": {"seconds": S, "microseconds": U}}      data only where there is any
//! ```

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use vmferry::control::Event;

use crate::outgoing::Outgoing;

/// Hands events to the clients of a machine. Clones lead to the same clients.
#[derive(Clone, Default)]
pub struct EventBus {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Whether capability `events` is on.
    migration_events: AtomicBool,
    clients: Mutex<Clients>,
}

#[derive(Default)]
struct Clients {
    next: u64,
    queues: HashMap<u64, Outgoing>,
}

impl EventBus {
    /// A bus without clients.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends `event` to every client, stamped with the time of the call. Never waits.
    pub fn emit(&self, event: Event) {
        if matches!(event, Event::Migration(_) | Event::MigrationPass(_))
            && !self.shared.migration_events.load(Ordering::Acquire)
        {
            return;
        }
        let (name, data) = match event {
            Event::Stop => ("STOP", None),
            Event::Resume => ("RESUME", None),
            Event::Migration(status) => ("MIGRATION", Some(json!({ "status": status.name() }))),
            Event::MigrationPass(pass) => ("MIGRATION_PASS", Some(json!({ "pass": pass }))),
            Event::Shutdown => ("SHUTDOWN", Some(json!({ "guest": true, "reason": "guest-shutdown" }))),
        };
        self.broadcast(name, data);
    }

    /// Tells the clients that `quit` ends the machine.
    pub(crate) fn emit_quit(&self) {
        self.broadcast("SHUTDOWN", Some(json!({ "guest": false, "reason": "host-qmp-quit" })));
    }

    /// Whether clients are told of the migration's progress (capability `events`).
    pub fn set_migration_events(&self, on: bool) {
        self.shared.migration_events.store(on, Ordering::Release);
    }

    /// Events go to `queue` until the subscription is dropped.
    pub(crate) fn subscribe(&self, queue: Outgoing) -> Subscription {
        let mut clients = self.clients();
        let key = clients.next;
        clients.next = clients.next.wrapping_add(1);
        clients.queues.insert(key, queue);
        Subscription { bus: self.clone(), key }
    }

    fn broadcast(&self, name: &str, data: Option<Value>) {
        // The time is taken under the lock, so that time stamps do not run backwards at a client.
        let mut clients = self.clients();
        if clients.queues.is_empty() {
            return;
        }
        let message = wire_form(name, data, SystemTime::now());
        clients.queues.retain(|_, queue| queue.offer(&message));
    }

    fn clients(&self) -> MutexGuard<'_, Clients> {
        // A panic elsewhere leaves the map usable: each change is one call.
        self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for EventBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBus")
            .field("clients", &self.clients().queues.len())
            .field("migration_events", &self.shared.migration_events)
            .finish()
    }
}

/// Ends a client's part in the bus when dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    bus: EventBus,
    key: u64,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.bus.clients().queues.remove(&self.key);
    }
}

fn wire_form(name: &str, data: Option<Value>, time: SystemTime) -> Value {
    // A clock before 1970 shows as 1970.
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let mut event = json!({
        "event": name,
        "timestamp": { "seconds": since_epoch.as_secs(), "microseconds": since_epoch.subsec_micros() },
    });
    if let (Some(data), Some(members)) = (data, event.as_object_mut()) {
        members.insert("data".to_owned(), data);
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_without_data_has_no_member_data() {
        let time = UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_042);
        let stamp = json!({ "seconds": 1_700_000_000, "microseconds": 42 });
        assert_eq!(wire_form("STOP", None, time), json!({ "event": "STOP", "timestamp": stamp }));
        let pass = json!({ "event": "MIGRATION_PASS", "data": { "pass": 2 }, "timestamp": stamp });
        assert_eq!(wire_form("MIGRATION_PASS", Some(json!({ "pass": 2 })), time), pass);
    }
}
