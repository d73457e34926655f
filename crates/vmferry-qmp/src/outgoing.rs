//! What waits to be written to one client: replies in the order of their requests, events between them.
//!
//! One thread a client writes. A reply waits until it is written, so a client that does not read does not get its next
//! command executed; an event does not wait, since a client that does not read must not hold up the machine.

use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use serde_json::Value;

/// Messages that may wait for one client; with one more event it is disconnected.
///
/// A migration emits a handful of events and one a pass, so a client that is this far behind does not read at all.
pub(crate) const QUEUE_LIMIT: usize = 1024;

/// Octets after which a batch of messages is written.
const BATCH_BYTES: usize = 64 << 10;

/// Longest time for which a write to a client may make no progress.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Item {
    octets: Vec<u8>,
    /// Answered when the octets are written.
    written: Option<SyncSender<()>>,
}

/// The queue of one client.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    items: SyncSender<Item>,
    stream: Arc<UnixStream>,
}

/// The other end of a queue, to be run on a thread.
#[derive(Debug)]
pub(crate) struct Writer {
    items: Receiver<Item>,
    stream: Arc<UnixStream>,
}

/// Makes the queue of a client.
pub(crate) fn queue(stream: Arc<UnixStream>) -> io::Result<(Outgoing, Writer)> {
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let (sender, receiver) = sync_channel(QUEUE_LIMIT);
    Ok((Outgoing { items: sender, stream: Arc::clone(&stream) }, Writer { items: receiver, stream }))
}

impl Outgoing {
    /// Sends a reply and waits until it is written, so that at most one is kept. False if the client is gone.
    pub(crate) fn reply(&self, message: &Value) -> bool {
        let (written, wait) = sync_channel(1);
        self.items.send(Item { octets: line(message), written: Some(written) }).is_ok() && wait.recv().is_ok()
    }

    /// Queues an event. False if there is no room: the client is then disconnected.
    pub(crate) fn offer(&self, message: &Value) -> bool {
        match self.items.try_send(Item { octets: line(message), written: None }) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                tracing::warn!(limit = QUEUE_LIMIT, "QMP client does not read its events; disconnecting it");
                // Wakes both threads of the client; an error means that it is gone already.
                let _ = self.stream.shutdown(Shutdown::Both);
                false
            }
            Err(TrySendError::Disconnected(_)) => false,
        }
    }
}

impl Writer {
    /// Writes what comes until every [`Outgoing`] is dropped or the client is gone.
    pub(crate) fn run(self) {
        let mut stream = &*self.stream;
        let mut octets = Vec::new();
        let mut waiting = Vec::new();
        while let Ok(first) = self.items.recv() {
            // What has gathered meanwhile goes along, so that a burst costs few system calls.
            for item in std::iter::once(first).chain(self.items.try_iter()) {
                octets.extend_from_slice(&item.octets);
                waiting.extend(item.written);
                if octets.len() >= BATCH_BYTES {
                    break;
                }
            }
            if let Err(error) = stream.write_all(&octets) {
                tracing::debug!(%error, "QMP client cannot be written to");
                break;
            }
            octets.clear();
            for written in waiting.drain(..) {
                // The channel has room for this one word, and its other end waits.
                let _ = written.try_send(());
            }
        }
        // The reader of this client must not wait for requests whose replies nobody can send.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn line(message: &Value) -> Vec<u8> {
    let mut octets = message.to_string().into_bytes();
    octets.extend_from_slice(b"\r\n");
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::io::Read;

    #[test]
    fn an_event_without_room_disconnects_the_client() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (outgoing, writer) = queue(Arc::new(ours)).unwrap();
        for number in 0..QUEUE_LIMIT {
            assert!(outgoing.offer(&json!(number)));
        }
        assert!(!outgoing.offer(&json!("one too many")));
        drop(outgoing);
        // The shutdown makes the writer end at its first write, with nothing written.
        writer.run();
        let mut read = Vec::new();
        theirs.read_to_end(&mut read).unwrap();
        assert!(read.is_empty());
    }

    #[test]
    fn messages_are_written_in_order_and_end_with_cr_lf() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (outgoing, writer) = queue(Arc::new(ours)).unwrap();
        let thread = std::thread::spawn(|| writer.run());
        assert!(outgoing.offer(&json!({"event": "STOP"})));
        assert!(outgoing.reply(&json!({"return": {}})));
        drop(outgoing);
        thread.join().unwrap();
        let mut read = String::new();
        theirs.read_to_string(&mut read).unwrap();
        assert_eq!(read, "{\"event\":\"STOP\"}\r\n{\"return\":{}}\r\n");
    }

    #[test]
    fn a_reply_to_a_client_that_is_gone_is_reported() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let (outgoing, writer) = queue(Arc::new(ours)).unwrap();
        drop(writer);
        assert!(!outgoing.reply(&json!(1)));
        assert!(!outgoing.offer(&json!(1)));
    }
}
