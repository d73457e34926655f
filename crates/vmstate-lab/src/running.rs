//! A machine that runs: what its guest does and sees, and its way into a stream.
//!
//! ```text
//! header  configuration(machine type)  early sections  [ram: block list, end]  commands
//! sections by priority, each with its footer  EOF  description
//! ```
//!
//! The stream is a real one, without pages of RAM (`docs/spec/stream.md` section 2).

use std::ops::Range;

use vmferry_wire::configuration::Configuration;
use vmferry_wire::description::{Description, Device, DeviceBody, Vmsd};
use vmferry_wire::end::Trailer;
use vmferry_wire::header::Header;
use vmferry_wire::ram::block_list::{BlockEntry, BlockList};
use vmferry_wire::ram::{RAM_IDSTR, RAM_VERSION, Record};
use vmferry_wire::section::{EOF, Element, Footer, SectionHeader, SectionIdent};
use vmferry_wire::{Name, Reason};
use vmstate::describe::DescribeSink;
use vmstate::registry::Entry;

use crate::guest::{Observation, Unsupported};
use crate::loading::Loading;
use crate::machine::Machine;
use crate::refusal::{Refusal, Side};
use crate::release::Release;

/// Section id of RAM.
const RAM_SECTION_ID: u32 = 1;

/// Page size that descriptions state, in bytes.
const PAGE_BYTES: u64 = 4096;

/// A machine of a release.
#[derive(Debug)]
pub struct Running {
    release: Release,
    name: String,
    machine: Machine,
}

/// A device by its id string and instance id, with the octets that it would send, or why it cannot.
pub(crate) type Body = ((String, u32), Result<Vec<u8>, String>);

/// All state of a machine, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// The octets.
    pub octets: Vec<u8>,
    /// How many of them a loader needs: up to the end mark, without the description.
    pub needed: usize,
    /// The devices' sections, in stream order.
    pub sections: Vec<SectionOctets>,
}

/// Where a device's section is in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionOctets {
    /// Id string.
    pub idstr: String,
    /// Instance id.
    pub instance: u32,
    /// Version of the body.
    pub version: u32,
    /// Where its body is in the stream.
    pub body: Range<usize>,
}

impl Stream {
    /// The body of the section `idstr`, instance `instance`; nothing if it was not sent.
    #[must_use]
    pub fn body(&self, idstr: &str, instance: u32) -> Option<&[u8]> {
        let section = self.sections.iter().find(|section| section.idstr == idstr && section.instance == instance)?;
        self.octets.get(section.body.clone())
    }

    /// The body of a section in hexadecimal digits, for a test that shows octets.
    #[must_use]
    pub fn body_hex(&self, idstr: &str, instance: u32) -> Option<String> {
        Some(self.body(idstr, instance)?.iter().map(|octet| format!("{octet:02x}")).collect())
    }

    /// Which sections were sent, in stream order: `uart 0 version 2`.
    #[must_use]
    pub fn section_list(&self) -> Vec<String> {
        let line =
            |section: &SectionOctets| format!("{} {} version {}", section.idstr, section.instance, section.version);
        self.sections.iter().map(line).collect()
    }
}

impl Running {
    pub(crate) fn new(release: Release, name: String, machine: Machine) -> Self {
        Self { release, name, machine }
    }

    /// The release that it runs on.
    #[must_use]
    pub fn release(&self) -> Release {
        self.release
    }

