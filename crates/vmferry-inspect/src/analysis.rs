//! The report on a stream, and its JSON.
//!
//! The document is a contract of the `vmferry` command: keys may be added, never changed.
//!
//! ```text
//! {"format": {"version", "dialect": [word]},
//!  "configuration": {"machine", "target_page_bits"?, "capabilities"?: [str], "uuid"?},
//!  "ram": {"page_size", "blocks": [{"id", "used_length", "page_size", "normal_pages", "zero_pages", "xbzrle_pages",
//!          "compressed_pages", "distinct_pages"}]},
//!  "sections": [{"name", "instance_id", "section_id", "version", "offset", "size", "fields": {}, "subsections": {}}],
//!  "commands": [{"name", "offset", "length"}],
//!  "warnings": [{"offset", "text"}],
//!  "end": {"eof": bool, "vmdesc": bool}}
//! ```
//!
//! Sections are the FULL ones, and iterative ones other than RAM with their parts summed and counted under `parts`.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use vmferry_wire::configuration::Configuration;

use crate::dialect::Dialect;
use crate::stream_map::StreamMap;
use crate::value::{Hex, JsonInteger, Named, Object};

/// What a stream holds.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Analysis {
    /// Version of the stream; `None` if it ends before that.
    pub version: Option<u32>,
    /// The dialects that the stream uses.
    pub dialects: Vec<Dialect>,
    /// The configuration section, if there was one.
    pub configuration: Option<Configuration>,
    /// RAM, by block.
    pub ram: RamReport,
    /// Sections of devices in stream order.
    pub sections: Vec<SectionReport>,
    /// Commands in stream order.
    pub commands: Vec<CommandReport>,
    /// What is odd about the stream.
    pub warnings: Vec<Warning>,
    /// How it ends.
    pub end: End,
    /// Where the octets of the main channel are.
    pub map: StreamMap,
    /// Whether a further channel ends before the main one.
    pub is_channel_cut: bool,
    /// Why pages of RAM are not in what was read.
    pub(crate) missing_ram: Vec<String>,
    /// What stands behind the end of the stream begins here.
    pub(crate) trailer_offset: Option<u64>,
}

/// RAM of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RamReport {
    /// The target page size in bytes.
    pub page_bytes: u64,
    /// The blocks in the order of the list.
    pub blocks: Vec<BlockReport>,
}

/// One RAM block. Pages are counted as often as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockReport {
    /// The block's id.
    pub id: String,
    /// Bytes in use.
    pub used_bytes: u64,
    /// The block's page size in bytes.
    pub page_bytes: u64,
    /// Pages sent whole; with mapped-ram, pages in the file.
    pub normal_pages: u64,
    /// Pages sent as zero; with mapped-ram, pages that are not in the file.
    pub zero_pages: u64,
    /// Pages sent as differences.
    pub xbzrle_pages: u64,
    /// Pages sent compressed.
    pub compressed_pages: u64,
    /// Page addresses that were sent at least once.
    pub distinct_pages: u64,
    /// What they took.
    pub bytes: PageBytes,
}

/// Octets that the pages of a block took by kind, on all channels that were read: contents, and the record in front of
/// them on channels that have one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageBytes {
    /// Pages sent whole.
    pub normal: u64,
    /// Pages sent as zero.
    pub zero: u64,
    /// Pages sent as differences.
    pub xbzrle: u64,
    /// Pages sent compressed.
    pub compressed: u64,
}

impl PageBytes {
    /// All kinds together.
    pub fn total(self) -> u64 {
        [self.zero, self.xbzrle, self.compressed].into_iter().fold(self.normal, u64::saturating_add)
    }
}

/// One section of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionReport {
    /// Id string.
    pub name: String,
    /// Instance id.
    pub instance_id: u32,
    /// Number of the section in this stream.
    pub section_id: u32,
    /// Version of its state.
    pub version: u32,
    /// Position of its type octet.
    pub offset: u64,
    /// Octets of its body, without header and footer; of all parts together.
    pub body_bytes: u64,
    /// START, PART and END sections that it came in; `None` for a FULL one.
    pub parts: Option<u64>,
    /// The decoded state. Octets that could not be decoded are in a field `data`.
    pub state: Object,
    /// Whether the end of the body is a guess, since no description tells its length.
    pub is_end_guessed: bool,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandReport {
    /// Name in lower case with hyphens.
    pub name: &'static str,
    /// Position of its type octet.
    pub offset: u64,
    /// Octets of its payload.
    pub payload_bytes: u64,
    /// Octets of the package that follows it.
    pub package_bytes: Option<u32>,
}

/// Something odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Position in the stream.
    pub offset: u64,
    /// What it is.
    pub text: String,
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Whether the end of the stream was there: the only proof that the stream is complete.
    pub eof: bool,
    /// Whether a description followed and could be read.
    pub vmdesc: bool,
}

impl Analysis {
    /// Whether the stream, or a further channel of it, ends before its end. The command exits with 3 then.
    pub fn is_truncated(&self) -> bool {
        !self.end.eof || self.is_channel_cut
    }

