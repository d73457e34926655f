//! Sections of two streams: which belong together, and what differs in them.
//!
//! The k-th section of an id string and instance in A belongs to the k-th in B. Octets are compared first, straight
//! from the files: what is equal there is equal whatever a description says of it. Where octets differ, fields are
//! compared; if those show nothing (a bool of 2 instead of 1, octets of an unknown codec that were left out), the
//! octets are the difference.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, SeekFrom};

use vmferry_wire::description::{Description, DeviceBody, Vmsd};

use crate::analysis::SectionReport;
use crate::budget::Budget;
use crate::diff::difference::{DifferenceKind, Found, number};
use crate::diff::{Side, Stream, values};
use crate::fields::{self, OCTETS_FIELD};
use crate::limits::READ_BUFFER_BYTES;
use crate::locate::Located;
use crate::path::PathText;
use crate::source::ReadSeek;
use crate::value::{Object, Value};

/// Octets of a START or FULL header, without the id string.
const HEADER_BYTES: u64 = 14;

/// The comparison of all sections.
pub(super) struct Compare<'s, 'a, 'b> {
    a: &'s mut Stream<'a>,
    b: &'s mut Stream<'b>,
    found: &'s mut Found,
    budget: Budget,
    /// Whether the streams are the same octets from the first to the last, once that was asked.
    is_same: Option<bool>,
}

type Key = (String, u32);

impl<'s, 'a, 'b> Compare<'s, 'a, 'b> {
    pub(super) fn new(a: &'s mut Stream<'a>, b: &'s mut Stream<'b>, found: &'s mut Found) -> Compare<'s, 'a, 'b> {
        Compare { a, b, found, budget: Budget::new(), is_same: None }
    }

    pub(super) fn sections(&mut self) -> Result<(), (Side, io::Error)> {
        let mut left: HashMap<Key, VecDeque<usize>> = HashMap::new();
        for (index, section) in self.b.analysis.sections.iter().enumerate() {
            left.entry(key(section)).or_default().push_back(index);
        }
        let mut occurrences: HashMap<Key, usize> = HashMap::new();
        for index in 0..self.a.analysis.sections.len() {
            let Some(section) = self.a.analysis.sections.get(index) else { continue };
            let key = key(section);
            let occurrence = occurrences.entry(key.clone()).or_default();
            match left.get_mut(&key).and_then(VecDeque::pop_front) {
                Some(partner) => self.pair(index, partner, *occurrence)?,
                None => only(self.found, section, Side::A),
            }
            *occurrence = occurrence.saturating_add(1);
        }
        let mut lone: Vec<_> = left.into_values().flatten().collect();
        lone.sort_unstable();
        for section in lone.into_iter().filter_map(|index| self.b.analysis.sections.get(index)) {
            only(self.found, section, Side::B);
        }
        Ok(())
    }

    fn pair(&mut self, index_a: usize, index_b: usize, occurrence: usize) -> Result<(), (Side, io::Error)> {
        let sections = (self.a.analysis.sections.get(index_a), self.b.analysis.sections.get(index_b));
        let (Some(a), Some(b)) = sections else { return Ok(()) };
        let mut path = PathText::section(&a.name, a.instance_id);
        if a.version != b.version {
            let versions = [a, b].map(|section| number(u64::from(section.version)));
            self.found.push(&path, DifferenceKind::Version, Some(&versions[0]), Some(&versions[1]));
        }
        if a.parts.is_some() || b.parts.is_some() {
            // Parts are not kept, and how state is cut into them means nothing.
            let (state_a, state_b) = (a.state.clone(), b.state.clone());
            if self.is_same()? {
                return Ok(());
            }
            values::objects(&mut path, &state_a, &state_b, self.found);
            let path = path.as_str();
            let text = format!("contents of section {path}, which is sent in parts");
            self.found.not_compared.push(text);
            return Ok(());
        }
        let is_equal = a.body_bytes == b.body_bytes && {
            self.a.file.seek(SeekFrom::Start(body_offset(a))).map_err(|error| (Side::A, error))?;
            self.b.file.seek(SeekFrom::Start(body_offset(b))).map_err(|error| (Side::B, error))?;
            same_octets(&mut self.a.file, &mut self.b.file, a.body_bytes)?
        };
        if is_equal {
            return Ok(());
        }
        let before = self.found.count();
        let state_a = decoded(a, b, self.b.located.as_ref(), occurrence, &mut self.budget);
        let state_b = decoded(b, a, self.a.located.as_ref(), occurrence, &mut self.budget);
        let states = [state_a.as_ref().unwrap_or(&a.state), state_b.as_ref().unwrap_or(&b.state)];
        match states.map(|state| undecoded(state)) {
            [Some(a), Some(b)] => self.found.push_octets(&path, DifferenceKind::Octets, a, b),
            _ => values::objects(&mut path, states[0], states[1], self.found),
        }
        if self.found.count() == before {
            let sizes = [a, b].map(|section| number(section.body_bytes));
            self.found.push(&path, DifferenceKind::Octets, Some(&sizes[0]), Some(&sizes[1]));
        }
        Ok(())
    }
}

impl Compare<'_, '_, '_> {
    fn is_same(&mut self) -> Result<bool, (Side, io::Error)> {
        if let Some(is_same) = self.is_same {
            return Ok(is_same);
        }
        let length = |side, file: &mut dyn ReadSeek| {
            let length = file.seek(SeekFrom::End(0)).and_then(|length| file.rewind().map(|()| length));
            length.map_err(|error| (side, error))
        };
        let length_a = length(Side::A, &mut *self.a.file)?;
        let length_b = length(Side::B, &mut *self.b.file)?;
        let is_same = length_a == length_b && same_octets(&mut self.a.file, &mut self.b.file, length_a)?;
        self.is_same = Some(is_same);
        Ok(is_same)
    }
}