    /// Full name of its machine type.
    #[must_use]
    pub fn machine_type(&self) -> &str {
        &self.name
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Has the guest do something; see [`Machine::act`].
    ///
    /// # Errors
    ///
    /// As [`Machine::act`].
    pub fn act(&mut self, register: &str, value: u64) -> Result<(), Unsupported> {
        self.machine.act(register, value)
    }

    pub(crate) fn apply(
        &mut self,
        act: impl FnOnce(&mut Machine) -> Result<(), Unsupported>,
    ) -> Result<(), Unsupported> {
        act(&mut self.machine)
    }

    /// What each device would send.
    pub(crate) fn bodies(&self) -> Vec<Body> {
        let body = |entry: &Entry| {
            let mut octets = Vec::new();
            match entry.section().save().map_err(|refused| refused.to_string())? {
                Some(saved) => saved.encode(&mut octets).map_err(|error| error.to_string())?,
                None => return Ok(octets),
            }
            Ok(octets)
        };
        let entries = self.machine.registry().entries();
        entries.iter().map(|entry| ((entry.idstr().to_owned(), entry.instance()), body(entry))).collect()
    }

    /// What the guest sees.
    #[must_use]
    pub fn observe(&self) -> Observation {
        self.machine.observe()
    }

    /// Saves all devices. The guest may go on afterwards.
    ///
    /// # Errors
    ///
    /// Something blocks migration; a device refuses; an image contradicts its description.
    pub fn save(&self) -> Result<Stream, Refusal> {
        let failed = |reason: Reason| Refusal::new(Side::Source, None, reason.to_string());
        let frozen = self.machine.registry().freeze_for_save();
        let _frozen = frozen.map_err(|refused| Refusal::new(Side::Source, None, refused.to_string()))?;
        let mut stream = Stream { octets: Vec::new(), needed: 0, sections: Vec::new() };
        let mut description = Description { page_bytes: Some(PAGE_BYTES), ..Description::default() };
        let configuration = Configuration::of_machine(Name::new(&self.name, "machine type").map_err(failed)?);
        description.configuration = Some(configuration.description());
        Header.encode(&mut stream.octets);
        configuration.encode(&mut stream.octets);
        let (early, late): (Vec<_>, Vec<_>) =
            self.machine.registry().entries().into_iter().partition(|entry| entry.section().schema().early);
        for entry in early {
            save_section(&entry, &mut stream, &mut description)?;
        }
        self.save_ram(&mut stream.octets).map_err(failed)?;
        for command in &self.machine.commands {
            Element::Command(command.clone()).encode(&mut stream.octets);
        }
        for entry in late {
            save_section(&entry, &mut stream, &mut description)?;
        }
        stream.octets.push(EOF);
        stream.needed = stream.octets.len();
        Trailer::encode_description(&description.to_text(), &mut stream.octets);
        Ok(stream)
    }

    fn save_ram(&self, out: &mut Vec<u8>) -> Result<(), Reason> {
        if self.machine.ram.is_empty() {
            return Ok(());
        }
        let mut blocks = Vec::new();
        for block in &self.machine.ram {
            blocks.push(BlockEntry {
                name: Name::new(&block.name, "RAM block")?,
                used_bytes: block.bytes,
                page_bytes: None,
                guest_address: None,
                mapped_ram: None,
            });
        }
        let ident = SectionIdent { idstr: Name::new(RAM_IDSTR, "section")?, instance_id: 0, version_id: RAM_VERSION };
        SectionHeader::Start { section_id: RAM_SECTION_ID, ident }.encode(out);
        BlockList::encode(&blocks, out);
        Record::encode_eos(out);
        Footer { section_id: RAM_SECTION_ID }.encode(out);
        SectionHeader::End { section_id: RAM_SECTION_ID }.encode(out);
        if self.machine.multifd_flush {
            Record::encode_multifd_flush(out);
        }
        Record::encode_eos(out);
        Footer { section_id: RAM_SECTION_ID }.encode(out);
        Ok(())
    }

    /// Loads a stream, section by section, as the engine does: a section's device takes it over when its footer was
    /// read. After a refusal the device that refused, and those behind it, are what they were.
    ///
    /// # Errors
    ///
    /// The stream does not fit this machine, or is damaged.
    pub fn load(&mut self, stream: &Stream) -> Result<(), Refusal> {
        Loading::new(&self.machine, &self.name, self.release.reader, &stream.octets).run()
    }
}

fn save_section(entry: &Entry, stream: &mut Stream, description: &mut Description) -> Result<(), Refusal> {
    let (idstr, instance) = (entry.idstr(), entry.instance());
    let failed = |text: String| Refusal::new(Side::Source, Some((idstr, instance)), text);
    let Some(saved) = entry.section().save().map_err(|refused| failed(refused.to_string()))? else { return Ok(()) };
    let name = Name::new(idstr, "section").map_err(|reason| failed(reason.to_string()))?;
    let version = saved.schema().version;
    let ident = SectionIdent { idstr: name, instance_id: instance, version_id: version };
    SectionHeader::Full { section_id: entry.section_id(), ident }.encode(&mut stream.octets);
    let start = stream.octets.len();
    let mut sink = DescribeSink::new(saved.schema(), &mut stream.octets);
    saved.encode(&mut sink).map_err(|error| failed(error.to_string()))?;
    let vmsd = Vmsd::from(&sink.finish());
    let body = start..stream.octets.len();
    Footer { section_id: entry.section_id() }.encode(&mut stream.octets);
    stream.sections.push(SectionOctets { idstr: idstr.to_owned(), instance, version, body });
    let body = DeviceBody::Vmsd(vmsd);
    description.devices.push(Device { idstr: idstr.to_owned(), instance_id: instance, body });
    Ok(())
}
