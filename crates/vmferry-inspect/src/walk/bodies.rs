//! Bodies of device sections: where they end, and what they hold.
//!
//! The length of a body comes from the description; the footer behind it confirms it. Where there is no description, or
//! it is wrong, the footer is searched (`footer_search.rs`).

use std::io;

use vmferry_wire::description::DeviceBody;
use vmferry_wire::globalstate::{GLOBALSTATE_BYTES, GLOBALSTATE_IDSTR, GlobalState};
use vmferry_wire::ram::{RAM_IDSTR, RAM_VERSION};
use vmferry_wire::section::{FOOTER_BYTES, Footer, SectionIdent};

use crate::analysis::SectionReport;
use crate::described::Described;
use crate::error::{Halt, Step, StreamFault};
use crate::fields::{self, OCTETS_FIELD};
use crate::footer_search::{self, LOOKAHEAD_BYTES, Surroundings};
use crate::limits::{READ_BUFFER_BYTES, SECTION_BODY_BYTES_LIMIT, SECTION_COUNT_LIMIT};
use crate::reader::Input;
use crate::spool::spool;
use crate::value::{Object, Value};
use crate::walk::iterative::OwnFormat;
use crate::walk::{Bound, Format, Walk};

/// Id string of the section of dirty bitmaps.
pub(crate) const DIRTY_BITMAP_IDSTR: &str = "dirty-bitmap";

/// Where a body ends.
enum BodyEnd {
    /// After so many octets, as the description says.
    Told(usize),
    /// After so many octets, as a footer in a plausible place says.
    Guessed(usize),
    /// After more octets than are kept, as the description says.
    TooLong(u64),
}

