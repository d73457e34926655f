//! A QMP client: of our servers and of QEMU's.
//!
//! Source: `docs/spec/control.md` sections 1 and 12. One command at a time; events that come before a reply are kept
//! for [`Client::next_event`].

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::descriptors::send_with_descriptor;
use crate::framing::{Fault, Limits, Splitter};
use crate::strict;

/// Longest time in which a server answers a command.
///
/// Commands of migration return at once; a QEMU whose main loop writes to a slow disk may take seconds.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// Events kept for [`Client::next_event`]; with one more the oldest is dropped.
const EVENTS_LIMIT: usize = 65_536;

/// Octets read at a time.
const READ_BYTES: usize = 16 << 10;

/// Why a command had no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens.
    #[error("cannot connect to the QMP socket '{path}'")]
    Connect {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What answers is no QMP server.
    #[error("expected the greeting of a QMP server, found {found}")]
    NoGreeting {
        /// The message.
        found: String,
    },
    /// The server closed the connection.
    #[error("the QMP server closed the connection")]
    Closed,
    /// The server did not answer in time.
    #[error("the QMP server did not answer within {} s", .limit.as_secs())]
    Timeout {
        /// How long was waited.
        limit: Duration,
    },
    /// The connection failed.
    #[error("the connection to the QMP server failed")]
    Io {
        /// What the system said.
        #[from]
        source: io::Error,
    },
    /// The server sent what is no JSON value, or passes a limit.
    #[error("the QMP server sent no valid message")]
    Framing {
        /// What is wrong with it.
        #[from]
        source: Fault,
    },
    /// The server sent what is no JSON value.
    #[error("the QMP server sent no valid message")]
    Json {
        /// What is wrong with it.
        #[from]
        source: serde_json::Error,
    },
    /// The server sent a message that is neither a reply nor an event.
    #[error("expected a reply or an event, found {found}")]
    Unexpected {
        /// The message.
        found: String,
    },
    /// The server refused the command.
    #[error("{command}: {desc} ({class})")]
    Refused {
        /// The command.
        command: String,
        /// Class of the error.
        class: String,
        /// Its text.
        desc: String,
    },
}

/// An event as a server sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedEvent {
    /// Its name, such as `STOP`.
    pub name: String,
    /// Its data; `null` if it has none.
    pub data: Value,
    /// The server's clock, as time since 1970.
    pub timestamp: Duration,
}

/// A connection that has negotiated.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    splitter: Splitter,
    /// Read and not split yet.
    input: Vec<u8>,
    events: VecDeque<ReceivedEvent>,
    events_dropped: u64,
    next_id: u64,
    version: Value,
}

