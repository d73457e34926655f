//! What the machine's sockets can do: memory to memory between two processes, through a unix socket, nothing else.
//!
//! The receiver reads into memory that it never touched, as a destination does, or into memory that it wrote before,
//! which leaves the page faults out.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::host::{Scene, random_words};

/// First argument of the process that sends.
pub(crate) const SENDER: &str = "copy-sender";
/// First argument of the process that receives.
pub(crate) const RECEIVER: &str = "copy-receiver";

/// Bytes of one call.
const CALL_BYTES: usize = 1 << 20;

const POPULATED: &str = "populated";
const FRESH: &str = "fresh";

/// Copies as much as the guest has through a socket; seconds from the word to start to the receiver's word that all is
/// there.
pub(crate) fn measure(scene: &Scene, into_populated: bool) -> Result<f64> {
    let (socket, bytes) = (&scene.path("copy"), scene.bytes);
    let memory = if into_populated { POPULATED } else { FRESH };
    let mut sender = Process::start(SENDER, socket, bytes, memory)?;
    sender.expect("filled")?;
    scene.prepare()?;
    let mut receiver = Process::start(RECEIVER, socket, bytes, memory)?;
    receiver.expect("ready")?;
    let mut word = sender.child.stdin.take().context("the sender's standard input")?;
    word.write_all(b"\n")?;
    sender.expect("connected")?;
    let start = Instant::now();
    word.write_all(b"\n")?;
    receiver.expect("done")?;
    let seconds = start.elapsed().as_secs_f64();
    for mut process in [sender, receiver] {
        if !process.child.wait()?.success() {
            bail!("a process of the copy failed");
        }
    }
    Ok(seconds)
}

struct Process {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Process {
    fn start(role: &str, socket: &Path, bytes: u64, memory: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(role).arg(socket).arg(bytes.to_string()).arg(memory);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let said = BufReader::new(child.stdout.take().context("the child's standard output")?);
        Ok(Self { child, said })
    }

    fn expect(&mut self, word: &str) -> Result<()> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        if line.trim_end() != word {
            bail!("expected '{word}' of a process of the copy, found '{}'", line.trim_end());
        }
        Ok(())
    }
}

struct Arguments {
    socket: PathBuf,
    bytes: usize,
    into_populated: bool,
}

fn arguments(args: &mut impl Iterator<Item = String>) -> Result<Arguments> {
    let mut next = || args.next().context("too few arguments");
    Ok(Arguments { socket: PathBuf::from(next()?), bytes: next()?.parse()?, into_populated: next()? == POPULATED })
}

fn say(word: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{word}")?;
    Ok(out.flush()?)
}

/// The process that sends.
pub(crate) fn send(args: &mut impl Iterator<Item = String>) -> Result<()> {
    let Arguments { socket, bytes, .. } = arguments(args)?;
    let mut memory = Vec::with_capacity(bytes);
    random_words(
        |word| {
            memory.extend_from_slice(&word.to_le_bytes());
            Ok(())
        },
        bytes as u64 / 8,
    )?;
    say("filled")?;
    std::io::stdin().read_exact(&mut [0])?;
    let mut stream = UnixStream::connect(socket)?;
    say("connected")?;
    std::io::stdin().read_exact(&mut [0])?;
    for part in memory.chunks(CALL_BYTES) {
        stream.write_all(part)?;
    }
    Ok(())
}

/// The process that receives.
pub(crate) fn receive(args: &mut impl Iterator<Item = String>) -> Result<()> {
    let Arguments { socket, bytes, into_populated } = arguments(args)?;
    // Memory of so many zeros comes from the kernel untouched.
    let mut memory = vec![0_u8; bytes];
    if into_populated {
        memory.fill(1);
    }
    let listener = UnixListener::bind(&socket)?;
    say("ready")?;
    let (mut stream, _) = listener.accept()?;
    std::fs::remove_file(&socket)?;
    for part in memory.chunks_mut(CALL_BYTES) {
        stream.read_exact(part)?;
    }
    say("done")?;
    std::hint::black_box(&memory);
    Ok(())
}
