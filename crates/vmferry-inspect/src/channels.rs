//! Channels beside the main one, as they were captured.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::source::Source;

/// The octets of a further channel, from its first octet on: of multifd, or the preempt channel. Which of them it is,
/// its first octets tell.
pub struct Channel<'a> {
    /// What it is called in errors.
    pub(crate) name: String,
    pub(crate) input: Box<dyn Read + 'a>,
}

impl<'a> Channel<'a> {
    /// A channel that is read once, in order.
    pub fn new(name: &str, input: impl Read + 'a) -> Channel<'a> {
        Channel { name: name.to_owned(), input: Box::new(input) }
    }

    /// Opens a file, by whose path the channel is called.
    ///
    /// # Errors
    ///
    /// The operating system's, on opening.
    pub fn open(path: &Path) -> io::Result<Channel<'static>> {
        Ok(Channel::new(&path.to_string_lossy(), File::open(path)?))
    }
}

impl std::fmt::Debug for Channel<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("name", &self.name).finish_non_exhaustive()
    }
}

/// All that a stream came in.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The main channel.
    pub main: Source<'a>,
    /// Further ones, in any order.
    pub channels: Vec<Channel<'a>>,
}

impl<'a> From<Source<'a>> for Inputs<'a> {
    fn from(main: Source<'a>) -> Inputs<'a> {
        Inputs { main, channels: Vec::new() }
    }
}
