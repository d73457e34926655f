//! Edits in the bodies of sections: a subsection dropped, a field set.

use std::io::SeekFrom;

use vmferry_wire::description::{DeviceBody, Vmsd};

use crate::analysis::SectionReport;
use crate::budget::Budget;
use crate::diff::body_offset;
use crate::edit::error::EditError;
use crate::edit::place::{self, Place, Step, is_component};
use crate::edit::{Draft, value};
use crate::fields;
use crate::limits::{DEVICE_STATE_BYTES_LIMIT, SECTION_BODY_BYTES_LIMIT};

/// Sections that an error lists.
const LISTED_SECTIONS: usize = 40;

impl Draft<'_> {
    pub(super) fn drop_subsection(&mut self, path: &str) -> Result<(), EditError> {
        let what = format!("--drop-subsection {path}");
        if let Some(name) = path.strip_prefix("configuration.") {
            return self.drop_from_configuration(name, &what);
        }
        let (section, inside) = self.section(path, &what)?;
        let place = self.place(section, inside, &what)?;
        if !matches!(place.steps.last(), Some(Step::Subsection(_))) {
            return Err(EditError::unfit(what, "this is a field, not a subsection"));
        }
        if place.is_in_array {
            return Err(EditError::refused(what, "it is in an array whose elements are described as alike"));
        }
        let octets = u64::try_from(place.range.len()).unwrap_or(u64::MAX);
        let vmsd = self.vmsd_mut(section).and_then(|vmsd| place::remove_subsection(vmsd, &place.steps, octets));
        if vmsd.is_none() {
            return Err(EditError::refused(what, "the sizes in the description do not allow it"));
        }
        if let Some(body) = self.bodies.get_mut(&section) {
            body.drain(place.range);
        }
        self.is_description_stale = true;
        Ok(())
    }

    pub(super) fn set(&mut self, path: &str, text: &str) -> Result<(), EditError> {
        let what = format!("--set {path}");
        let (section, inside) = self.section(path, &what)?;
        let place = self.place(section, inside, &what)?;
        let field = self.vmsd(section).and_then(|vmsd| place::field_at(vmsd, &place.steps));
        let Some(field) = field else {
            return Err(EditError::unfit(what, "this is a subsection, not a field"));
        };
        let octets = value::octets(field, text, &what, self.force)?;
        self.note_count(section, &place, path);
        let body = self.bodies.get_mut(&section).and_then(|body| body.get_mut(place.range));
        match body {
            Some(body) if body.len() == octets.len() => body.copy_from_slice(&octets),
            _ => return Err(EditError::refused(what, "the new value has another length")),
        }
        Ok(())
    }

    /// Nothing tells which field counts the elements of another; one that is as large as an array may.
    fn note_count(&mut self, section: usize, place: &Place, path: &str) {
        let Some(vmsd) = self.vmsd(section) else { return };
        let value =
            self.bodies.get(&section).and_then(|body| body.get(place.range.clone())).filter(|octets| octets.len() <= 8);
        let Some(value) = value.map(|octets| octets.iter().fold(0_u64, |word, octet| word << 8 | u64::from(*octet)))
        else {
            return;
        };
        let is_as_large = vmsd
            .fields
            .iter()
            .any(|field| field.array_len == Some(value) || (field.type_name == "buffer" && field.size == value));
        if value > 1 && is_as_large {
            self.notes
                .push(format!("{path} was {value}, as many as an array there has: if it counts, loading will fail"));
        }
    }

    /// The one section that `path` begins with, and the rest of the path.
    pub(super) fn section<'p>(&self, path: &'p str, what: &str) -> Result<(usize, &'p str), EditError> {
        let mut best: Vec<usize> = Vec::new();
        let mut length = 0;
        for (index, section) in self.sections().iter().enumerate() {
            for form in forms(section) {
                if !is_component(path, &form) || form.len() < length {
                    continue;
                }
                if form.len() > length {
                    best.clear();
                    length = form.len();
                }
                if best.last() != Some(&index) {
                    best.push(index);
                }
            }
        }
        match best.as_slice() {
            [index] => {
                let rest = path.get(length..).unwrap_or_default();
                Ok((*index, rest.strip_prefix('.').unwrap_or(rest)))
            }
            [] => {
                let mut names: Vec<_> = self.sections().iter().map(full_name).collect();
                let more = if names.len() > LISTED_SECTIONS { ", …" } else { "" };
                names.truncate(LISTED_SECTIONS);
                Err(EditError::unfit(
                    what,
                    format!("no such section in the stream, which has {}{more}", names.join(", ")),
                ))
            }
            several => {
                let names: Vec<_> =
                    several.iter().filter_map(|index| self.sections().get(*index)).map(full_name).collect();
                let reason = format!("it may be any of {}", names.join(", "));
                Err(EditError::unfit(what, reason))
            }
        }
    }

    /// Finds a place in a section, whose body is in memory afterwards.
    fn place(&mut self, section: usize, inside: &str, what: &str) -> Result<Place, EditError> {
        if inside.is_empty() {
            return Err(EditError::unfit(what, "a whole section; name a field or subsection in it"));
        }
        if self.description.is_none() {
            return Err(EditError::refused(
                what,
                "the stream has no description, so that nothing is found in its sections",
            ));
        }
        self.read_body(section, what)?;
        let (Some(vmsd), Some(body)) = (self.vmsd(section), self.bodies.get(&section)) else {
            return Err(EditError::refused(what, "its section is not described"));
        };
        place::find(vmsd, body, inside, what)
    }

    fn read_body(&mut self, section: usize, what: &str) -> Result<(), EditError> {
        if self.bodies.contains_key(&section) {
            return Ok(());
        }
        let Some(report) = self.sections().get(section) else { return Ok(()) };
        let (start, octets) = (body_offset(report), report.body_bytes);
        let kept = self.bodies.values().map(|body| u64::try_from(body.len()).unwrap_or(u64::MAX));
        let kept = kept.fold(octets, u64::saturating_add);
        let length = usize::try_from(octets).unwrap_or(usize::MAX);
        if length > SECTION_BODY_BYTES_LIMIT || kept > DEVICE_STATE_BYTES_LIMIT {
            return Err(EditError::refused(what, format!("its section of {octets} octets is too long to be edited")));
        }
        let mut body = vec![0; length];
        let file = &mut self.stream.file;
        file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut body)).map_err(EditError::Read)?;
        let Some(vmsd) = self.vmsd(section) else {
            return Err(EditError::refused(what, "its section is not described"));
        };
        let (_, oddities) = fields::decode(vmsd, &body, &mut Budget::new());
        if let Some(oddity) = oddities.first() {
            let reason = format!("its section is not what the description says: {} {}", oddity.path, oddity.text);
            return Err(EditError::refused(what, reason));
        }
        self.bodies.insert(section, body);
        Ok(())
    }

    fn vmsd(&self, section: usize) -> Option<&Vmsd> {
        let entry = (*self.entries.get(section)?)?;
        match &self.description.as_ref()?.devices.get(entry)?.body {
            DeviceBody::Vmsd(vmsd) => Some(vmsd),
            DeviceBody::Opaque(_) => None,
        }
    }

    fn vmsd_mut(&mut self, section: usize) -> Option<&mut Vmsd> {
        let entry = (*self.entries.get(section)?)?;
        match &mut self.description.as_mut()?.devices.get_mut(entry)?.body {
            DeviceBody::Vmsd(vmsd) => Some(vmsd),
            DeviceBody::Opaque(_) => None,
        }
    }

    /// Puts the bodies into the stream.
    pub(super) fn splice_bodies(&mut self) {
        for (section, body) in &self.bodies {
            if let Some(report) = self.stream.analysis.sections.get(*section) {
                let start = body_offset(report);
                self.splices.replace(start..start.saturating_add(report.body_bytes), body.clone());
            }
        }
    }
}

/// How a path may begin for this section.
fn forms(section: &SectionReport) -> [String; 4] {
    let last = section.name.rsplit('/').next().unwrap_or_default();
    let id = section.instance_id;
    [full_name(section), section.name.clone(), format!("{last}/{id}"), last.to_owned()]
}

fn full_name(section: &SectionReport) -> String {
    format!("{}/{}", section.name, section.instance_id)
}
