//! One client, from the greeting to its end.
//!
//! Source: `docs/spec/control.md` section 1.
//!
//! ```text
//!   connect -> greeting -> Negotiating -- qmp_capabilities --> Commands -- quit --> end
//!                          any other command:                  a second qmp_capabilities:
//!                          CommandNotFound, no events          CommandNotFound
//! ```
//!
//! The thread of a client reads, executes and answers one request at a time; what the client sends meanwhile stays in
//! the socket, so no request is queued here beyond one read of [`READ_BYTES`]. A second thread writes replies and
//! events (see [`crate::outgoing`]).

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::commands::{self, Context, NEGOTIATE};
use crate::descriptors::{TooMany, WAITING_LIMIT, Waiting};
use crate::error::CommandError;
use crate::events::{EventBus, Subscription};
use crate::framing::{Limits, Splitter};
use crate::monitor::Monitor;
use crate::outgoing::{self, Outgoing};
use crate::request::{self, Request};
use crate::strict;

/// Octets read at a time.
const READ_BYTES: usize = 16 << 10;

/// What a session needs of its server.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) monitor: Arc<dyn Monitor>,
    pub(crate) events: EventBus,
}

/// Serves one client until it is gone, or has said `quit`.
pub(crate) fn serve(stream: &Arc<UnixStream>, machine: &Machine) -> std::io::Result<()> {
    let (outgoing, writer) = outgoing::queue(Arc::clone(stream))?;
    let writer = thread::Builder::new().name("qmp-write".to_owned()).spawn(move || writer.run())?;
    let session = Session { machine, outgoing, waiting: Waiting::default(), subscription: None };
    let end = session.run(stream);
    // The queue is closed now: the writer ends when it has written what is in it.
    if writer.join().is_err() {
        tracing::error!("the thread that writes to a QMP client panicked");
    }
    match end? {
        End::Gone => {}
        End::Quit => machine.monitor.quit(),
    }
    Ok(())
}

enum End {
    Gone,
    Quit,
}

struct Session<'a> {
    machine: &'a Machine,
    outgoing: Outgoing,
    waiting: Waiting,
    /// Present once negotiated: before that no events are sent either.
    subscription: Option<Subscription>,
}

impl Session<'_> {
    fn run(mut self, stream: &UnixStream) -> std::io::Result<End> {
        let greeting = json!({ "QMP": { "version": commands::version(), "capabilities": [] } });
        if !self.outgoing.reply(&greeting) {
            return Ok(End::Gone);
        }
        let mut splitter = Splitter::new(Limits::REQUEST);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let (count, descriptors) = self.waiting.receive(stream.as_fd(), &mut buffer)?;
            let mut input = buffer.get(..count).unwrap_or_default();
            if input.is_empty() {
                return Ok(End::Gone);
            }
            if descriptors == Err(TooMany) {
                let text = format!("more than {WAITING_LIMIT} file descriptors wait for 'getfd'; all were closed");
                if !self.answer(None, Err(CommandError::generic(text))) {
                    return Ok(End::Gone);
                }
            }
            while let Some(value) = splitter.next_value(&mut input) {
                let mut quit = false;
                let (id, result) = match value {
                    Ok(text) => self.handle(&text, &mut quit),
                    Err(fault) => (None, Err(CommandError::generic(fault.to_string()))),
                };
                if quit {
                    self.machine.events.emit_quit();
                }
                let answered = self.answer(id, result);
                if quit {
                    return Ok(End::Quit);
                }
                if !answered {
                    return Ok(End::Gone);
                }
            }
        }
    }

    /// False if the client is gone.
    fn answer(&self, id: Option<Value>, result: Result<Value, CommandError>) -> bool {
        let mut reply = match result {
            Ok(value) => json!({ "return": value }),
            Err(error) => json!({ "error": error.to_value() }),
        };
        if let (Some(id), Some(members)) = (id, reply.as_object_mut()) {
            members.insert("id".to_owned(), id);
        }
        self.outgoing.reply(&reply)
    }

    fn handle(&mut self, text: &[u8], quit: &mut bool) -> (Option<Value>, Result<Value, CommandError>) {
        let value = match strict::parse(text) {
            Ok(value) => value,
            Err(error) => return (None, Err(CommandError::generic(format!("JSON parse error: {error}")))),
        };
        let (id, request) = request::decode(value);
        (id, request.and_then(|request| self.execute(request, quit)))
    }

    fn execute(&mut self, request: Request, quit: &mut bool) -> Result<Value, CommandError> {
        let Request { command, arguments } = request;
        let arguments = Arguments::new(arguments);
        match (command.as_str(), self.subscription.is_some()) {
            (NEGOTIATE, false) => self.negotiate(arguments),
            (NEGOTIATE, true) => Err(CommandError::not_found("capabilities negotiation is complete already")),
            (_, false) => {
                let text = format!("capabilities negotiation with '{NEGOTIATE}' comes first, found '{command}'");
                Err(CommandError::not_found(text))
            }
            (_, true) => {
                let mut context = Context {
                    monitor: &*self.machine.monitor,
                    events: &self.machine.events,
                    waiting: &mut self.waiting,
                    quit: false,
                };
                let result = commands::execute(&mut context, &command, arguments);
                *quit = context.quit;
                result
            }
        }
    }

    fn negotiate(&mut self, mut arguments: Arguments) -> Result<Value, CommandError> {
        let enable = arguments.optional_list("enable")?.unwrap_or_default();
        arguments.finish()?;
        if let Some(name) = enable.first() {
            let text = format!("parameter 'enable' does not accept {name}; this server offers no QMP capabilities");
            return Err(CommandError::generic(text));
        }
        self.subscription = Some(self.machine.events.subscribe(self.outgoing.clone()));
        Ok(json!({}))
    }
}