    /// Keeps the sections of this id string (or its last component), and of this instance if one is given.
    pub fn retain_device(&mut self, name: &str, instance_id: Option<u32>) {
        self.sections.retain(|section| {
            let last = section.name.rsplit('/').next().unwrap_or_default();
            (section.name == name || last == name) && instance_id.is_none_or(|id| id == section.instance_id)
        });
    }

    /// The JSON document as text.
    ///
    /// # Errors
    ///
    /// None that is known: every key is a string and every number is finite.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// Writes the JSON document, without holding its text in memory.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_json(&self, out: impl Write) -> io::Result<()> {
        Ok(serde_json::to_writer_pretty(out, self)?)
    }
}

impl Serialize for Analysis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_struct("Analysis", 7)?;
        document.serialize_field("format", &Format(self))?;
        document.serialize_field("configuration", &ConfigurationJson(self.configuration.as_ref()))?;
        document.serialize_field("ram", &self.ram)?;
        document.serialize_field("sections", &self.sections)?;
        document.serialize_field("commands", &self.commands)?;
        document.serialize_field("warnings", &self.warnings)?;
        document.serialize_field("end", &self.end)?;
        document.end()
    }
}

struct Format<'a>(&'a Analysis);

impl Serialize for Format<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let words: Vec<_> = self.0.dialects.iter().map(|dialect| dialect.word()).collect();
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("version", &self.0.version)?;
        map.serialize_entry("dialect", &words)?;
        map.end()
    }
}

struct ConfigurationJson<'a>(Option<&'a Configuration>);

impl Serialize for ConfigurationJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("machine", &self.0.map(|configuration| configuration.machine.as_str()))?;
        if let Some(Configuration { machine: _, target_page, capabilities, uuid }) = self.0 {
            if let Some(page) = target_page {
                map.serialize_entry("target_page_bits", &page.bits())?;
            }
            if let Some(names) = capabilities {
                let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
                map.serialize_entry("capabilities", &names)?;
            }
            if let Some(uuid) = uuid {
                map.serialize_entry("uuid", &uuid_text(*uuid))?;
            }
        }
        map.end()
    }
}

/// The usual form of a UUID.
pub(crate) fn uuid_text(uuid: [u8; 16]) -> String {
    let hex = Hex(&uuid).to_string();
    let mut text = String::new();
    for (i, digit) in hex.chars().enumerate() {
        if matches!(i, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

impl Serialize for RamReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("page_size", &self.page_bytes)?;
        map.serialize_entry("blocks", &self.blocks)?;
        map.end()
    }
}

impl Serialize for BlockReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let BlockReport {
            id,
            used_bytes,
            page_bytes,
            normal_pages,
            zero_pages,
            xbzrle_pages,
            compressed_pages,
            distinct_pages,
            bytes: _,
        } = self;
        let mut map = serializer.serialize_map(Some(8))?;
        map.serialize_entry("id", id)?;
        map.serialize_entry("used_length", &JsonInteger(*used_bytes))?;
        map.serialize_entry("page_size", &JsonInteger(*page_bytes))?;
        for (key, pages) in [
            ("normal_pages", normal_pages),
            ("zero_pages", zero_pages),
            ("xbzrle_pages", xbzrle_pages),
            ("compressed_pages", compressed_pages),
            ("distinct_pages", distinct_pages),
        ] {
            map.serialize_entry(key, &JsonInteger(*pages))?;
        }
        map.end()
    }
}

impl Serialize for SectionReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let SectionReport {
            name,
            instance_id,
            section_id,
            version,
            offset,
            body_bytes,
            parts,
            state: Object { fields, subsections },
            is_end_guessed,
        } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", name)?;
        map.serialize_entry("instance_id", instance_id)?;
        map.serialize_entry("section_id", section_id)?;
        map.serialize_entry("version", version)?;
        map.serialize_entry("offset", &JsonInteger(*offset))?;
        map.serialize_entry("size", &JsonInteger(*body_bytes))?;
        if let Some(parts) = parts {
            map.serialize_entry("parts", parts)?;
        }
        if *is_end_guessed {
            map.serialize_entry("end_guessed", &true)?;
        }
        map.serialize_entry("fields", &Named(fields))?;
        map.serialize_entry("subsections", &Named(subsections))?;
        map.end()
    }
}

impl Serialize for CommandReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", self.name)?;
        map.serialize_entry("offset", &JsonInteger(self.offset))?;
        map.serialize_entry("length", &self.payload_bytes)?;
        if let Some(octets) = self.package_bytes {
            map.serialize_entry("package_length", &octets)?;
        }
        map.end()
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("offset", &JsonInteger(self.offset))?;
        map.serialize_entry("text", &self.text)?;
        map.end()
    }
}

impl Serialize for End {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("eof", &self.eof)?;
        map.serialize_entry("vmdesc", &self.vmdesc)?;
        map.end()
    }
}
