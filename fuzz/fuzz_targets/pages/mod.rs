//! Page records of every kind, taken from octets, loaded by the engine's destination, and beside it by a model.
//!
//! | octets | what |
//! |---|---|
//! | 1 | number of the page, modulo [`PAGES`] |
//! | 1 | 0: a page of zeros; 1: a page with content; else one in the form under test |
//! | 2 | length of the data behind, big-endian, cut to what is there |
//! | – | data; a page with content repeats them |

use std::io::Write as _;
use std::os::unix::net::UnixStream;

use vmferry::channel::Uri;
use vmferry::control::{Capabilities, RunState};
use vmferry::memory::TARGET_PAGE;
use vmferry::{Error, Incoming, Machine as _, Migration};
use vmferry_wire::Name;
use vmferry_wire::configuration::Configuration;
use vmferry_wire::header::Header;
use vmferry_wire::ram::block_list::{BlockEntry, BlockList};
use vmferry_wire::ram::{RAM_IDSTR, RAM_VERSION, Record};
use vmferry_wire::section::{Element, Footer, SectionHeader, SectionIdent};

use crate::bare::Bare;

const BLOCK: &str = "r";
/// Pages of the machine.
pub const PAGES: usize = 16;
const ID: u32 = 1;

/// A form of pages.
pub struct Form {
    /// Writes a record of the page at this offset with these data.
    pub encode: fn(&mut Vec<u8>, u64, &Name, &[u8]),
    /// The page behind such a record, from the page before; `None` if it is to be refused.
    pub model: fn(&[u8; TARGET_PAGE], &[u8]) -> Option<[u8; TARGET_PAGE]>,
}

fn name(text: &str) -> Name {
    Name::new(text, "name").expect("it is short")
}

/// Takes the octets apart: the records, and the memory that they make if each is accepted.
fn records(form: &Form, mut octets: &[u8]) -> (Vec<u8>, Option<Vec<[u8; TARGET_PAGE]>>) {
    let (mut out, mut memory) = (Vec::new(), Some(vec![[0; TARGET_PAGE]; PAGES]));
    while let [page, kind, high, low, rest @ ..] = octets {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (data, behind) = rest.split_at(length);
        octets = behind;
        let page = usize::from(*page) % PAGES;
        let offset = (page * TARGET_PAGE) as u64;
        let before = memory.as_ref().map_or([0; TARGET_PAGE], |memory| memory[page]);
        let after = match kind {
            0 => {
                Record::encode_zero_page(&mut out, offset, Some(&name(BLOCK)));
                Some([0; TARGET_PAGE])
            }
            1 => {
                let mut content = [0; TARGET_PAGE];
                content.iter_mut().zip(data.iter().cycle()).for_each(|(to, from)| *to = *from);
                Record::encode_normal_page(&mut out, offset, Some(&name(BLOCK)));
                out.extend_from_slice(&content);
                Some(content)
            }
            _ => {
                (form.encode)(&mut out, offset, &name(BLOCK), data);
                (form.model)(&before, data)
            }
        };
        memory = match (memory, after) {
            (Some(mut memory), Some(after)) => {
                memory[page] = after;
                Some(memory)
            }
            _ => None,
        };
    }
    (out, memory)
}

fn stream(records: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Header.encode(&mut out);
    Configuration::of_machine(name("bare-1.0")).encode(&mut out);
    let ident = SectionIdent { idstr: name(RAM_IDSTR), instance_id: 0, version_id: RAM_VERSION };
    SectionHeader::Start { section_id: ID, ident }.encode(&mut out);
    let entry = BlockEntry {
        name: name(BLOCK),
        used_bytes: (PAGES * TARGET_PAGE) as u64,
        page_bytes: None,
        guest_address: None,
        mapped_ram: None,
    };
    BlockList::encode(&[entry], &mut out);
    let end = |out: &mut Vec<u8>| {
        Record::encode_eos(out);
        Footer { section_id: ID }.encode(out);
    };
    end(&mut out);
    SectionHeader::End { section_id: ID }.encode(&mut out);
    out.extend_from_slice(records);
    end(&mut out);
    Element::Eof.encode(&mut out);
    out
}

fn load(stream: &[u8]) -> Result<Vec<u8>, Error> {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("m");
    let machine = Bare::new(BLOCK, PAGES * TARGET_PAGE, RunState::InMigrate);
    let incoming = Migration::new(machine.clone());
    let capabilities = Capabilities { return_path: false, ..Capabilities::default() };
    incoming.set_capabilities(capabilities).expect("they fit each other");
    incoming.incoming(&Uri::Unix(path.clone()), Incoming { autostart: false }).expect("the folder is empty");
    // A destination that has seen enough closes.
    let _ = UnixStream::connect(&path).expect("it listens").write_all(stream);
    incoming.wait()?;
    let mut memory = vec![0; PAGES * TARGET_PAGE];
    machine.ram()[0].read(0, &mut memory).expect("it is inside");
    Ok(memory)
}

/// Loads what the octets say; engine and model must agree.
pub fn check(form: &Form, octets: &[u8]) {
    let (records, expected) = records(form, octets);
    match (load(&stream(&records)), expected) {
        (Ok(memory), Some(expected)) => assert!(memory == expected.concat(), "the memory is another one"),
        (Ok(_), None) => panic!("what is to be refused was loaded"),
        (Err(error), expected) => {
            let text = error.to_string();
            assert!(expected.is_none(), "what is sound was refused: {text}");
            assert!(!text.contains("panicked"), "{text}");
            assert!(text.starts_with("destination: section 'ram' instance 0: at "), "{text}");
        }
    }
}
