//! Listens on a Unix socket and gives each client a session.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::error::ServerError;
use crate::events::EventBus;
use crate::monitor::Monitor;
use crate::session::{self, Machine};

/// Clients connected at the same time; further ones are disconnected at once. Each costs two threads.
pub const CLIENTS_LIMIT: usize = 16;

/// A QMP server. Dropping it disconnects the clients and removes the socket.
pub struct Server {
    path: PathBuf,
    listener: Arc<UnixListener>,
    clients: Arc<Clients>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at `path` and serves clients, several at a time, on threads of their own.
    ///
    /// A socket that was left at `path` by a process that ended is replaced.
    ///
    /// # Errors
    /// Another server listens there; the socket cannot be made; no thread can be started.
    pub fn bind(path: &Path, monitor: Arc<dyn Monitor>, events: EventBus) -> Result<Self, ServerError> {
        let listener = Arc::new(listen(path)?);
        events.set_migration_events(monitor.capabilities().events);
        let clients = Arc::new(Clients::default());
        let acceptor = {
            let (listener, clients) = (Arc::clone(&listener), Arc::clone(&clients));
            let machine = Machine { monitor, events };
            thread::Builder::new()
                .name("qmp-accept".to_owned())
                .spawn(move || accept(&listener, &clients, &machine))
                .map_err(|source| ServerError::Thread { source })?
        };
        Ok(Self { path: path.to_owned(), listener, clients, acceptor: Some(acceptor) })
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("path", &self.path).field("clients", &self.clients.map().streams.len()).finish()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ends the wait of the thread that accepts.
        if let Err(error) = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both) {
            tracing::warn!(%error, "cannot stop listening for QMP clients");
        } else if self.acceptor.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that accepts QMP clients panicked");
        }
        // Their threads end by themselves. This may be one of them, so they are not waited for.
        self.clients.disconnect();
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "cannot remove the QMP socket");
        }
    }
}

/// The sockets of the connected clients.
#[derive(Default)]
struct Clients {
    map: Mutex<Streams>,
}

#[derive(Default)]
struct Streams {
    next: u64,
    streams: HashMap<u64, Arc<UnixStream>>,
}

impl Clients {
    /// Takes a client in, unless there are too many.
    fn enter(self: &Arc<Self>, stream: &Arc<UnixStream>) -> Option<Entry> {
        let mut map = self.map();
        if map.streams.len() >= CLIENTS_LIMIT {
            return None;
        }
        let key = map.next;
        map.next = map.next.wrapping_add(1);
        map.streams.insert(key, Arc::clone(stream));
        Some(Entry { clients: Arc::clone(self), key })
    }

    fn disconnect(&self) {
        for stream in self.map().streams.values() {
            // An error means that the client is gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn map(&self) -> MutexGuard<'_, Streams> {
        // A panic elsewhere leaves the map usable: each change is one call.
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a client out when dropped.
struct Entry {
    clients: Arc<Clients>,
    key: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.clients.map().streams.remove(&self.key);
    }
}

fn listen(path: &Path) -> Result<UnixListener, ServerError> {
    let failed = |source| ServerError::Listen { path: path.to_owned(), source };
    match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            match UnixStream::connect(path) {
                Ok(_) => return Err(ServerError::InUse { path: path.to_owned() }),
                // A socket that nobody listens at.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused && is_socket(path) => {
                    std::fs::remove_file(path).map_err(failed)?;
                }
                Err(_) => return Err(failed(error)),
            }
            UnixListener::bind(path).map_err(failed)
        }
        other => other.map_err(failed),
    }
}

/// Connecting to a plain file is refused too, and a plain file is not ours to remove.
fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

fn accept(listener: &UnixListener, clients: &Arc<Clients>, machine: &Machine) {
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                if let Err(error) = start(stream, clients, machine) {
                    tracing::warn!(%error, "cannot serve a QMP client");
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
            // The listener was shut down.
            Err(error) if error.kind() == ErrorKind::InvalidInput => return,
            Err(error) => {
                // Out of descriptors or memory: the client waits in the backlog, and trying again at once would spin.
                tracing::error!(%error, "cannot accept a QMP client");
                thread::sleep(std::time::Duration::from_millis(100));
            }
        }
    }
}

fn start(stream: UnixStream, clients: &Arc<Clients>, machine: &Machine) -> io::Result<()> {
    let stream = Arc::new(stream);
    let Some(entry) = clients.enter(&stream) else {
        tracing::warn!(limit = CLIENTS_LIMIT, "too many QMP clients; disconnecting a new one");
        return Ok(());
    };
    let machine = machine.clone();
    thread::Builder::new().name("qmp-client".to_owned()).spawn(move || {
        if let Err(error) = session::serve(&stream, &machine) {
            tracing::debug!(%error, "QMP client is gone");
        }
        drop(entry);
    })?;
    Ok(())
}
