//! The description of the result.
//!
//! | | an edit made it wrong | it is still right |
//! |---|---|---|
//! | keep | written anew, with the edit | octet for octet the same |
//! | strip | left out | left out |
//! | rebuild | written anew from what was found | the same |
//!
//! Rebuilt is: versions and names as the stream has them, counts of pointer arrays that were wrong
//! (`docs/spec/vmdesc.md` section A5), the configuration, sections that were not described. What cannot be cut into
//! fields becomes one buffer.

use vmferry_wire::configuration::Configuration;
use vmferry_wire::description::{Contents, Description, Device, DeviceBody, Vmsd};
use vmferry_wire::globalstate::{GLOBALSTATE_BYTES, GLOBALSTATE_IDSTR, GlobalState};
use vmferry_wire::limits::DESCRIPTION_BYTES_LIMIT;
use vmferry_wire::section::VMDESCRIPTION;

use crate::analysis::SectionReport;
use crate::edit::error::EditError;
use crate::edit::{DescriptionEdit, DescriptionFate, Draft, packages};
use crate::pointer_runs::{repair_counts, repaired_bytes};

impl Draft<'_> {
    /// Puts the description of the result into the stream, if it is another one.
    pub(super) fn splice_description(&mut self, wanted: DescriptionEdit) -> Result<DescriptionFate, EditError> {
        match (wanted, &self.trailer) {
            (DescriptionEdit::Keep, None) => Ok(DescriptionFate::Absent),
            (DescriptionEdit::Keep, Some(_)) if !self.is_description_stale => Ok(DescriptionFate::Kept),
            (DescriptionEdit::Keep, Some(_)) => {
                let description = self.description.take();
                self.write_description(description.as_ref())?;
                self.description = description;
                Ok(DescriptionFate::Edited)
            }
            (DescriptionEdit::Strip, None) => Err(EditError::unfit("--strip-description", "the stream has none")),
            (DescriptionEdit::Strip, Some(_)) => {
                self.description = None;
                self.write_description(None)?;
                Ok(DescriptionFate::Stripped)
            }
            (DescriptionEdit::Rebuild, _) => {
                let description = self.rebuilt()?;
                self.write_description(Some(&description))?;
                self.description = Some(description);
                Ok(DescriptionFate::Rebuilt)
            }
        }
    }

    fn write_description(&mut self, description: Option<&Description>) -> Result<(), EditError> {
        let mut octets = Vec::new();
        if let Some(description) = description {
            let text = description.to_text();
            let length = u32::try_from(text.len()).ok().filter(|length| *length <= DESCRIPTION_BYTES_LIMIT);
            let Some(length) = length else {
                let reason = format!("{} octets, more than the {DESCRIPTION_BYTES_LIMIT} that are read", text.len());
                return Err(EditError::refused("the new description", reason));
            };
            octets.push(VMDESCRIPTION);
            octets.extend_from_slice(&length.to_be_bytes());
            octets.extend_from_slice(text.as_bytes());
        }
        let place = match (&self.trailer, self.stream.analysis.trailer_offset) {
            (Some(trailer), _) => trailer.clone(),
            (None, Some(offset)) => offset..offset,
            (None, None) => return Err(EditError::refused("the new description", "the stream's end was not found")),
        };
        self.splices.replace(place, octets);
        Ok(())
    }

    /// The description of what the stream was found to hold, with the edits.
    fn rebuilt(&mut self) -> Result<Description, EditError> {
        let what = "--rebuild-description";
        let packages = packages(&self.stream.analysis);
        if !packages.is_empty() {
            self.force.or_refuse(what, "a stream that entered postcopy never has one")?;
        }
        let mut devices = Vec::new();
        for (index, section) in self.sections().iter().enumerate() {
            if section.parts.is_some() || packages.iter().any(|package| package.contains(&section.offset)) {
                continue;
            }
            let idstr = self.renamed.get(&index).unwrap_or(&section.name).clone();
            devices.push(Device { idstr, instance_id: section.instance_id, body: self.body(index, section, what)? });
        }
        let configuration = self.configuration.as_ref().map(Configuration::description);
        Ok(Description { configuration, page_bytes: Some(self.stream.analysis.ram.page_bytes), devices })
    }

    fn body(&self, index: usize, section: &SectionReport, what: &str) -> Result<DeviceBody, EditError> {
        let edited = self.bodies.get(&index).map(|body| u64::try_from(body.len()).unwrap_or(u64::MAX));
        let octets = edited.unwrap_or(section.body_bytes);
        let entry = self.entries.get(index).copied().flatten();
        let device = entry.and_then(|entry| self.description.as_ref()?.devices.get(entry));
        if let Some(DeviceBody::Vmsd(vmsd)) = device.map(|device| &device.body) {
            let mut vmsd = vmsd.clone();
            if vmsd.encoded_bytes() != Some(octets) && repaired_bytes(&vmsd) == Some(octets) {
                repair(&mut vmsd);
            }
            if vmsd.encoded_bytes() == Some(octets) {
                vmsd.version = section.version;
                repair_inside(&mut vmsd);
                return Ok(DeviceBody::Vmsd(vmsd));
            }
        }
        let is_globalstate = section.name == GLOBALSTATE_IDSTR && usize::try_from(octets) == Ok(GLOBALSTATE_BYTES);
        if is_globalstate && device.is_none() {
            return Ok(DeviceBody::Vmsd(GlobalState::description()));
        }
        if section.is_end_guessed {
            let reason = format!("where section {:?} ends is a guess", section.name);
            self.force.or_refuse(what, reason)?;
        }
        Ok(DeviceBody::Opaque(octets))
    }
}

/// Counts of pointer arrays as they were meant.
fn repair(vmsd: &mut Vmsd) {
    if let Some(counts) = repair_counts(&vmsd.fields) {
        for (field, count) in vmsd.fields.iter_mut().zip(counts) {
            field.array_len = count;
        }
    }
}

/// The same in structures and subsections, whose sizes tell where it is needed.
fn repair_inside(vmsd: &mut Vmsd) {
    for field in &mut vmsd.fields {
        if let Contents::Struct(inner) = &mut field.contents {
            if inner.encoded_bytes() != Some(field.size) && repaired_bytes(inner) == Some(field.size) {
                repair(inner);
            }
            repair_inside(inner);
        }
    }
    vmsd.subsections.iter_mut().for_each(repair_inside);
}
