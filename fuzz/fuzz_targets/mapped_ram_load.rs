//! A file with pages at fixed places, as a destination loads it into guest memory.
//!
//! The first octet chooses the number of channels, whether each goes past the kernel's cache, and where in the file the
//! stream starts; the next two say how many of the others stand behind the header of the RAM section. The rest stands
//! where the pages end, if the header puts them at 0x1000; between them is a hole.
//!
//! Oracles: no panic, which the engine would tell as an error; memory within libFuzzer's limit; the load ends; one
//! descriptor and many make the same of it, the memory as well; an error is the destination's.

#![no_main]

mod bare;

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bare::Bare;
use libfuzzer_sys::fuzz_target;
use vmferry::channel::Uri;
use vmferry::control::{Capabilities, MultifdParameters, Parameters, RunState};
use vmferry::{Incoming, Machine as _, Migration};

const HEAD: &[u8] =
    b"QEVM\0\0\0\x03\x07\0\0\0\x08bare-1.0\x05\x1aconfiguration/capabilities\0\0\0\x01\0\0\0\x01\x0amapped-ram\
    \x01\0\0\0\x01\x03ram\0\0\0\0\0\0\0\x04";

/// 70 pages: more than a word of the bitmap.
const BYTES: usize = 70 << 12;

fn load(path: &Path, offset: u64, channels: u8, direct_io: bool) -> Result<Vec<u8>, String> {
    let machine = Bare::new("ram", BYTES, RunState::InMigrate);
    // What must be cleared.
    machine.ram()[0].write(0, &vec![0xaa; BYTES]).expect("it is inside");
    let migration = Migration::new(machine.clone());
    let capabilities = Capabilities { mapped_ram: true, multifd: channels > 0, ..Capabilities::default() };
    migration.set_capabilities(capabilities).expect("they fit each other");
    let multifd = MultifdParameters { channels: channels.max(1), ..MultifdParameters::default() };
    migration.set_parameters(Parameters { multifd, direct_io, ..Parameters::default() }).expect("in range");
    let uri = Uri::File { path: path.to_owned(), offset };
    migration.incoming(&uri, Incoming::default()).map_err(|error| error.to_string())?;
    migration.wait().map_err(|error| error.to_string())?;
    let mut memory = vec![0; BYTES];
    machine.ram()[0].read(0, &mut memory).expect("it is inside");
    Ok(memory)
}

fuzz_target!(|data: &[u8]| {
    let Some(([choice, high, low], octets)) = data.split_first_chunk() else { return };
    let (front, behind) = octets.split_at(octets.len().min(usize::from(u16::from_be_bytes([*high, *low]))));
    let (channels, direct_io) = (1 + (choice & 3), choice & 4 != 0);
    let start = usize::from(choice >> 3) * 100;
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("guest");
    std::fs::write(&path, [&vec![0; start], HEAD, front].concat()).expect("the folder is empty");
    if !behind.is_empty() {
        let file = std::fs::File::options().write(true).open(&path).expect("it was just made");
        file.write_all_at(behind, (0x1000 + BYTES) as u64).expect("the disk has room");
    }
    let one = load(&path, start as u64, 0, false);
    let many = load(&path, start as u64, channels, direct_io);
    assert!(one == many, "{:?} and {:?}", one.err(), many.err());
    if let Err(text) = one {
        assert!(!text.contains("panicked"), "{text}");
        assert!(text.starts_with("destination: "), "{text}");
    }
});
