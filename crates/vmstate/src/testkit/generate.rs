//! Octets of valid images, made from a description, a template and a seed.
//!
//! Field by field as in `docs/spec/vmstate.md` sections 4 and 5. What a load takes from the template (counts of local
//! fields, `equal` and `le` values, holes of arrays of pointers, codecs of no fixed width) is taken from it here too.
//! A `when` test cannot be asked without an image: which of these fields are there is a [`Choice`], and what was chosen
//! wrongly shows when the octets are decoded.

use super::record::Recorded;
use super::values::{self, MANY, MANY_OCTETS, Numbers, Values};
use crate::guard::SUBSECTION_MARK;
use crate::schema::{Field, Kind, Presence, Scalar, Schema};

/// A field of which the description does not say whether it is there: by the description that has it, and its position.
pub(super) type Choice = (&'static Schema, usize);

/// Which subsections an image has, by their places (as findings have them).
pub(super) enum Which<'a> {
    /// Those at these places, and those that they are in.
    These(&'a [String]),
}

/// What an image is made of.
pub(super) struct Generator<'a> {
    pub(super) template: Option<&'a Recorded>,
    pub(super) values: Values,
    pub(super) subsections: Which<'a>,
    /// Fields that may be there or not, and those of them that are.
    pub(super) choices: &'a [Choice],
    pub(super) chosen: u64,
    pub(super) numbers: Numbers,
    pub(super) octets: Vec<u8>,
}

/// A codec of no fixed width that the template does not have.
pub(super) struct Cannot;

/// Places of all subsections in a description, those in elements of arrays once.
pub(super) fn subsection_places(schema: &'static Schema) -> Vec<String> {
    let mut places = Vec::new();
    walk(schema, schema.name, &mut |schema, place| {
        places.extend(schema.subsections.iter().map(|subsection| format!("{place}.{}", subsection.schema.name)));
    });
    places
}

/// All fields in a description whose presence it does not tell. A gate is told by a template that has the image.
pub(super) fn choices(schema: &'static Schema) -> Vec<Choice> {
    let mut choices: Vec<Choice> = Vec::new();
    walk(schema, schema.name, &mut |schema, _| {
        let open = schema.fields.iter().enumerate();
        for (index, _) in open.filter(|(_, field)| field.gate.is_some() || matches!(field.presence, Presence::When(_)))
        {
            if !choices.contains(&(schema, index)) {
                choices.push((schema, index));
            }
        }
    });
    choices
}

fn walk(schema: &'static Schema, place: &str, visit: &mut impl FnMut(&'static Schema, &str)) {
    visit(schema, place);
    for field in schema.fields {
        let place = format!("{place}.{}", field.name);
        if let Kind::Tree { key: Some(key), .. } = field.kind {
            walk(key, &place, visit);
        }
        if let Some(image) = field.kind.image() {
            walk(image, &place, visit);
        }
    }
    for subsection in schema.subsections {
        walk(subsection.schema, &format!("{place}.{}", subsection.schema.name), visit);
    }
}

/// The field whose octets are being made.
struct At<'f> {
    /// The image in the template that it is a field of.
    part: Option<usize>,
    index: usize,
    field: &'f Field,
    /// Where its image is in the description.
    place: &'f str,
    /// Elements and images of the field so far.
    elements: usize,
    images: usize,
}

