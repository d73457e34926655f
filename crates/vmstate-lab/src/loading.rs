//! The way out of a stream into a machine.
//!
//! Each section is decoded without touching its device; its footer is checked; then the device takes it over. A section
//! that fails leaves its device, and those behind it, as they were; those before it are loaded.

use std::collections::HashMap;

use vmferry_wire::configuration::Configuration;
use vmferry_wire::end::Trailer;
use vmferry_wire::header::Header;
use vmferry_wire::ram::block_list::{BlockEntry, BlockList, EntryLayout};
use vmferry_wire::ram::{RAM_IDSTR, RAM_VERSION, Record, TargetPage};
use vmferry_wire::section::{Element, Footer, SectionHeader, SectionIdent};
use vmferry_wire::{DecodeResult, Decoded, description};
use vmstate::{Input, LoadError, Schema};

use crate::machine::{Machine, RamBlock};
use crate::refusal::{Refusal, Side};
use crate::release::Reader;

/// Longest body of a section, in bytes; the engine has the same limit.
const SECTION_BYTES_LIMIT: u64 = 64 << 20;

/// A load that runs.
pub(crate) struct Loading<'a> {
    machine: &'a Machine,
    machine_type: &'a str,
    reader: Reader,
    input: Input<'static>,
    /// Section ids of this stream, and whose they are; RAM's is an id string like others.
    bound: HashMap<u32, (String, u32)>,
    loaded: Vec<(String, u32)>,
    /// Octets of the bodies that were read.
    bodies: Vec<u64>,
}

impl<'a> Loading<'a> {
    pub(crate) fn new(machine: &'a Machine, machine_type: &'a str, reader: Reader, octets: &[u8]) -> Self {
        let input = Input::from_slice(octets, 0);
        Self { machine, machine_type, reader, input, bound: HashMap::new(), loaded: Vec::new(), bodies: Vec::new() }
    }

    pub(crate) fn run(mut self) -> Result<(), Refusal> {
        let ended = self.stream();
        ended.map_err(|refusal| Refusal { loaded: self.loaded, ..refusal })
    }

    fn stream(&mut self) -> Result<(), Refusal> {
        let _frozen = self.machine.registry().freeze_for_load().map_err(|refused| refuse(refused.to_string()))?;
        self.next(Header::decode)?;
        let Configuration { machine, .. } = self.next(Configuration::decode)?;
        if machine.as_str() != self.machine_type {
            let (found, here) = (machine.as_str(), self.machine_type);
            return Err(refuse(format!("machine type is '{found}' in the stream and '{here}' here")));
        }
        loop {
            let offset = self.input.offset();
            match self.next(Element::decode)? {
                Element::Eof => break,
                Element::Section(header) => self.section(&header, offset)?,
                Element::Command(command) if command.number() > self.reader.newest_command => {
                    let (found, newest) = (command.number(), self.reader.newest_command);
                    return Err(refuse(format!(
                        "at offset {offset:#x}: unknown command {found}; 1 to {newest} are known"
                    )));
                }
                Element::Command(_) => {}
            }
        }
        self.description()
    }

    fn section(&mut self, header: &SectionHeader, offset: u64) -> Result<(), Refusal> {
        let id = header.section_id();
        let Some(ident) = header.ident() else {
            let is_ram = self.bound.get(&id).is_some_and(|(idstr, _)| idstr == RAM_IDSTR);
            if !is_ram {
                return Err(refuse(format!("at offset {offset:#x}: section {id} has no parts")));
            }
            return self.ram_records(id).map_err(|refusal| of_section(refusal, RAM_IDSTR, 0));
        };
        let (idstr, instance) = (ident.idstr.as_str(), ident.instance_id);
        if idstr == RAM_IDSTR && instance == 0 {
            self.bind(id, idstr, instance)?;
            return self.ram_start(id, ident, offset).map_err(|refusal| of_section(refusal, idstr, instance));
        }
        let Some(entry) = self.machine.registry().find(idstr, instance) else {
            let known: Vec<String> =
                self.machine.registry().entries().iter().map(|entry| format!("{entry:?}")).collect();
            let text = format!("this machine has no such section; it has {}", known.join(", "));
            return Err(of_section(refuse(text), idstr, instance));
        };
        self.bind(id, entry.idstr(), entry.instance())?;
        let within = |refusal| of_section(refusal, idstr, instance);
        let failed = |error: LoadError| within(refuse(error.to_string()));
        let section = entry.section();
        let version = ident.version_id;
        if !section.schema().loads(version) {
            return Err(failed(LoadError::new(offset, section.schema().refusal(version))));
        }
        let start = self.input.offset();
        self.input.set_budget(SECTION_BYTES_LIMIT);
        let image = section.load(version, &mut self.input).map_err(failed)?;
        self.input.clear_budget();
        self.bodies.push(self.input.offset().saturating_sub(start));
        self.footer(id).map_err(within)?;
        image.commit().map_err(|refused| within(refuse(refused.to_string())))?;
        self.loaded.push((entry.idstr().to_owned(), entry.instance()));
        Ok(())
    }