impl Client {
    /// Connects to the server at `path` and negotiates.
    ///
    /// # Errors
    /// Nobody listens; what listens is no QMP server; the connection fails.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let stream =
            UnixStream::connect(path).map_err(|source| ClientError::Connect { path: path.to_owned(), source })?;
        Self::over(stream)
    }

    /// Negotiates over a connection that exists.
    ///
    /// # Errors
    /// The other side is no QMP server; the connection fails.
    pub fn over(stream: UnixStream) -> Result<Self, ClientError> {
        let mut client = Self {
            stream,
            splitter: Splitter::new(Limits::REPLY),
            input: Vec::new(),
            events: VecDeque::new(),
            events_dropped: 0,
            next_id: 1,
            version: Value::Null,
        };
        let deadline = Instant::now() + REPLY_TIMEOUT;
        let greeting = client.receive(deadline)?.ok_or(ClientError::Timeout { limit: REPLY_TIMEOUT })?;
        match greeting.pointer("/QMP/version") {
            Some(version) => client.version = version.clone(),
            None => return Err(ClientError::NoGreeting { found: excerpt(&greeting) }),
        }
        client.execute("qmp_capabilities", json!({}))?;
        Ok(client)
    }

    /// The server's version, as in its greeting: `{"qemu": {"major", "minor", "micro"}, "package"}`.
    #[must_use]
    pub fn version(&self) -> &Value {
        &self.version
    }

    /// Executes a command and waits for its result.
    ///
    /// # Errors
    /// The server refuses; it does not answer; the connection fails.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, ClientError> {
        let (id, request) = self.request(command, arguments);
        self.stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
        self.stream.write_all(&request).map_err(closed_or_failed)?;
        self.reply(command, &id)
    }

    /// Executes a command with a file descriptor beside it, as `getfd` needs it.
    ///
    /// # Errors
    /// As [`Client::execute`].
    pub fn execute_with_fd(
        &mut self,
        command: &str,
        arguments: Value,
        descriptor: BorrowedFd<'_>,
    ) -> Result<Value, ClientError> {
        let (id, request) = self.request(command, arguments);
        self.stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
        send_with_descriptor(self.stream.as_fd(), &request, descriptor)
            .map_err(|error| closed_or_failed(error.into()))?;
        self.reply(command, &id)
    }

    /// The next event, one kept or one that comes within `timeout`; `None` if there is none.
    ///
    /// # Errors
    /// The connection fails, or the server sends something else.
    pub fn next_event(&mut self, timeout: Duration) -> Result<Option<ReceivedEvent>, ClientError> {
        if let Some(event) = self.events.pop_front() {
            return Ok(Some(event));
        }
        match self.receive(Instant::now() + timeout)? {
            None => Ok(None),
            Some(message) => match event(&message) {
                Some(event) => Ok(Some(event)),
                None => Err(ClientError::Unexpected { found: excerpt(&message) }),
            },
        }
    }

    /// How many events were dropped because nobody asked for them.
    #[must_use]
    pub fn events_dropped(&self) -> u64 {
        self.events_dropped
    }

    fn request(&mut self, command: &str, arguments: Value) -> (Value, Vec<u8>) {
        let id = json!(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        let mut request = json!({ "execute": command, "id": id });
        let empty = arguments.is_null() || arguments.as_object().is_some_and(Map::is_empty);
        if let (false, Some(members)) = (empty, request.as_object_mut()) {
            members.insert("arguments".to_owned(), arguments);
        }
        let mut octets = request.to_string().into_bytes();
        octets.push(b'\n');
        (id, octets)
    }

    fn reply(&mut self, command: &str, id: &Value) -> Result<Value, ClientError> {
        let deadline = Instant::now() + REPLY_TIMEOUT;
        loop {
            let message = self.receive(deadline)?.ok_or(ClientError::Timeout { limit: REPLY_TIMEOUT })?;
            if let Some(event) = event(&message) {
                self.keep(event);
                continue;
            }
            let Value::Object(mut members) = message else {
                return Err(ClientError::Unexpected { found: excerpt(&message) });
            };
            // An error without id answers what the server could not read.
            let ours = members.get("id").map_or(members.contains_key("error"), |found| found == id);
            match (ours, members.remove("return"), members.remove("error")) {
                (true, Some(value), None) => return Ok(value),
                (true, None, Some(error)) => return Err(refused(command, &error)),
                // The late reply to a command that timed out.
                (false, Some(_), None) | (false, None, Some(_)) => {}
                // QEMU greets on this connection for one that was closed right before, too.
                (false, None, None) if members.contains_key("QMP") => {}
                _ => return Err(ClientError::Unexpected { found: excerpt(&Value::Object(members)) }),
            }
        }
    }

    fn keep(&mut self, event: ReceivedEvent) {
        if self.events.len() >= EVENTS_LIMIT {
            self.events.pop_front();
            self.events_dropped += 1;
        }
        self.events.push_back(event);
    }

    /// The next message; `None` at the deadline.
    fn receive(&mut self, deadline: Instant) -> Result<Option<Value>, ClientError> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let mut rest = self.input.as_slice();
            let value = self.splitter.next_value(&mut rest);
            let taken = self.input.len() - rest.len();
            self.input.drain(..taken);
            if let Some(text) = value {
                return Ok(Some(strict::parse(&text?)?));
            }
            // At the deadline, what has come already is still taken; a timeout of zero would mean none at all.
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_micros(1));
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ClientError::Closed),
                Ok(count) => self.input.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(None),
                Err(error) => return Err(closed_or_failed(error)),
            }
        }
    }
}

fn closed_or_failed(error: io::Error) -> ClientError {
    match error.kind() {
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => ClientError::Closed,
        _ => ClientError::Io { source: error },
    }
}

fn refused(command: &str, error: &Value) -> ClientError {
    let text = |member: &str| error.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    ClientError::Refused { command: command.to_owned(), class: text("class"), desc: text("desc") }
}

fn event(message: &Value) -> Option<ReceivedEvent> {
    let name = message.get("event")?.as_str()?.to_owned();
    let stamp = |member: &str| message.pointer(member).and_then(Value::as_u64).unwrap_or(0);
    let micros = Duration::from_micros(stamp("/timestamp/microseconds"));
    let timestamp = Duration::from_secs(stamp("/timestamp/seconds")).saturating_add(micros);
    Some(ReceivedEvent { name, data: message.get("data").cloned().unwrap_or_default(), timestamp })
}

