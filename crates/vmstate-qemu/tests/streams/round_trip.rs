//! One section through one image: there and back, and as the sample of the image's generated tests.

use std::fmt::Debug;
use std::rc::Rc;

use vmferry_wire::description::Vmsd;
use vmstate::testkit::{self, Case};
use vmstate::{DescribeSink, Input, Schema, VmState};

use crate::described;
use crate::sections::Section;
use crate::truncation;

/// An image, and the sections that it is for.
pub(crate) struct Entry {
    /// The image's type without the crate.
    pub(crate) type_path: &'static str,
    pub(crate) schema: &'static Schema,
    /// Which of the sections whose state has the image's name: layouts of different devices may share one.
    is_for: fn(&Section) -> bool,
    check: Box<Check>,
    kit: Box<dyn Fn(&Section)>,
}

/// What an image needs to be tested.
pub(crate) trait Image: VmState<Props: Default> + Debug + Clone + PartialEq + 'static {}

impl<I: VmState<Props: Default> + Debug + Clone + PartialEq + 'static> Image for I {}

/// Longest body that is cut at every octet: the time for it grows with the square.
const TRUNCATED_OCTETS_MAX: usize = 2048;

/// Takes a section there and back, or says where that ends.
type Check = dyn Fn(&Section) -> Result<(), String>;

/// The image that a section goes through over its default.
pub(crate) fn image<I: Image + Default>() -> Entry {
    image_over(|_| I::default())
}

/// The image that a section goes through over a template, made from what its description says about configuration.
pub(crate) fn image_over<I: Image>(template: fn(&Vmsd) -> I) -> Entry {
    image_at(move |section| template(section.vmsd().unwrap()))
}

/// The image that a section goes through over a template, made from what its header and its description say.
pub(crate) fn image_at<I: Image>(template: impl Fn(&Section) -> I + 'static) -> Entry {
    let (type_path, template) = (std::any::type_name::<I>(), Rc::new(template));
    Entry {
        type_path: type_path.split_once("::").map_or(type_path, |(_, path)| path),
        schema: I::SCHEMA,
        is_for: |_| true,
        check: Box::new({
            let template = Rc::clone(&template);
            move |section| check(template(section), section)
        }),
        kit: Box::new(move |section| kit(template(section), section)),
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

    /// The generated tests of the image, with a section of its newest version as the sample.
    pub(crate) fn kit(&self, section: &Section) {
        println!("{}: {}", section.place(), self.type_path);
        (self.kit)(section);
    }

    /// The whole way there and back.
    pub(crate) fn check(&self, section: &Section) -> Result<(), String> {
        (self.check)(section).map_err(|what| format!("{}: {} {what}", section.place(), self.type_path))
    }
}

fn check<I: VmState<Props: Default>>(template: I, section: &Section) -> Result<(), String> {
    let vmsd = section.vmsd().ok_or("is for a section without description")?;
    let props = I::Props::default();
    let mut image = template;
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

fn kit<I: Image>(template: I, section: &Section) {
    let vmsd = section.vmsd().unwrap();
    let props = I::Props::default();
    let mut sample = template.clone();
    sample.decode(&props, section.version, &mut Input::from_slice(&section.body, 0)).unwrap();
    let case = Case { props, template, samples: vec![sample] };
    testkit::samples_come_back(&case);
    testkit::every_version_loads_and_others_are_refused(&case);
    testkit::counts_meet_their_limits(&case);
    testkit::bounds_are_kept(&case);
    testkit::described_sizes_add_up(&case);
    if section.body.len() <= TRUNCATED_OCTETS_MAX {
        testkit::every_truncation_is_noticed(&case);
    } else {
        truncation::is_noticed(&case.template, section);
    }
    // The rules are for samples that have all of them.
    if I::SCHEMA.subsections.len() == vmsd.subsections.len() {
        testkit::subsections_follow_the_rules(&case);
    }
}