impl Generator<'_> {
    /// Makes fields, then subsections.
    pub(super) fn image(
        &mut self,
        schema: &'static Schema,
        version: u32,
        part: Option<usize>,
        place: &str,
    ) -> Result<(), Cannot> {
        let mut counts: Vec<(&str, u64)> = Vec::new();
        for (index, field) in schema.fields.iter().enumerate() {
            if !self.is_there(schema, index, version, part) {
                continue;
            }
            let place = format!("{place}.{}", field.name);
            let start = self.octets.len();
            let mut at = At { part, index, field, place: &place, elements: 0, images: 0 };
            let later = schema.fields.get(index + 1..).unwrap_or_default();
            let counted: Vec<&Field> = later
                .iter()
                .filter(|later| later.kind.count().is_some_and(|(count, _)| !count.local && count.field == field.name))
                .collect();
            match field.kind {
                Kind::Scalar(scalar) if !counted.is_empty() => self.count(scalar, &counted, &at),
                _ => self.field(&mut at, &counts)?,
            }
            let number = self.octets.get(start..).unwrap_or_default();
            counts.push((field.name, number.iter().fold(0, |number, octet| number << 8 | u64::from(*octet))));
        }
        for subsection in schema.subsections {
            let inner = subsection.schema;
            let place = format!("{place}.{}", inner.name);
            let Which::These(places) = &self.subsections;
            if !places
                .iter()
                .any(|other| other.strip_prefix(&*place).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
            {
                continue;
            }
            let part = self.template.zip(part).and_then(|(template, part)| template.subsection(part, inner.name));
            self.octets.extend([SUBSECTION_MARK, u8::try_from(inner.name.len()).unwrap_or(u8::MAX)]);
            self.octets.extend_from_slice(inner.name.as_bytes());
            self.octets.extend_from_slice(&inner.version.to_be_bytes());
            self.image(inner, inner.version, part, &place)?;
        }
        Ok(())
    }

    fn is_there(&self, schema: &'static Schema, index: usize, version: u32, part: Option<usize>) -> bool {
        let Some(field) = schema.fields.get(index) else { return false };
        let is_chosen = || {
            let choice = self.choices.iter().position(|choice| *choice == (schema, index));
            choice.is_none_or(|choice| self.chosen >> choice & 1 != 0)
        };
        match field.presence {
            Presence::When(_) => is_chosen(),
            Presence::Since(since) if since > version => false,
            Presence::Since(_) | Presence::Always if field.gate.is_none() => true,
            Presence::Since(_) | Presence::Always => match self.template.zip(part) {
                Some((template, part)) => template.span(part, index).is_some(),
                None => is_chosen(),
            },
        }
    }

    /// A number that says how many elements the `counted` fields have.
    fn count(&mut self, scalar: Scalar, counted: &[&Field], at: &At<'_>) {
        let bits = scalar.octets() * 8 - usize::from(matches!(scalar, Scalar::I8 | Scalar::I16 | Scalar::I32));
        let mut limit = u64::MAX >> (64 - bits.clamp(1, 64));
        for field in counted {
            let Some((count, accepted)) = field.kind.count() else { continue };
            let width = match field.kind {
                Kind::Counted { element, .. } => element.octets().unwrap_or(MANY_OCTETS / MANY),
                Kind::Bitmap { .. } => 0,
                _ => 1,
            };
            let is_large = accepted.saturating_mul(width) > MANY_OCTETS;
            let mut accepted = if is_large { accepted.min(MANY) } else { accepted };
            if field.kind.needs_template() {
                let here = self.template.zip(at.part).and_then(|(template, part)| {
                    template.spans.iter().find(|span| span.part == part && span.field == *field)
                });
                accepted = accepted.min(here.map_or(0, |here| here.elements));
            }
            limit = limit.min((accepted / count.scale.max(1)) as u64);
        }
        let here = self.bytes(at).map(|bytes| bytes.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)));
        let number = values::elements(self.values, limit, here, &mut self.numbers).to_be_bytes();
        self.octets.extend_from_slice(number.get(number.len() - scalar.octets()..).unwrap_or_default());
    }

    /// The octets that the template has in the field.
    fn bytes(&self, at: &At<'_>) -> Option<Vec<u8>> {
        let (template, part) = self.template.zip(at.part)?;
        template.span(part, at.index).map(|span| span.bytes.clone())
    }

    fn field(&mut self, at: &mut At<'_>, counts: &[(&str, u64)]) -> Result<(), Cannot> {
        let kind = &at.field.kind;
        let Some((count, _)) = kind.count() else { return self.element(kind, at) };
        let here = self.template.zip(at.part).and_then(|(template, part)| template.span(part, at.index));
        if count.local {
            let (elements, octets) = here.map_or((0, 0), |here| (here.elements, here.octets.len()));
            return match kind {
                Kind::Counted { element, .. } => (0..elements).try_for_each(|_| self.element(element, at)),
                _ => {
                    self.raw(octets);
                    Ok(())
                }
            };
        }
        let groups = counts.iter().rev().find(|(name, _)| *name == count.field).map_or(0, |(_, groups)| *groups);
        let number = usize::try_from(groups).unwrap_or(0).saturating_mul(count.scale);
        match kind {
            Kind::Counted { element, .. } => (0..number).try_for_each(|_| self.element(element, at)),
            Kind::Bitmap { .. } => {
                self.raw(number.div_ceil(64) * 8);
                Ok(())
            }
            _ => {
                self.raw(number);
                Ok(())
            }
        }
    }

    fn raw(&mut self, octets: usize) {
        self.octets.extend(values::raw(self.values, octets, &mut self.numbers));
    }

    fn element(&mut self, kind: &Kind, at: &mut At<'_>) -> Result<(), Cannot> {
        let is_plain =
            !matches!(kind, Kind::Array { .. } | Kind::Pointer { .. } | Kind::List { .. } | Kind::Tree { .. });
        if self.values == Values::Template
            && is_plain
            && kind.image().is_none()
            && at.field.kind == *kind
            && let Some(bytes) = self.bytes(at)
        {
            self.octets.extend(bytes);
            return Ok(());
        }
        match kind {
            Kind::Scalar(scalar) => self.octets.extend(values::scalar(self.values, *scalar, &mut self.numbers)),
            Kind::Array { element, elements } => {
                return (0..*elements).try_for_each(|_| self.element(element, at));
            }
            Kind::Buffer { octets } => self.raw(*octets),
            Kind::Unused { octets } => self.octets.resize(self.octets.len() + octets, 0),
            Kind::Equal { scalar, .. } => {
                let bytes = self.bytes(at).unwrap_or_else(|| vec![0; scalar.octets()]);
                self.octets.extend(bytes);
            }
            Kind::Le => {
                let limit = self.bytes(at).and_then(|bytes| bytes.first_chunk().copied()).map(i32::from_be_bytes);
                let limit = u64::try_from(limit.unwrap_or(0)).unwrap_or(0);
                let value = match self.values {
                    Values::Largest | Values::Template => limit,
                    Values::One => limit.min(1),
                    Values::Arbitrary(_) => self.numbers.up_to(limit),
                    Values::Zero | Values::Smallest => 0,
                };
                self.octets.extend(value.to_be_bytes().get(4..).unwrap_or_default());
            }
            Kind::Pointer { element } => {
                let here = self.template.zip(at.part).and_then(|(template, part)| template.span(part, at.index));
                let is_there = here.and_then(|here| here.present.get(at.elements)).is_some_and(|is_there| *is_there);
                at.elements += 1;
                if is_there {
                    return self.element(element, at);
                }
                self.octets.push(crate::wire::NULL_MARK);
            }
            Kind::Struct(schema) => return self.nested(schema, schema.version, at),
            Kind::Pinned { schema, version } => return self.nested(schema, *version, at),
            Kind::List { element, limit, .. } => {
                for _ in 0..self.free_number(*limit) {
                    self.octets.push(1);
                    self.image(element, element.version, None, at.place)?;
                }
                self.octets.push(0);
            }
            Kind::Tree { key, value, limit } => return self.tree(*key, value, *limit, at),
            Kind::Codec { octets, .. } => match (self.bytes(at), octets) {
                (Some(bytes), _) if self.values == Values::Template && at.field.kind == *kind => {
                    self.octets.extend(bytes);
                }
                (_, Some(octets)) => self.raw(*octets),
                (Some(bytes), None) if at.field.kind == *kind => self.octets.extend(bytes),
                _ => return Err(Cannot),
            },
            // Tests have no octets; what is counted has its number from another field.
            Kind::Check { .. } | Kind::Counted { .. } | Kind::CountedBuffer { .. } | Kind::Bitmap { .. } => {}
        }
        Ok(())
    }

    fn nested(&mut self, schema: &'static Schema, version: u32, at: &mut At<'_>) -> Result<(), Cannot> {
        let template = self.template.zip(at.part);
        let part = template.and_then(|(template, part)| template.element(part, at.index, at.images));
        at.images += 1;
        self.image(schema, version, part, at.place)
    }

    /// Elements of a list or tree.
    fn free_number(&mut self, limit: usize) -> usize {
        let limit = limit.min(MANY) as u64;
        usize::try_from(values::elements(self.values, limit, Some(1), &mut self.numbers)).unwrap_or(0)
    }

    /// Keys ascend: numbers by themselves, images from the one of all zeros to the one of all largest.
    fn tree(
        &mut self,
        key: Option<&'static Schema>,
        value: &'static Schema,
        limit: usize,
        at: &At<'_>,
    ) -> Result<(), Cannot> {
        let number = self.free_number(limit).min(if key.is_some() { 2 } else { MANY });
        self.octets.extend(u32::try_from(number).unwrap_or(0).to_be_bytes());
        for node in 0..number {
            self.octets.push(1);
            match key {
                None => self.octets.extend((node as u64 * (u64::MAX / MANY as u64)).to_be_bytes()),
                Some(key) => {
                    let values =
                        std::mem::replace(&mut self.values, if node == 0 { Values::Zero } else { Values::Largest });
                    self.image(key, key.version, None, at.place)?;
                    self.values = values;
                }
            }
            self.image(value, value.version, None, at.place)?;
        }
        self.octets.push(0);
        Ok(())
    }
}