/// The begin of a message, for an error text.
fn excerpt(message: &Value) -> String {
    message.to_string().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const GREETING: &str = "{\"QMP\":{\"version\":{\"package\":\"x\"},\"capabilities\":[]}}\r\n";
    const NEGOTIATED: &str = "{\"return\":{},\"id\":1}\r\n";

    /// A client whose server has said all of this already.
    fn client(said: &str) -> (Result<Client, ClientError>, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(said.as_bytes()).unwrap();
        (Client::over(ours), theirs)
    }

    #[test]
    fn events_before_a_reply_are_kept_in_order() {
        let (client, mut server) = client(&format!("{GREETING}{NEGOTIATED}"));
        let mut client = client.unwrap();
        server
            .write_all(
                br#"{"event":"STOP","timestamp":{"seconds":5,"microseconds":7}}
                    {"event":"MIGRATION","data":{"status":"device"},"timestamp":{"seconds":-1,"microseconds":-1}}
                    {"return":[1],"id":2}"#,
            )
            .unwrap();
        assert_eq!(client.execute("query-x", Value::Null).unwrap(), json!([1]));
        let stop = client.next_event(Duration::ZERO).unwrap().unwrap();
        assert_eq!((stop.name.as_str(), stop.timestamp), ("STOP", Duration::new(5, 7000)));
        let status = client.next_event(Duration::ZERO).unwrap().unwrap();
        assert_eq!((status.data, status.timestamp), (json!({"status": "device"}), Duration::ZERO));
        assert_eq!(client.next_event(Duration::ZERO).unwrap(), None);
    }

    #[test]
    fn a_second_greeting_is_for_a_connection_before() {
        let said = format!("{GREETING}{GREETING}{}{}", r#"{"return":{},"id":1}"#, r#"{"return":7,"id":2}"#);
        let (client, _server) = client(&said);
        assert_eq!(client.unwrap().execute("a", Value::Null).unwrap(), 7);
    }

    #[test]
    fn refusals_carry_class_and_text() {
        let (client, mut server) = client(&format!("{GREETING}{NEGOTIATED}"));
        let mut client = client.unwrap();
        server.write_all(br#"{"id":2,"error":{"class":"GenericError","desc":"no"}}"#).unwrap();
        let error = client.execute("stop", Value::Null).unwrap_err();
        assert_eq!(error.to_string(), "stop: no (GenericError)");
        // One that answers unreadable input has no id.
        server.write_all(br#"{"error":{"class":"GenericError","desc":"JSON"}}"#).unwrap();
        let error = client.execute("stop", Value::Null).unwrap_err();
        assert_eq!(error.to_string(), "stop: JSON (GenericError)");
    }

    #[test]
    fn what_does_not_greet_is_no_server() {
        for said in ["{\"event\":\"STOP\"}", "{\"QMP\":{}}", "[1]"] {
            let (client, _server) = client(said);
            assert!(matches!(client, Err(ClientError::NoGreeting { .. })), "{client:?}");
        }
        let (client, _server) = client("SSH-2.0 {");
        assert!(matches!(client, Err(ClientError::Json { .. })), "{client:?}");
    }

    #[test]
    fn a_server_that_goes_away_is_closed() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(matches!(Client::over(ours), Err(ClientError::Closed)));
    }

    #[test]
    fn requests_have_ids_and_no_empty_arguments() {
        let (client, mut server) = client(&format!("{GREETING}{NEGOTIATED}{{\"return\":{{}},\"id\":2}}"));
        client.unwrap().execute("migrate", json!({"uri": "file:/x"})).unwrap();
        let mut sent = String::new();
        server.read_to_string(&mut sent).unwrap();
        let sent: Vec<Value> = sent.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            sent,
            [
                json!({"execute": "qmp_capabilities", "id": 1}),
                json!({"execute": "migrate", "arguments": {"uri": "file:/x"}, "id": 2}),
            ]
        );
    }

    #[test]
    fn a_message_in_pieces_is_one_message() {
        let (client, mut server) = client(&format!("{GREETING}{NEGOTIATED}"));
        let mut client = client.unwrap();
        let thread = thread::spawn(move || {
            for octet in br#"{"return":"whole","id":2}"# {
                server.write_all(&[*octet]).unwrap();
            }
            server
        });
        assert_eq!(client.execute("x", Value::Null).unwrap(), json!("whole"));
        drop(thread.join().unwrap());
    }
}
