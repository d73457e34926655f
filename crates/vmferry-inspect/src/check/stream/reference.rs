//! A stream against one that the destination saved itself: configuration, RAM, sections.
//!
//! The reference tells what the destination has. What it does not tell: sections and fields that it would load but has
//! no reason to send, and where it was silent the knowledge of releases helps ([`super::releases`]).

use std::collections::{HashMap, HashSet};

use super::recorded::{Recorded, RecordedSection};
use super::releases::{Known, Span, releases};
use super::report::{Found, StreamFinding};
use super::rules::StreamRule;
use super::schema::SchemaIndex;
use super::shape::{Shapes, Sides};
use crate::analysis::{BlockReport, CommandReport, uuid_text};
use crate::check::Severity;

/// Prefix of blocks that the destination makes as large as they come: tables of the firmware.
const RESIZABLE: &str = "/rom@etc/";

/// Instances of an id string that are listed.
const INSTANCES_LISTED: usize = 8;

/// The command before the last phase of a precopy, as reports call it.
const SWITCHOVER_START: &str = "switchover-start";

/// The section that each CPU has.
const CPU_SECTION: &str = "cpu_common";

/// Everything that a comparison needs.
pub(super) struct Reference<'c> {
    pub(super) stream: &'c Recorded,
    pub(super) own: &'c Recorded,
    pub(super) schema: Option<&'c SchemaIndex<'c>>,
    pub(super) found: &'c mut Found,
}

