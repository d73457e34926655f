//! One section through one image.

use vmferry_wire::description::Vmsd;
use vmstate::{DescribeSink, Input, Schema, VmState};

use crate::described;
use crate::sections::Section;

/// An image, and the sections that it is for.
pub(crate) struct Entry {
    /// The image's type without the crate.
    pub(crate) type_path: &'static str,
    pub(crate) schema: &'static Schema,
    /// Which of the sections whose state has the image's name: layouts of different devices may share one.
    is_for: fn(&Section) -> bool,
    check: Box<Check>,
}

/// Takes a section there and back, or says where that ends.
type Check = dyn Fn(&Section) -> Result<(), String>;

/// The image that a section goes through over its default.
pub(crate) fn image<I: VmState<Props: Default> + Default + 'static>() -> Entry {
    image_over(|_| I::default())
}

/// The image that a section goes through over a template, made from what its description says about configuration.
pub(crate) fn image_over<I: VmState<Props: Default> + 'static>(template: fn(&Vmsd) -> I) -> Entry {
    let type_path = std::any::type_name::<I>();
    Entry {
        type_path: type_path.split_once("::").map_or(type_path, |(_, path)| path),
        schema: I::SCHEMA,
        is_for: |_| true,
        check: Box::new(move |section| check(template, section)),
    }
}

impl Entry {
    /// Restricts it to some of the sections.
    pub(crate) fn only(self, is_for: fn(&Section) -> bool) -> Entry {
        Entry { is_for, ..self }
    }

    pub(crate) fn is_for(&self, section: &Section) -> bool {
        section.vmsd().is_some_and(|vmsd| vmsd.name == self.schema.name) && (self.is_for)(section)
    }

    /// The whole way there and back.
    pub(crate) fn check(&self, section: &Section) -> Result<(), String> {
        (self.check)(section).map_err(|what| format!("{}: {} {what}", section.place(), self.type_path))
    }
}

fn check<I: VmState<Props: Default>>(template: fn(&Vmsd) -> I, section: &Section) -> Result<(), String> {
    let vmsd = section.vmsd().ok_or("is for a section without description")?;
    let props = I::Props::default();
    let mut image = template(vmsd);
    let mut input = Input::from_slice(&section.body, 0);
    image.decode(&props, section.version, &mut input).map_err(|error| format!("does not load: {error}"))?;
    let used = input.offset();
    if used != section.body.len() as u64 {
        return Err(format!("ends at {used} of {} octets", section.body.len()));
    }

    let mut octets = Vec::new();
    let mut sink = DescribeSink::new(I::SCHEMA, &mut octets);
    if section.version == I::SCHEMA.version {
        image.encode(&props, &mut sink).map_err(|error| format!("is not encoded: {error}"))?;
    } else {
        image.encode_at(&props, section.version, &mut sink).map_err(|error| format!("is not encoded: {error}"))?;
    }
    let mut description = Vmsd::from(&sink.finish());
    // The sink is not told the version; that of the section is the one that was asked for.
    description.version = section.version;
    if octets != section.body {
        let at = octets.iter().zip(&section.body).position(|(ours, theirs)| ours != theirs);
        return Err(format!("gives other octets, from {at:?} on"));
    }
    described::compare(&description, vmsd).map_err(|what| format!("is described otherwise: {what}"))
}
