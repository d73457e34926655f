//! The octets of a multifd channel, as a destination reads them into guest memory.
//!
//! The first octet chooses the compression; the rest comes on a channel behind its first SYNC, with the SYNC of the
//! last meeting behind it. The main channel is that of a source of our own.
//!
//! Oracles: no panic, which the engine would tell as an error; memory within libFuzzer's limit; the load ends; an error
//! is the destination's and says where.

#![no_main]

mod bare;

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread;

use bare::Bare;
use libfuzzer_sys::fuzz_target;
use vmferry::channel::Uri;
use vmferry::control::{Capabilities, MultifdCompression, MultifdParameters, Parameters, RunState};
use vmferry::{Incoming, Migration};
use vmferry_wire::multifd::{Handshake, RamPacket};
use vmferry_wire::ram::TargetPage;

/// RAM of the recordings that seeds are made of.
const BLOCK: &str = "pc.ram";
const BYTES: usize = 128 << 20;

fn migration(machine: Arc<Bare>, compression: MultifdCompression) -> Migration {
    let migration = Migration::new(machine);
    let capabilities = Capabilities { multifd: true, return_path: false, ..Capabilities::default() };
    migration.set_capabilities(capabilities).expect("they fit each other");
    let multifd = MultifdParameters { channels: 1, compression, ..MultifdParameters::default() };
    migration.set_parameters(Parameters { max_bandwidth: 0, multifd, ..Parameters::default() }).expect("in range");
    migration
}

fn sync(packet_num: u64) -> Vec<u8> {
    let mut out = Vec::new();
    RamPacket { is_sync: true, packet_num, pages: None }.encode(TargetPage::KIB_4, &mut out);
    out
}

/// The main channel of a source whose memory was never written, and how often the channels meet.
fn main_channel() -> &'static (Vec<u8>, usize) {
    static MAIN: OnceLock<(Vec<u8>, usize)> = OnceLock::new();
    MAIN.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("m");
        let listener = UnixListener::bind(&path).expect("the folder is empty");
        let outgoing = migration(Bare::new(BLOCK, BYTES, RunState::Paused), MultifdCompression::None);
        outgoing.migrate(&Uri::Unix(path)).expect("nothing blocks");
        let [mut main, mut channel] = [(); 2].map(|()| listener.accept().expect("the source connects").0);
        let drained = thread::spawn(move || channel.read_to_end(&mut Vec::new()));
        let mut stream = Vec::new();
        main.read_to_end(&mut stream).expect("the source ends");
        drained.join().expect("it only reads").expect("the source ends");
        outgoing.wait().expect("all was taken");
        let flush = 0x200_u64.to_be_bytes();
        let meetings = stream.windows(8).filter(|window| *window == flush).count();
        (stream, meetings)
    })
}

fn load(path: &Path, compression: MultifdCompression, octets: &[u8]) -> Result<(), vmferry::Error> {
    let (main, meetings) = main_channel();
    let incoming = migration(Bare::new(BLOCK, BYTES, RunState::InMigrate), compression);
    incoming.incoming(&Uri::Unix(path.to_owned()), Incoming::default()).expect("the folder is empty");
    let [mut first, mut channel] = [(); 2].map(|()| UnixStream::connect(path).expect("it listens"));
    let mut out = Vec::new();
    Handshake { uuid: [0; 16], id: 0 }.encode(&mut out);
    out.extend(sync(0));
    out.extend_from_slice(octets);
    (1..*meetings).for_each(|number| out.extend(sync(u64::MAX - 100 + number as u64)));
    // A destination that has seen enough closes.
    let writer = thread::spawn(move || channel.write_all(&out));
    let _ = first.write_all(main);
    drop(first);
    let result = incoming.wait();
    let _ = writer.join();
    result
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, octets)) = data.split_first() else { return };
    let compression = MultifdCompression::ALL[usize::from(*choice) % 3];
    let folder = tempfile::tempdir().expect("a folder can be made");
    if let Err(error) = load(&folder.path().join("m"), compression, octets) {
        let text = error.to_string();
        assert!(!text.contains("panicked"), "{text}");
        assert!(text.starts_with("destination: "), "{text}");
    }
});
