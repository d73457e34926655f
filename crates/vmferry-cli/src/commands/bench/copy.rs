//! What the machine's sockets can do: memory to memory between two processes, through unix sockets, nothing else.
//! Several sockets have a thread each at both ends, and a part of the memory.
//!
//! The receiver reads into memory that it never touched, as a destination does, or into memory that it wrote before,
//! which leaves the page faults out.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};

use super::part::Part;
use super::scene::{Scene, random_words};

/// Bytes of one call.
const CALL_BYTES: usize = 1 << 20;

const POPULATED: &str = "populated";
const FRESH: &str = "fresh";

/// Copies as much as the guest has through sockets; seconds from the word to start to the receiver's word that all is
/// there.
pub(super) fn seconds(scene: &Scene, into_populated: bool, sockets: u8) -> Result<f64> {
    let (socket, bytes) = (&scene.path("copy"), scene.bytes);
    let memory = if into_populated { POPULATED } else { FRESH };
    let mut sender = Process::start(Part::CopySender, socket, bytes, memory, sockets)?;
    sender.expect("filled")?;
    scene.prepare()?;
    let mut receiver = Process::start(Part::CopyReceiver, socket, bytes, memory, sockets)?;
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

#[derive(Debug)]
struct Process {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Process {
    fn start(part: Part, socket: &Path, bytes: u64, memory: &str, sockets: u8) -> Result<Self> {
        let mut command = part.command()?;
        command.arg(socket).arg(bytes.to_string()).arg(memory).arg(sockets.to_string());
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

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail for one that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Arguments {
    socket: PathBuf,
    bytes: usize,
    into_populated: bool,
    sockets: usize,
}

fn arguments(args: &mut impl Iterator<Item = String>) -> Result<Arguments> {
    let mut next = || args.next().context("too few arguments");
    Ok(Arguments {
        socket: PathBuf::from(next()?),
        bytes: next()?.parse()?,
        into_populated: next()? == POPULATED,
        sockets: next()?.parse::<usize>()?.max(1),
    })
}

fn say(word: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{word}")?;
    Ok(out.flush()?)
}

/// The end of a thread that copied.
fn joined(thread: ScopedJoinHandle<'_, io::Result<()>>) -> Result<()> {
    thread.join().map_err(|_| anyhow!("a thread of the copy panicked"))?.context("a thread of the copy")
}

/// The process that sends.
pub(super) fn send(args: &mut impl Iterator<Item = String>) -> Result<()> {
    let Arguments { socket, bytes, sockets, .. } = arguments(args)?;
    let memory: Vec<u8> = random_words(bytes as u64 / 8).flat_map(u64::to_le_bytes).collect();
    say("filled")?;
    io::stdin().read_exact(&mut [0])?;
    let streams = (0..sockets).map(|_| UnixStream::connect(&socket)).collect::<io::Result<Vec<_>>>()?;
    say("connected")?;
    io::stdin().read_exact(&mut [0])?;
    thread::scope(|scope| {
        let parts = memory.chunks(bytes.div_ceil(sockets)).zip(streams);
        let send = |(part, mut stream): (&[u8], UnixStream)| -> io::Result<()> {
            part.chunks(CALL_BYTES).try_for_each(|call| stream.write_all(call))
        };
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || send(part))).collect();
        threads.into_iter().try_for_each(joined)
    })
}

/// The process that receives.
pub(super) fn receive(args: &mut impl Iterator<Item = String>) -> Result<()> {
    let Arguments { socket, bytes, into_populated, sockets } = arguments(args)?;
    // Memory of so many zeros comes from the kernel untouched.
    let mut memory = vec![0_u8; bytes];
    if into_populated {
        memory.fill(1);
    }
    let listener = UnixListener::bind(&socket)?;
    say("ready")?;
    let accept = |_| Ok(listener.accept()?.0);
    let streams = (0..sockets).map(accept).collect::<io::Result<Vec<_>>>()?;
    std::fs::remove_file(&socket)?;
    thread::scope(|scope| {
        let parts = memory.chunks_mut(bytes.div_ceil(sockets)).zip(streams);
        let receive = |(part, mut stream): (&mut [u8], UnixStream)| -> io::Result<()> {
            part.chunks_mut(CALL_BYTES).try_for_each(|call| stream.read_exact(call))
        };
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || receive(part))).collect();
        threads.into_iter().try_for_each(joined)
    })?;
    say("done")?;
    std::hint::black_box(&memory);
    Ok(())
}