fn key(section: &SectionReport) -> Key {
    (section.name.clone(), section.instance_id)
}

/// Where the body of a section begins.
pub(crate) fn body_offset(section: &SectionReport) -> u64 {
    let name = u64::try_from(section.name.len()).unwrap_or(u64::MAX);
    section.offset.saturating_add(HEADER_BYTES).saturating_add(name)
}

/// A section that only one stream has.
fn only(found: &mut Found, section: &SectionReport, side: Side) {
    let facts = [("version", u64::from(section.version)), ("size", section.body_bytes)];
    let fields = facts.map(|(name, value)| (name.to_owned(), number(value))).to_vec();
    let value = Value::Object(Object { fields, subsections: Vec::new() });
    let [a, b] = if side == Side::A { [Some(&value), None] } else { [None, Some(&value)] };
    found.push(&PathText::section(&section.name, section.instance_id), DifferenceKind::Section, a, b);
}

/// The octets of a state that was not decoded.
fn undecoded(state: &Object) -> Option<&[u8]> {
    match state.fields.as_slice() {
        [(name, Value::Octets(octets))] if name == OCTETS_FIELD && state.subsections.is_empty() => Some(octets),
        _ => None,
    }
}

/// The state of a section that is not described, by the description that the other stream has of its own: a stream that
/// entered postcopy has none. `None` if it is described, or if that description does not fit.
fn decoded(
    section: &SectionReport,
    other: &SectionReport,
    located: Option<&Located>,
    occurrence: usize,
    budget: &mut Budget,
) -> Option<Object> {
    let body = undecoded(&section.state)?;
    if undecoded(&other.state).is_some() {
        return None;
    }
    let vmsd = described(&located?.description, section, occurrence)?;
    if !budget.take_octets(body.len()) {
        return None;
    }
    let (state, oddities) = fields::decode(vmsd, body, budget);
    oddities.is_empty().then_some(state)
}

fn described<'d>(description: &'d Description, section: &SectionReport, occurrence: usize) -> Option<&'d Vmsd> {
    let mut devices = description.devices.iter();
    let device = devices
        .by_ref()
        .filter(|device| device.idstr == section.name && device.instance_id == section.instance_id)
        .nth(occurrence)?;
    match &device.body {
        DeviceBody::Vmsd(vmsd) => Some(vmsd),
        DeviceBody::Opaque(_) => None,
    }
}

/// Whether the next `count` octets of both are the same.
pub(super) fn same_octets(a: &mut dyn Read, b: &mut dyn Read, count: u64) -> Result<bool, (Side, io::Error)> {
    let buffer_bytes = usize::try_from(count).unwrap_or(usize::MAX).min(READ_BUFFER_BYTES);
    let (mut buffer_a, mut buffer_b) = (vec![0; buffer_bytes], vec![0; buffer_bytes]);
    let mut left = count;
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer_bytes);
        let (octets_a, octets_b) = (buffer_a.get_mut(..wanted), buffer_b.get_mut(..wanted));
        let (Some(octets_a), Some(octets_b)) = (octets_a, octets_b) else { return Ok(false) };
        a.read_exact(octets_a).map_err(|error| (Side::A, error))?;
        b.read_exact(octets_b).map_err(|error| (Side::B, error))?;
        if octets_a != octets_b {
            return Ok(false);
        }
        left = left.saturating_sub(u64::try_from(wanted).unwrap_or(u64::MAX));
    }
    Ok(true)
}