impl Walk<'_> {
    /// Binds a section id to what START or FULL says of it.
    pub(super) fn bind(&mut self, offset: u64, section_id: u32, ident: SectionIdent, is_started: bool) -> Step<()> {
        self.section = Some((ident.idstr.to_string(), ident.instance_id));
        let format = match OwnFormat::of(&ident.idstr) {
            _ if ident.idstr == RAM_IDSTR => Format::Ram,
            _ if ident.idstr == DIRTY_BITMAP_IDSTR => Format::DirtyBitmaps,
            Some(own) => Format::Own(own),
            None => Format::Described,
        };
        match format {
            Format::Ram if ident.version_id != RAM_VERSION => {
                return Err(Halt::malformed(offset, StreamFault::RamVersion { found: ident.version_id }));
            }
            Format::DirtyBitmaps => self.seen.dirty_bitmaps = true,
            Format::Own(OwnFormat::Block) => self.seen.block_migration = true,
            _ => {}
        }
        // The report bounds the ids of devices; RAM may be started again and again, too.
        if self.bound.len() >= SECTION_COUNT_LIMIT && !self.bound.contains_key(&section_id) {
            return Err(Halt::malformed(offset, StreamFault::TooManySections { limit: SECTION_COUNT_LIMIT }));
        }
        let report = match format {
            Format::Ram => None,
            Format::DirtyBitmaps | Format::Own(_) | Format::Described => {
                Some(self.add_report(offset, section_id, &ident, is_started)?)
            }
        };
        let bound = Bound { ident, format, report, is_started };
        if let Some(before) = self.bound.insert(section_id, bound)
            && let Some(now) = self.bound.get(&section_id)
        {
            let text = if before.ident == now.ident {
                format!("section {:?} instance {} is sent again", now.ident.idstr, now.ident.instance_id)
            } else {
                format!("section id {section_id} belonged to {:?} before", before.ident.idstr)
            };
            self.warn(offset, text);
        }
        Ok(())
    }

    fn add_report(&mut self, offset: u64, section_id: u32, ident: &SectionIdent, is_started: bool) -> Step<usize> {
        let index = self.analysis.sections.len();
        if index >= SECTION_COUNT_LIMIT {
            return Err(Halt::malformed(offset, StreamFault::TooManySections { limit: SECTION_COUNT_LIMIT }));
        }
        self.analysis.sections.push(SectionReport {
            name: ident.idstr.to_string(),
            instance_id: ident.instance_id,
            section_id,
            version: ident.version_id,
            offset,
            body_bytes: 0,
            parts: is_started.then_some(0),
            state: Object::default(),
            is_end_guessed: false,
        });
        Ok(index)
    }

    /// Reads the body and the footer of the section that is bound to `section_id`.
    pub(super) fn body(&mut self, section_id: u32) -> Step<()> {
        let Some(Bound { format, report, .. }) = self.bound.get(&section_id) else { return Ok(()) };
        let (format, report) = (*format, *report);
        let start = self.reader.position();
        match format {
            Format::Ram => self.ram.body(&mut self.reader, &mut self.multifd)?,
            Format::DirtyBitmaps => self.dirty_bitmaps.body(&mut self.reader)?,
            Format::Own(own) => own.body(&mut self.reader)?,
            Format::Described => {
                if let Some(index) = report {
                    self.device_body(section_id, index)?;
                }
            }
        }
        let body_bytes = self.reader.position().saturating_sub(start);
        if let Some(report) = report.and_then(|index| self.analysis.sections.get_mut(index)) {
            report.body_bytes = report.body_bytes.saturating_add(body_bytes);
            if let Some(parts) = &mut report.parts {
                *parts = parts.saturating_add(1);
            }
        }
        self.footer(section_id)
    }

    fn device_body(&mut self, section_id: u32, report: usize) -> Step<()> {
        self.settle_description()?;
        let start = self.reader.position();
        let Some((idstr, instance_id)) = self.section.clone() else { return Ok(()) };
        // Sections of a package are not described: a writer that enters postcopy gives its description up.
        let described = self.described.as_mut().filter(|_| self.package_end.is_none());
        let entry = described.and_then(|described| described.take(&idstr, instance_id));
        let end = self.body_end(section_id, entry)?;
        let length = match end {
            BodyEnd::Told(length) | BodyEnd::Guessed(length) => length,
            BodyEnd::TooLong(octets) => {
                let text =
                    format!("section {idstr:?}: {octets} octets, more than {SECTION_BODY_BYTES_LIMIT}; left out");
                self.warn(start, text);
                return self.reader.skip(octets);
            }
        };
        let is_guessed = matches!(end, BodyEnd::Guessed(_));
        if is_guessed && self.described.is_some() && self.package_end.is_none() {
            let text = match entry {
                Some(_) => "its description tells another length than its footer; the footer was searched",
                None => "it has no description; its footer was searched",
            };
            self.warn(start, format!("section {idstr:?} instance {instance_id}: {text}"));
        }
        let state = self.state(start, length, entry);
        if let Some(report) = self.analysis.sections.get_mut(report) {
            report.state = state;
            report.is_end_guessed = is_guessed;
        }
        self.reader.consume(length);
        Ok(())
    }

    /// Decodes the `length` octets ahead as the entry of the description says.
    fn state(&mut self, start: u64, length: usize, entry: Option<usize>) -> Object {
        if !self.budget.take_octets(length) {
            self.warn(start, "more device state than is kept; this section is left out".to_owned());
            return Object::default();
        }
        let body = self.reader.buffered().get(..length).unwrap_or_default();
        let (state, oddities) = match entry.and_then(|entry| self.described.as_ref()?.device(entry)) {
            Some(device) => match &device.body {
                DeviceBody::Vmsd(vmsd) => fields::decode(vmsd, body, &mut self.budget),
                DeviceBody::Opaque(_) => (fields::undecoded(body), Vec::new()),
            },
            None => (fields::undecoded(body), Vec::new()),
        };
        let (idstr, instance_id) = self.section.clone().unwrap_or_default();
        for oddity in oddities {
            let path = if oddity.path.is_empty() { String::new() } else { format!(", field {}", oddity.path) };
            let text = format!("section {idstr:?} instance {instance_id}{path}: {}", oddity.text);
            self.warn(start.saturating_add(oddity.offset), text);
        }
        state
    }

    /// Decodes the one section whose layout is known without description.
    pub(super) fn decode_globalstate(&mut self) {
        for report in &mut self.analysis.sections {
            if report.name != GLOBALSTATE_IDSTR {
                continue;
            }
            if let [(field, Value::Octets(body))] = report.state.fields.as_slice()
                && field == OCTETS_FIELD
                && body.len() == GLOBALSTATE_BYTES
            {
                let (state, _) = fields::decode(&GlobalState::description(), body, &mut self.budget);
                report.state = state;
            }
        }
    }

    /// For a pipe, the first device section decides: from here on everything is kept, to find the description.
    fn settle_description(&mut self) -> Step<()> {
        // In a package it is not used.
        if self.is_description_settled || self.package_end.is_some() {
            return Ok(());
        }
        self.is_description_settled = true;
        let position = self.reader.position();
        let ahead = self.reader.take_buffered();
        let pipe = match std::mem::replace(self.reader.input_mut(), Input::Pipe(Box::new(io::empty()))) {
            Input::Pipe(pipe) => pipe,
            Input::Seekable { file, .. } => Box::new(file),
        };
        let limit = self.options.spool_bytes_limit;
        let spooled = spool(&ahead, pipe, position, limit).map_err(|source| Halt::Io { offset: position, source })?;
        self.reader.replace_input(spooled.input);
        if spooled.is_over_limit {
            let text = format!(
                "more than {limit} octets follow the first device section: its description is not looked for, \
                 ends of sections are searched"
            );
            self.warn(position, text);
        }
        if let Some(located) = spooled.located {
            self.description_offset = Some(located.offset);
            self.described = Some(Described::new(located.description));
        }
        Ok(())
    }

    fn body_end(&mut self, section_id: u32, entry: Option<usize>) -> Step<BodyEnd> {
        let told = entry.and_then(|entry| Some(self.described.as_ref()?.body_bytes(entry))).unwrap_or_default();
        // What stands in the place of the footer where the description says that it is.
        let mut fault = None;
        for octets in told.into_iter().flatten() {
            let length = usize::try_from(octets).unwrap_or(usize::MAX);
            if length > SECTION_BODY_BYTES_LIMIT {
                continue;
            }
            let total = length.saturating_add(FOOTER_BYTES);
            if self.reader.fill(total)? {
                let behind = self.reader.buffered().get(length..).unwrap_or_default();
                match Footer::decode(behind, section_id) {
                    Ok(_) => return Ok(BodyEnd::Told(length)),
                    Err(error) => {
                        let base = self.reader.position().saturating_add(octets);
                        fault.get_or_insert(Halt::wire(base, error));
                    }
                }
            }
        }
        match (self.search_end(section_id), fault) {
            (Ok(Some(length)), _) => Ok(BodyEnd::Guessed(length)),
            (Ok(None) | Err(Halt::Truncated { .. }), Some(fault)) => Err(fault),
            (Err(halt), _) => Err(halt),
            (Ok(None), None) => match told {
                [Some(octets), _] if octets > count(SECTION_BODY_BYTES_LIMIT) => Ok(BodyEnd::TooLong(octets)),
                _ => {
                    let limit = count(SECTION_BODY_BYTES_LIMIT);
                    Err(Halt::malformed(self.reader.position(), StreamFault::NoFooterFound { limit }))
                }
            },
        }
    }

    /// Looks for the footer; `None` if the body is longer than is kept.
    fn search_end(&mut self, section_id: u32) -> Step<Option<usize>> {
        let mut from = 0_usize;
        loop {
            let wanted = from.saturating_add(READ_BUFFER_BYTES).min(SECTION_BODY_BYTES_LIMIT + LOOKAHEAD_BYTES);
            let is_input_over = !self.reader.fill(wanted)?;
            let left = self.package_end.map(|end| end.saturating_sub(self.reader.position()));
            let left = left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
            let octets = self.reader.buffered();
            let is_package_over = left <= octets.len();
            let octets = octets.get(..left).unwrap_or(octets);
            let bound = &self.bound;
            let surroundings = Surroundings {
                section_id,
                is_started: &|id| bound.get(&id).is_some_and(|bound| bound.is_started),
                is_at_end: is_input_over || is_package_over,
                is_in_package: self.package_end.is_some(),
            };
            if let Some(length) = footer_search::find(octets, from, surroundings) {
                return Ok(Some(length));
            }
            if is_package_over {
                let end = self.package_end.unwrap_or_default();
                return Err(Halt::malformed(self.reader.position(), StreamFault::PackageOverrun { end }));
            }
            if is_input_over {
                return Err(self.reader.truncated());
            }
            if octets.len() >= SECTION_BODY_BYTES_LIMIT {
                return Ok(None);
            }
            from = octets.len().saturating_sub(LOOKAHEAD_BYTES + FOOTER_BYTES);
        }
    }

    /// Decodes bodies whose ends were guessed, now that the description is there: those whose length it confirms.
    pub(super) fn decode_late(&mut self) {
        let Some(mut described) = self.described.take() else { return };
        for index in 0..self.analysis.sections.len() {
            let Some(report) = self.analysis.sections.get(index) else { continue };
            if report.parts.is_some() {
                continue;
            }
            let (name, instance_id, start) = (report.name.clone(), report.instance_id, report.offset);
            let Some(entry) = described.take(&name, instance_id) else { continue };
            let is_confirmed = described.body_bytes(entry).contains(&Some(report.body_bytes));
            let body = match report.state.fields.as_slice() {
                [(field, Value::Octets(body))] if is_confirmed && field == OCTETS_FIELD => body.clone(),
                _ => continue,
            };
            let Some(DeviceBody::Vmsd(vmsd)) = described.device(entry).map(|device| &device.body) else { continue };
            let (state, oddities) = fields::decode(vmsd, &body, &mut self.budget);
            for oddity in oddities {
                self.warn(start, format!("section {name:?} instance {instance_id}, {}: {}", oddity.path, oddity.text));
            }
            if let Some(report) = self.analysis.sections.get_mut(index) {
                report.state = state;
                report.is_end_guessed = false;
            }
        }
        self.described = Some(described);
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
