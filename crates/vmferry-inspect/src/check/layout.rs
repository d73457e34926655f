//! Which fields are on the wire in one situation, and what they are there.
//!
//! A situation is a side (a dump, its machine type, the class's properties) and the version that is in the stream.
//!
//! | a field with | is there |
//! |---|---|
//! | a version above that of the stream | never, unless a test decides (`docs/spec/vmstate.md` section 4.2) |
//! | a gate that the machine type closes | never |
//! | a gate that nothing is known about, a test | under a condition |
//!
//! Nested images add no octets of their own, so that where fields do not line up they are compared without them.

use super::schema::{Class, Count, Description, Field, Gate, Schema};

/// A side of a comparison: a dump, and the class in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'s> {
    /// Whether the dump tells codecs and gates.
    pub(super) is_detailed: bool,
    /// Whether the dump tells the numbers of elements of fixed arrays: QEMU's does in 10.0, not in 5.2 and 7.2.
    pub(super) tells_numbers: bool,
    /// What the machine type makes of the properties; `None` if no machine type is known.
    pub(super) properties: Option<&'s [(String, String)]>,
    /// Whether `gate_open` in the dump is of the machine type.
    pub(super) is_evaluated: bool,
}

/// What is known of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Openness<'s> {
    /// Nothing stands in the way.
    NoGate,
    /// The property is on.
    Open(&'s str),
    /// The property is off.
    Closed(&'s str),
    /// It depends on this property.
    Unknown(&'s str),
}

/// Under which condition a field is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition<'s> {
    /// A test function, with a name or not.
    Test(Option<&'s str>),
    /// A property.
    Gate(&'s str),
}

/// A field that is there.
#[derive(Debug, Clone)]
pub(super) struct Present<'s> {
    /// Names of nested images and the field's, where several were flattened.
    pub(super) name: String,
    /// The field.
    pub(super) field: &'s Field,
    /// All must hold.
    pub(super) conditions: Vec<Condition<'s>>,
    /// Whether a fixed array would show that it is one.
    pub(super) tells_numbers: bool,
}

/// Number of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elements<'s> {
    /// Fixed.
    Fixed(u64),
    /// In a field.
    Counted(&'s Count),
    /// The dump does not say: one, or as many as a field says.
    Unstated,
}

impl<'s> Side<'s> {
    /// The side of a class in a dump on a machine type.
    pub(super) fn new(schema: &'s Schema, class: &'s Class, machine: Option<&str>) -> Self {
        let listed = machine.and_then(|name| schema.machine_type(name));
        let is_evaluated = schema.is_evaluated && machine.is_none_or(|name| name == schema.machine);
        let properties = match listed {
            Some(listed) => listed.properties.iter().find(|(name, _)| *name == class.name).map(|(_, values)| values),
            None => is_evaluated.then_some(&class.properties),
        };
        Self {
            is_detailed: schema.is_detailed,
            tells_numbers: schema.tells_numbers,
            properties: properties.map(Vec::as_slice),
            is_evaluated,
        }
    }

    /// What is known of a gate.
    pub(super) fn openness(&self, gate: &'s Gate) -> Openness<'s> {
        let Some(property) = gate.property.as_deref() else { return Openness::NoGate };
        let value = self.properties.and_then(|all| all.iter().find(|(name, _)| name == property));
        let is_open = match value.map(|(_, value)| value.as_str()) {
            Some("on") => Some(true),
            Some("off") => Some(false),
            _ => gate.is_open.filter(|_| self.is_evaluated),
        };
        match is_open {
            Some(true) => Openness::Open(property),
            Some(false) => Openness::Closed(property),
            None => Openness::Unknown(property),
        }
    }

    /// The conditions of a field in a stream of `version`; `None` if it is never there.
    fn conditions(&self, field: &'s Field, version: u32) -> Option<Vec<Condition<'s>>> {
        let mut conditions = Vec::new();
        match self.openness(&field.gate) {
            Openness::NoGate | Openness::Open(_) => {}
            Openness::Closed(_) => return None,
            Openness::Unknown(property) => conditions.push(Condition::Gate(property)),
        }
        if field.test.is_some() || (field.is_tested && field.gate.property.is_none()) {
            conditions.push(Condition::Test(field.test.as_deref()));
        } else if field.since > version {
            return None;
        }
        Some(conditions)
    }

    /// The fields that are there, with those that may be.
    pub(super) fn present(&self, fields: &'s [Field], version: u32) -> Vec<Present<'s>> {
        let present = |field: &'s Field| {
            let conditions = self.conditions(field, version)?;
            Some(Present { name: field.name.clone(), field, conditions, tells_numbers: self.tells_numbers })
        };
        fields.iter().filter_map(present).collect()
    }

    /// What is in `fields` without the nested images around it, and the nested images with subsections.
    pub(super) fn flattened(&self, fields: &[Present<'s>]) -> (Vec<Present<'s>>, Vec<(String, &'s Description)>) {
        let (mut flat, mut owners) = (Vec::new(), Vec::new());
        for field in fields {
            self.flatten(field.clone(), &mut flat, &mut owners);
        }
        (flat, owners)
    }

    fn flatten(&self, outer: Present<'s>, flat: &mut Vec<Present<'s>>, owners: &mut Vec<(String, &'s Description)>) {
        let Some((description, version)) = outer.field.inlined() else {
            flat.push(outer);
            return;
        };
        for mut inner in self.present(&description.fields, version) {
            inner.name = format!("{}.{}", outer.name, inner.name);
            inner.conditions.extend(outer.conditions.iter().copied());
            self.flatten(inner, flat, owners);
        }
        if !description.subsections.is_empty() {
            owners.push((outer.name, description));
        }
    }
}

impl Present<'_> {
    /// As [`Present::octets`], and of one element where a dump does not tell how many there are.
    pub(super) fn octets_at_least(&self) -> Option<u64> {
        match self.field.number() {
            Elements::Unstated => self.field.width(),
            _ => self.octets(),
        }
    }

    /// Octets on the wire, as far as the dump tells.
    pub(super) fn octets(&self) -> Option<u64> {
        match self.field.number() {
            Elements::Fixed(elements) => self.field.width()?.checked_mul(elements),
            // QEMU's dump: one element, if it is no variable array.
            Elements::Unstated => self.field.width().filter(|_| self.tells_numbers || self.field.is_filler()),
            Elements::Counted(_) => None,
        }
    }
}

impl Field {
    /// The nested image that stands here without anything around it, and its version.
    pub(super) fn inlined(&self) -> Option<(&Description, u32)> {
        let description = self.description.as_deref()?;
        let is_plain = matches!(self.codec.as_deref(), None | Some("struct" | "vstruct"));
        let is_one = self.elements.is_none() && self.count.is_none() && !self.is_pointer;
        (is_plain && is_one).then(|| (description, self.pinned.unwrap_or(description.version)))
    }

    /// Number of elements.
    pub(super) fn number(&self) -> Elements<'_> {
        match (self.elements, &self.count) {
            (_, Some(count)) => Elements::Counted(count),
            (Some(elements), None) => Elements::Fixed(elements),
            (None, None) if self.codec.is_some() => Elements::Fixed(1),
            (None, None) => Elements::Unstated,
        }
    }

    /// Octets of an element, if always the same number.
    pub(super) fn width(&self) -> Option<u64> {
        (self.size != 0 && !self.is_pointer).then_some(self.size)
    }

    /// Whether it only keeps a place.
    pub(super) fn is_filler(&self) -> bool {
        match self.codec.as_deref() {
            Some(codec) => codec == "unused_buffer",
            None => self.name == "unused",
        }
    }

    /// What it is, in words.
    pub(super) fn described(&self) -> String {
        let element = match (self.codec.as_deref(), &self.description, self.width()) {
            (Some("struct"), Some(description), _) => format!("struct {}", description.name),
            (Some(codec), Some(description), _) => format!("{codec} of {}", description.name),
            (Some(codec @ ("buffer" | "unused_buffer")), None, Some(width)) => format!("{codec} of {width} octets"),
            (Some(codec), None, _) => codec.to_owned(),
            (None, Some(description), _) => format!("struct {}", description.name),
            (None, None, Some(width)) => format!("{width} octet{}", if width == 1 { "" } else { "s" }),
            (None, None, None) => "a variable number of octets".to_owned(),
        };
        let pointer = if self.is_pointer { "pointer to " } else { "" };
        match self.number() {
            Elements::Fixed(1) | Elements::Unstated => format!("{pointer}{element}"),
            Elements::Fixed(elements) => format!("{elements} × {pointer}{element}"),
            Elements::Counted(count) => format!("{} × {pointer}{element}", count.described()),
        }
    }
}

impl Count {
    /// Where the number is, in words.
    pub(super) fn described(&self) -> String {
        let scale = if self.scale == 1 { String::new() } else { format!(" × {}", self.scale) };
        let place = if self.is_local { "local " } else { "" };
        format!("{place}`{}`{scale}", self.field)
    }
}

/// Conditions, in words.
pub(super) fn conditions_described(conditions: &[Condition<'_>]) -> String {
    if conditions.is_empty() {
        return "always there".to_owned();
    }
    let one = |condition: &Condition<'_>| match condition {
        Condition::Test(Some(test)) => format!("there if {test}"),
        Condition::Test(None) => "there if a test says so".to_owned(),
        Condition::Gate(property) => format!("there if {property} is on"),
    };
    conditions.iter().map(one).collect::<Vec<_>>().join(", ")
}
