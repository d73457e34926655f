//! Sections of devices, each with its description: cut out of a stream, or read from a file in `tests/data`.
//!
//! A file is lines of JSON, compressed with zstd; a line is a section, in the order of the stream:
//!
//! | key | what |
//! |---|---|
//! | `version` | version of the section |
//! | `body` | its octets, in hexadecimal |
//! | `devices` | a list of one: what the description behind the stream says about it (`docs/spec/vmdesc.md` A2) |

use std::error::Error;
use std::fmt::Write as _;

use vmferry_inspect::{Options, Source, analyze};
use vmferry_wire::description::{self, Description, Device, DeviceBody, Vmsd};

/// One section of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    /// Version in its header.
    pub(crate) version: u32,
    /// What is between header and footer.
    pub(crate) body: Vec<u8>,
    /// What the stream says about it.
    pub(crate) device: Device,
}

impl Section {
    /// The description of its state; nothing if the body has a codec of its own.
    pub(crate) fn vmsd(&self) -> Option<&Vmsd> {
        match &self.device.body {
            DeviceBody::Vmsd(vmsd) => Some(vmsd),
            DeviceBody::Opaque(_) => None,
        }
    }

    /// The name of the state, whatever device path stands before it.
    pub(crate) fn name(&self) -> &str {
        self.vmsd().map_or(&self.device.idstr, |vmsd| &vmsd.name)
    }

    /// Its header, for messages.
    pub(crate) fn place(&self) -> String {
        format!("{} {} version {}", self.device.idstr, self.device.instance_id, self.version)
    }
}

/// The sections of a whole stream, iterative ones aside.
pub(crate) fn of_stream(stream: &[u8]) -> Result<Vec<Section>, Box<dyn Error>> {
    let analysis = analyze(Source::from_octets(stream), &Options::default(), &mut ())?;
    let text = description_of(stream).ok_or("no description behind the stream")?;
    let devices = description::read(text)?.devices;
    let mut sections = Vec::new();
    for report in analysis.sections.iter().filter(|report| report.parts.is_none()) {
        let is_it = |device: &&Device| device.idstr == report.name && device.instance_id == report.instance_id;
        let device = devices.iter().find(is_it).ok_or_else(|| format!("{} is not described", report.name))?;
        // Type, section id, length of the name, name, instance id, version (docs/spec/stream.md section 4).
        let start = usize::try_from(report.offset)? + 1 + 4 + 1 + report.name.len() + 4 + 4;
        let body = stream[start..][..usize::try_from(report.body_bytes)?].to_vec();
        sections.push(Section { version: report.version, body, device: device.clone() });
    }
    Ok(sections)
}

/// The text behind the end of a stream: `00 06`, its length, and an object that goes to the end of the file.
fn description_of(stream: &[u8]) -> Option<&[u8]> {
    let starts = stream.windows(2).enumerate().rev().filter(|(_, mark)| *mark == [0, 6]);
    let texts = starts.filter_map(|(at, _)| {
        let (length, text) = stream[at + 2..].split_first_chunk()?;
        (u32::from_be_bytes(*length) as usize == text.len() && text.starts_with(b"{")).then_some(text)
    });
    texts.into_iter().next()
}

/// The sections in the form of a file, not compressed.
pub(crate) fn to_text(sections: &[Section]) -> String {
    let mut text = String::new();
    for section in sections {
        let document = Description { devices: vec![section.device.clone()], ..Description::default() }.to_text();
        let devices = document.split_once("\"devices\"").map_or("", |(_, rest)| rest);
        let body: String = section.body.iter().fold(String::new(), |mut hex, octet| {
            let _ = write!(hex, "{octet:02x}");
            hex
        });
        let _ = writeln!(text, "{{\"version\": {}, \"body\": \"{body}\", \"devices\"{devices}", section.version);
    }
    text
}

/// The sections of a file, not compressed any more.
pub(crate) fn from_text(text: &str) -> Result<Vec<Section>, Box<dyn Error>> {
    text.lines().map(section_of_line).collect()
}

fn section_of_line(line: &str) -> Result<Section, Box<dyn Error>> {
    let json: serde_json::Value = serde_json::from_str(line)?;
    let version = json["version"].as_u64().ok_or("no version")?;
    let hex = json["body"].as_str().ok_or("no body")?;
    let octets =
        hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair)?, 16).map_err(Into::into));
    let body = octets.collect::<Result<_, Box<dyn Error>>>()?;
    let device = description::read(line.as_bytes())?.devices.into_iter().next().ok_or("no description")?;
    Ok(Section { version: u32::try_from(version)?, body, device })
}
