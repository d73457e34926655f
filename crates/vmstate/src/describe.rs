//! The description of one encoded image, as it trails a stream (`docs/spec/vmdesc.md` A2 to A4).
//!
//! A description belongs to one instance in one stream: it lists the fields that were written, with the octets that
//! each took, so that a reader without knowledge of the device can walk the body:
//!
//! ```text
//! bytes(field)       = size * (array_len or 1)
//! bytes(description) = sum of bytes(field) + sum over subsections (1 + 1 + len(vmsd_name) + 4 + bytes(subsection))
//! ```
//!
//! The key order in JSON is `name`, `array_len` or `index`, `type`, `struct`, `size`; the text is the business of the
//! crate that writes streams.

use std::borrow::Cow;

/// One image: a section's body, a nested structure or a subsection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Key `vmsd_name`: the image's own name.
    pub vmsd_name: Cow<'static, str>,
    /// Key `version`: the version that was written.
    pub version: u32,
    /// Key `fields`: what was written, in stream order.
    pub fields: Vec<DescribedField>,
    /// Key `subsections`: those that were written; the key is left out if there are none.
    pub subsections: Vec<Description>,
}

/// One field, or one element of a field whose elements are described one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedField {
    /// Key `name`: unique in its image (`name[k]` where several fields share a name, A4).
    pub name: Cow<'static, str>,
    /// Key `array_len` or `index`, or neither.
    pub repeat: Repeat,
    /// Key `type`: QEMU's name of the codec, `struct` for a nested image.
    pub type_name: Cow<'static, str>,
    /// Key `struct`: the nested image.
    pub nested: Option<Description>,
    /// Key `size`: octets of this one element (of each element, if [`Repeat::Array`]).
    pub size: u64,
}

/// How an entry stands for the elements of its field (A3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The only element: neither key.
    Single,
    /// `array_len`: so many equal elements, of which the first is described.
    Array(u64),
    /// `index`: this element of several that are described one by one.
    Element(u64),
}

/// Octets of a subsection's header beside its name: marker, length of the name, version.
pub const SUBSECTION_HEADER_OCTETS: u64 = 1 + 1 + 4;

impl DescribedField {
    /// Octets on the wire that the entry stands for.
    #[must_use]
    pub fn octets(&self) -> u64 {
        match self.repeat {
            Repeat::Array(elements) => self.size.saturating_mul(elements),
            Repeat::Single | Repeat::Element(_) => self.size,
        }
    }
}

impl Description {
    /// Octets on the wire of the whole image (A6); without a subsection header of its own.
    #[must_use]
    pub fn octets(&self) -> u64 {
        let fields = self.fields.iter().map(DescribedField::octets);
        let subsections = self.subsections.iter().map(|subsection| {
            (SUBSECTION_HEADER_OCTETS + subsection.vmsd_name.len() as u64).saturating_add(subsection.octets())
        });
        fields.chain(subsections).fold(0, u64::saturating_add)
    }
}