impl Reference<'_> {
    pub(super) fn compare(mut self) {
        self.configuration();
        self.commands();
        self.ram();
        self.sections();
    }

    fn add(
        &mut self,
        severity: Severity,
        rule: StreamRule,
        path: &str,
        texts: (String, String),
        question: Option<&str>,
    ) {
        self.found.add(StreamFinding {
            severity,
            rule,
            path: path.to_owned(),
            offset: None,
            found: texts.0,
            expected: texts.1,
            question: question.map(str::to_owned),
            harmless: None,
        });
    }

    fn configuration(&mut self) {
        let (Some(sent), Some(own)) = (&self.stream.analysis.configuration, &self.own.analysis.configuration) else {
            let texts = ("one of the streams names no machine type".to_owned(), "the same machine type".to_owned());
            let question = "is the machine type of the destination another one?";
            self.add(Severity::Risk, StreamRule::MachineType, "machine", texts, Some(question));
            return;
        };
        let (machine, own_machine) = (sent.machine.as_str().to_owned(), own.machine.as_str().to_owned());
        let pages = (sent.target_page, own.target_page);
        let capabilities = sent.capabilities.as_ref().map(|names| {
            let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
            names.join(", ")
        });
        let (uuid, own_uuid) = (sent.uuid, own.uuid);
        if machine != own_machine {
            self.add(Severity::Break, StreamRule::MachineType, "machine", (machine, own_machine), None);
        }
        if let (Some(page), Some(own)) = pages
            && page != own
        {
            let shown = |bits: u32| format!("pages of 2^{bits} bytes");
            let texts = (shown(page.bits()), shown(own.bits()));
            self.add(Severity::Break, StreamRule::TargetPage, "machine", texts, None);
        }
        if let Some(names) = capabilities.filter(|names| !names.is_empty()) {
            self.add(
                Severity::Info,
                StreamRule::Capability,
                "machine",
                (names, "the same, turned on".to_owned()),
                None,
            );
        }
        match (uuid, own_uuid) {
            (Some(uuid), Some(own)) if uuid != own => {
                self.add(Severity::Break, StreamRule::Uuid, "machine", (uuid_text(uuid), uuid_text(own)), None);
            }
            (Some(uuid), None) => {
                let question = "is the destination started with another -uuid?";
                let texts = (uuid_text(uuid), "the reference does not tell".to_owned());
                self.add(Severity::Risk, StreamRule::Uuid, "machine", texts, Some(question));
            }
            _ => {}
        }
    }

    /// A command that announces the last phase, which older releases do not know. Machine types with a release in their
    /// name send what that knew.
    fn commands(&mut self) {
        let (Some(command), None) = (switchover_start(self.stream), switchover_start(self.own)) else { return };
        let (severity, question) = match releases().knows_switchover_start(releases().span_of_reference(self.own)) {
            Known::Yes => return,
            Known::No => (Severity::Break, None),
            Known::Perhaps => (Severity::Risk, Some("is the destination a QEMU older than 10.0?")),
        };
        self.found.add(StreamFinding {
            severity,
            rule: StreamRule::Command,
            path: SWITCHOVER_START.to_owned(),
            offset: Some(command.offset),
            found: "a command of the stream".to_owned(),
            expected: "not sent by the destination".to_owned(),
            question: question.map(str::to_owned),
            harmless: None,
        });
    }

    fn ram(&mut self) {
        let own: HashMap<&str, &BlockReport> =
            self.own.analysis.ram.blocks.iter().map(|block| (block.id.as_str(), block)).collect();
        for block in &self.stream.analysis.ram.blocks {
            let path = format!("ram.{}", block.id);
            let size = |block: &BlockReport| format!("0x{:x} bytes", block.used_bytes);
            let Some(local) = own.get(block.id.as_str()) else {
                self.add(Severity::Break, StreamRule::RamBlock, &path, (size(block), "no such block".to_owned()), None);
                continue;
            };
            if block.used_bytes == local.used_bytes {
                continue;
            }
            // A block that can grow has a largest size, which no stream tells; a smaller one always fits.
            let is_resizable = block.id.starts_with(RESIZABLE);
            let severity = if is_resizable { Severity::Info } else { Severity::Break };
            self.add(severity, StreamRule::RamSize, &path, (size(block), size(local)), None);
        }
        let sent: HashSet<&str> = self.stream.analysis.ram.blocks.iter().map(|block| block.id.as_str()).collect();
        for block in self.own.analysis.ram.blocks.iter().filter(|block| !sent.contains(block.id.as_str())) {
            let path = format!("ram.{}", block.id);
            let texts = ("no such block".to_owned(), format!("0x{:x} bytes, which stay as they are", block.used_bytes));
            self.add(Severity::Info, StreamRule::RamBlock, &path, texts, None);
        }
    }

    fn sections(&mut self) {
        let own: HashMap<(&str, u32), &RecordedSection> =
            self.own.sections.iter().map(|section| ((section.idstr.as_str(), section.instance_id), section)).collect();
        let span = releases().span_of_reference(self.own);
        let cpus = self.own.sections.iter().filter(|section| section.idstr == CPU_SECTION).count();
        let own_cpus = u64::try_from(cpus).unwrap_or(u64::MAX);
        for section in &self.stream.sections {
            match own.get(&(section.idstr.as_str(), section.instance_id)) {
                Some(local) => self.section(section, local, span, own_cpus),
                None => self.unknown(section),
            }
        }
        let sent: HashSet<(&str, u32)> =
            self.stream.sections.iter().map(|section| (section.idstr.as_str(), section.instance_id)).collect();
        for section in &self.own.sections {
            let is_sent = sent.contains(&(section.idstr.as_str(), section.instance_id));
            // A section that is there by what it holds is no device that the stream lacks.
            if !is_sent && releases().shown_by(section.description_name()).is_none() {
                let texts = ("no such section".to_owned(), "a device, which the guest finds reset".to_owned());
                self.add(Severity::Info, StreamRule::SectionLacking, &path_of(section), texts, None);
            }
        }
    }

    fn section(&mut self, section: &RecordedSection, local: &RecordedSection, span: Span, own_cpus: u64) {
        let path = path_of(section);
        if section.version != local.version {
            let texts = (format!("version {}", section.version), format!("version {}", local.version));
            let is_newer = section.version > local.version;
            let (severity, question) = match is_newer {
                true => (Severity::Break, None),
                // The schema says which older ones are loaded, if there is one.
                false if self.schema.is_some_and(|schema| schema.describes(section.description_name())) => {
                    (Severity::Info, None)
                }
                false => (Severity::Risk, Some("does the destination no longer load this older version?")),
            };
            self.found.add(StreamFinding {
                severity,
                rule: StreamRule::SectionVersion,
                path: path.clone(),
                offset: Some(section.offset),
                found: texts.0,
                expected: texts.1,
                question: question.map(str::to_owned),
                harmless: None,
            });
            if is_newer {
                return;
            }
        }
        if section.is_iterative || local.is_iterative {
            return;
        }
        let (Some(state), Some(own)) = (&section.state, &local.state) else {
            // A body with a codec of its own is in no description.
            let has_own_codec =
                self.stream.is_described && self.own.is_described && section.vmsd.is_none() && local.vmsd.is_none();
            if has_own_codec {
                let texts = ("a codec of its own".to_owned(), "the same, not compared".to_owned());
                self.add(Severity::Info, StreamRule::NotCompared, &path, texts, None);
            } else {
                let texts = ("a description that does not fit its octets, or none".to_owned(), "described".to_owned());
                let question = "does the destination refuse what is in it?";
                self.add(Severity::Risk, StreamRule::NotCompared, &path, texts, Some(question));
            }
            return;
        };
        let sides = Sides { span, schema: self.schema, own_cpus, idstr: &section.idstr, offset: section.offset };
        Shapes::new(sides, self.found).compare(path, state, own);
    }

    fn unknown(&mut self, section: &RecordedSection) {
        let path = path_of(section);
        let name = section.description_name();
        let shown = format!("a section of version {}", section.version);
        let (severity, question) = match releases().shown_by(name) {
            Some(shown_by) => {
                let has = self.own.sections.iter().any(|own| shown_by.contains(own.description_name()));
                match has {
                    true => (Severity::Info, None),
                    false => (Severity::Risk, Some("does the destination lack a back end for it?")),
                }
            }
            None if self.schema.is_some_and(|schema| schema.has_instance(&section.idstr, section.instance_id)) => {
                (Severity::Info, None)
            }
            None if section.is_iterative => {
                (Severity::Risk, Some("does the destination lack what the section is for (a disk, a capability)?"))
            }
            None => (Severity::Break, None),
        };
        let same = self.own.sections.iter().filter(|own| own.idstr == section.idstr).take(INSTANCES_LISTED);
        let instances: Vec<String> = same.map(|own| own.instance_id.to_string()).collect();
        let expected = match instances.as_slice() {
            [] => "no such section".to_owned(),
            some => format!("instances {}", some.join(", ")),
        };
        self.found.add(StreamFinding {
            severity,
            rule: StreamRule::Section,
            path,
            offset: Some(section.offset),
            found: shown,
            expected,
            question: question.map(str::to_owned),
            harmless: None,
        });
    }
}

fn switchover_start(stream: &Recorded) -> Option<&CommandReport> {
    stream.analysis.commands.iter().find(|command| command.name == SWITCHOVER_START)
}

pub(super) fn path_of(section: &RecordedSection) -> String {
    format!("{}/{}", section.idstr, section.instance_id)
}
