//! New names of sections and RAM blocks, and what their lengths move.

use std::io::{Read as _, SeekFrom};

use vmferry_wire::Name;
use vmferry_wire::command::COMMAND_HEADER_BYTES;

use crate::dialect::Dialect;
use crate::edit::error::EditError;
use crate::edit::{Draft, packages, ram_names};

/// Octets of a PACKAGED command before the package: header and length.
pub(super) const PACKAGED_BYTES: u64 = 9;

/// Octets of a START or FULL before its id string: type and section id.
const IDSTR_AT: u64 = 5;

impl Draft<'_> {
    pub(super) fn rename(&mut self, old: &str, new: &str) -> Result<(), EditError> {
        let what = format!("--rename {old}={new}");
        let is_section = self.section_group(old).is_some();
        let is_block = self.stream.analysis.ram.blocks.iter().any(|block| block.id == old);
        let name = Name::new(new, "name").map_err(|reason| EditError::unfit(what.clone(), reason.to_string()))?;
        match (is_section, is_block) {
            (true, true) => Err(EditError::unfit(what, "both a section and a RAM block have this name")),
            (true, false) => self.rename_section(old, &name, &what),
            (false, true) => self.rename_block(old, &name, &what),
            (false, false) => Err(EditError::unfit(what, "no section and no RAM block has this name")),
        }
    }

    /// The sections of this id string, with or without an instance behind it.
    fn section_group(&self, text: &str) -> Option<Vec<usize>> {
        let all = || self.sections().iter().enumerate();
        let named: Vec<_> = all().filter(|(_, section)| section.name == text).map(|(index, _)| index).collect();
        if !named.is_empty() {
            return Some(named);
        }
        let (name, id) = text.rsplit_once('/')?;
        let id: u32 = id.parse().ok()?;
        let exact = all().filter(|(_, section)| section.name == name && section.instance_id == id);
        let exact: Vec<_> = exact.map(|(index, _)| index).collect();
        (!exact.is_empty()).then_some(exact)
    }

    fn rename_section(&mut self, old: &str, new: &Name, what: &str) -> Result<(), EditError> {
        let group = self.section_group(old).unwrap_or_default();
        for index in &group {
            let Some(section) = self.sections().get(*index).cloned() else { continue };
            if section.name == new.as_str() {
                continue;
            }
            let is_taken = self.sections().iter().enumerate().any(|(other, taken)| {
                let name = self.renamed.get(&other).unwrap_or(&taken.name);
                !group.contains(&other) && name == new.as_str() && taken.instance_id == section.instance_id
            });
            if is_taken {
                let reason = format!("instance {} of {:?} is there already", section.instance_id, new.as_str());
                return Err(EditError::unfit(what, reason));
            }
            if section.is_end_guessed {
                self.force.or_refuse(what, "the stream does not tell where its sections end")?;
            }
            if section.parts.is_some() {
                self.force.or_refuse(what, "a section that is sent in parts is known by its name")?;
            }
            if self.renamed.contains_key(index) {
                return Err(EditError::unfit(what, "it is renamed twice"));
            }
            let start = section.offset.saturating_add(IDSTR_AT);
            let old_bytes = u64::try_from(section.name.len()).unwrap_or(u64::MAX).saturating_add(1);
            let mut octets = Vec::new();
            new.encode(&mut octets);
            self.splices.replace(start..start.saturating_add(old_bytes), octets);
            self.renamed.insert(*index, new.to_string());
            let entry = self.entries.get(*index).copied().flatten();
            let device = entry.and_then(|entry| self.description.as_mut()?.devices.get_mut(entry));
            if let Some(device) = device {
                device.idstr = new.to_string();
                self.is_description_stale = true;
            }
        }
        Ok(())
    }

    fn rename_block(&mut self, old: &str, new: &Name, what: &str) -> Result<(), EditError> {
        if old == new.as_str() {
            return Ok(());
        }
        let analysis = &self.stream.analysis;
        if analysis.ram.blocks.iter().any(|block| block.id == new.as_str()) {
            return Err(EditError::unfit(what, format!("a RAM block {:?} is there already", new.as_str())));
        }
        if self.renamed_blocks.iter().any(|(before, after)| before == old || after == new.as_str()) {
            return Err(EditError::unfit(what, "it is renamed twice"));
        }
        if analysis.dialects.contains(&Dialect::Multifd) && !analysis.dialects.contains(&Dialect::MappedRam) {
            self.force.or_refuse(what, "the packets of multifd channels have the name too, and are not edited")?;
        }
        if analysis.dialects.contains(&Dialect::Postcopy) {
            self.force.or_refuse(what, "requests and the preempt channel have the name too, and are not edited")?;
        }
        let has_length = ["postcopy-ram-discard", "recv-bitmap"];
        let is_counted = analysis.commands.iter().any(|command| has_length.contains(&command.name));
        if is_counted && old.len() != new.len() {
            return Err(EditError::refused(what, "a command of postcopy has the name too, whose length must stay"));
        }
        for start in ram_names::places(&mut self.stream, old, what)? {
            let end = start.saturating_add(1).saturating_add(u64::try_from(old.len()).unwrap_or(u64::MAX));
            let mut octets = Vec::new();
            new.encode(&mut octets);
            self.splices.replace(start..end, octets);
        }
        self.renamed_blocks.push((old.to_owned(), new.to_string()));
        Ok(())
    }

    /// Lengths of packages in which something became longer or shorter.
    pub(super) fn splice_package_lengths(&mut self) -> Result<(), EditError> {
        for package in packages(&self.stream.analysis) {
            let (added, taken) = self.splices.growth(&package);
            if added == taken {
                continue;
            }
            let length = package.end.saturating_sub(package.start).saturating_add(added).saturating_sub(taken);
            let length = u32::try_from(length)
                .map_err(|_| EditError::refused("the edits", "they make a package longer than 32 bits tell"))?;
            let header = u64::try_from(COMMAND_HEADER_BYTES).unwrap_or(u64::MAX);
            let at = package.start.saturating_sub(PACKAGED_BYTES).saturating_add(header);
            let mut before = [0; 4];
            let file = &mut self.stream.file;
            file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut before)).map_err(EditError::Read)?;
            if u64::from(u32::from_be_bytes(before)) != package.end.saturating_sub(package.start) {
                return Err(EditError::refused("the edits", "a package does not begin where it should"));
            }
            self.splices.replace(at..at.saturating_add(4), length.to_be_bytes().to_vec());
        }
        Ok(())
    }

    /// Pages of mapped-ram have fixed places in the file: what stands before them must keep its length.
    ///
    /// So are those of the file: the result starts at its file's begin, and so must the stream in its own.
    pub(super) fn check_fixed_places(&mut self, stream_offset: u64) -> Result<(), EditError> {
        if !self.stream.analysis.dialects.contains(&Dialect::MappedRam) {
            return Ok(());
        }
        if stream_offset != 0 {
            let reason = "pages of mapped-ram have fixed places in the file, and the result starts at another place";
            return Err(EditError::refused("the edits", reason));
        }
        let pages_end = ram_names::pages_end(&mut self.stream)?;
        let (added, taken) = self.splices.growth(&(0..pages_end));
        if added != taken {
            let reason = "pages of mapped-ram have fixed places in the file: a new name must be as long as the old one";
            return Err(EditError::refused("the edits", reason));
        }
        Ok(())
    }
}