    /// Each device and each id once, as the engine has it.
    fn bind(&mut self, id: u32, idstr: &str, instance: u32) -> Result<(), Refusal> {
        let name = (idstr.to_owned(), instance);
        if self.bound.values().any(|bound| *bound == name) || self.bound.insert(id, name).is_some() {
            return Err(of_section(refuse(format!("the device or the section id {id} came before")), idstr, instance));
        }
        Ok(())
    }

    fn ram_start(&mut self, id: u32, ident: &SectionIdent, offset: u64) -> Result<(), Refusal> {
        if ident.version_id != RAM_VERSION {
            let reason = Schema::new(RAM_IDSTR, RAM_VERSION).refusal(ident.version_id);
            return Err(refuse(LoadError::new(offset, reason).to_string()));
        }
        let Record::MemSize { total } = self.next(record)? else {
            return Err(refuse("RAM starts without its list of blocks"));
        };
        let mut list = BlockList::announced(total);
        while !list.is_complete() {
            let entry = self.next(|octets| BlockEntry::decode(octets, EntryLayout::default(), TargetPage::KIB_4))?;
            list.push(entry).map_err(|error| refuse(error.to_string()))?;
        }
        for entry in list.entries() {
            self.ram_block(entry)?;
        }
        let is_missing = |block: &&RamBlock| !list.entries().iter().any(|entry| *entry.name == *block.name);
        if let Some(block) = self.machine.ram.iter().find(is_missing) {
            return Err(refuse(format!("RAM block '{}' of this machine is not in the stream", block.name)));
        }
        self.ram_records(id)
    }

    fn ram_block(&self, entry: &BlockEntry) -> Result<(), Refusal> {
        let name = entry.name.as_str();
        let Some(block) = self.machine.ram.iter().find(|block| block.name == name) else {
            let known: Vec<&str> = self.machine.ram.iter().map(|block| block.name.as_str()).collect();
            return Err(refuse(format!(
                "RAM block '{name}' is not one of this machine, which has {}",
                known.join(", ")
            )));
        };
        if block.bytes != entry.used_bytes {
            let (found, here) = (entry.used_bytes, block.bytes);
            return Err(refuse(format!("RAM block '{name}' has {found:#x} bytes in the stream and {here:#x} here")));
        }
        Ok(())
    }

    fn ram_records(&mut self, id: u32) -> Result<(), Refusal> {
        loop {
            let offset = self.input.offset();
            match self.next(record)? {
                Record::Eos => return self.footer(id),
                Record::MultifdFlush if self.reader.knows_multifd_flush => {}
                other => return Err(refuse(format!("at offset {offset:#x}: unknown RAM record {other:?}"))),
            }
        }
    }

    fn footer(&mut self, id: u32) -> Result<(), Refusal> {
        self.next(|octets| Footer::decode(octets, id)).map(drop)
    }

    /// What tools need must be true, if it is there: the description lists the devices that came, in their order, and
    /// their octets.
    fn description(&mut self) -> Result<(), Refusal> {
        if self.input.buffered().is_empty() {
            return Ok(());
        }
        let Trailer::Description { length } = self.next(Trailer::decode)? else {
            return Err(refuse("no description behind the stream"));
        };
        let text = self.input.buffered();
        if usize::try_from(length) != Ok(text.len()) {
            return Err(refuse(format!("the description has {length} octets, and {} follow", text.len())));
        }
        let described = description::read(text).map_err(|error| refuse(error.to_string()))?;
        let sizes: Option<Vec<u64>> = described.devices.iter().map(|device| device.encoded_bytes()).collect();
        if sizes.as_ref() != Some(&self.bodies) {
            let came = &self.bodies;
            return Err(refuse(format!("the description has bodies of {sizes:?} octets, and {came:?} came")));
        }
        Ok(())
    }

    fn next<T>(&mut self, decode: impl Fn(&[u8]) -> DecodeResult<T>) -> Result<T, Refusal> {
        let offset = self.input.offset();
        match decode(self.input.buffered()) {
            Ok(Decoded::Complete { value, used }) => {
                self.input.consume(used);
                Ok(value)
            }
            Ok(Decoded::NeedMore { total }) => {
                let left = self.input.buffered().len();
                Err(refuse(format!("at offset {offset:#x}: stream ends: needs {total} bytes, {left} left")))
            }
            Err(error) => Err(refuse(error.at(offset).to_string())),
        }
    }
}

/// A record without what points into the input.
fn record(octets: &[u8]) -> DecodeResult<Record<'static>> {
    Ok(match Record::decode(octets, TargetPage::KIB_4)? {
        Decoded::Complete { value, used } => {
            let value = match value {
                Record::MemSize { total } => Record::MemSize { total },
                Record::Eos => Record::Eos,
                // Neither pages nor RDMA are ever sent here.
                Record::Hook | Record::Page(_) => Record::Hook,
                Record::MultifdFlush => Record::MultifdFlush,
            };
            Decoded::Complete { value, used }
        }
        Decoded::NeedMore { total } => Decoded::NeedMore { total },
    })
}

fn refuse(text: impl Into<String>) -> Refusal {
    Refusal::new(Side::Destination, None, text)
}

fn of_section(mut refusal: Refusal, idstr: &str, instance: u32) -> Refusal {
    refusal.section.get_or_insert_with(|| (idstr.to_owned(), instance));
    refusal
}
