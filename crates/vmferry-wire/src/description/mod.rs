//! The description behind a stream: what each FULL section holds, as JSON.
//!
//! ```text
//! { "configuration": VMSD,                 ; since QEMU 8.2
//!   "page_size": int,
//!   "devices": [ DEVICE, ... ] }           ; in stream order of FULL sections
//!
//! DEVICE = { "name": idstr, "instance_id": int, <members of VMSD> }
//!        | { "name": idstr, "instance_id": int, "size": int,
//!            "fields": [ { "name": "data", "size": int, "type": "buffer" } ] }   ; a body without description
//! VMSD   = "vmsd_name": string, "version": int, "fields": [ FIELD, ... ]
//!          [, "subsections": [ { VMSD members }, ... ] ]
//! FIELD  = { "name": string
//!            [, "array_len": int | , "index": int ]
//!            , "type": string
//!            [, "struct": { VMSD members } ]          ; type "struct" only
//!            [, VMSD members directly in the field ]   ; types vstruct, tmp, qtailq, qlist, gtree
//!            , "size": int }
//! ```
//!
//! A loader never needs it; tools cannot walk a device section without it. Source: `docs/spec/vmdesc.md` part A.
//! [`read`] accepts every style and the known defects of section A5; [`Description::to_text`] writes the text of QEMU
//! 10.0. Which entries an array becomes and how repeated names are told apart (A3, A4) is decided by `vmstate` while it
//! encodes; its description becomes a [`Vmsd`] here.

mod read;
mod write;

pub use read::read;

use vmstate::describe::{DescribedField, Repeat};

/// Type of the entry for a NULL element of an array of pointers, up to QEMU 10.
pub const TYPE_NULLPTR: &str = "nullptr";

/// Type of an embedded description.
pub const TYPE_STRUCT: &str = "struct";

/// Description of a whole stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The configuration section, since QEMU 8.2.
    pub configuration: Option<Vmsd>,
    /// The target page size in bytes.
    pub page_bytes: Option<u64>,
    /// The FULL sections in stream order.
    pub devices: Vec<Device>,
}

/// Description of a FULL section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The section's id string.
    pub idstr: String,
    /// The section's instance id.
    pub instance_id: u32,
    /// What its body holds.
    pub body: DeviceBody,
}

/// What the body of a FULL section holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceBody {
    /// Described state.
    Vmsd(Vmsd),
    /// A body with its own codec, of which only the size in octets is told.
    Opaque(u64),
}

/// What was written for one description: the fields that existed, the subsections that were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vmsd {
    /// Name of the description; for a subsection its full name.
    pub name: String,
    /// Version that was used for writing.
    pub version: u32,
    /// Fields in stream order.
    pub fields: Vec<Field>,
    /// Subsections in stream order. QEMU writes no key for none.
    pub subsections: Vec<Vmsd>,
}

/// One entry of a field list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name of the field, made unique by a suffix where the list has it more than once.
    pub name: String,
    /// Number of elements that this one entry stands for, if it is a compressed array.
    pub array_len: Option<u64>,
    /// Number of the element in its array, if each element has an entry.
    pub index: Option<u64>,
    /// Name of the codec; `struct` for an embedded description.
    pub type_name: String,
    /// What the field is made of.
    pub contents: Contents,
    /// Octets that one element took.
    pub size: u64,
}

/// What a field is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Contents {
    /// The codec alone knows.
    #[default]
    Plain,
    /// A description, under the key `struct`.
    Struct(Box<Vmsd>),
    /// The object under the key `struct` is empty: NULL elements before QEMU 10.0 (defect 6).
    EmptyStruct,
    /// Descriptions whose members stand directly in the field, once per element of a list (defects 7 and 8).
    Flat(Vec<Vmsd>),
}

impl Field {
    /// A field of one element without contents.
    pub fn scalar(name: &str, type_name: &str, size: u64) -> Field {
        Field {
            name: name.to_owned(),
            array_len: None,
            index: None,
            type_name: type_name.to_owned(),
            contents: Contents::Plain,
            size,
        }
    }

    /// Octets of the entry in the stream; `None` if the product leaves 64 bits.
    pub fn encoded_bytes(&self) -> Option<u64> {
        self.size.checked_mul(self.array_len.unwrap_or(1))
    }
}

impl Vmsd {
    /// Octets of the fields and subsections in the stream (`docs/spec/vmdesc.md` section A6); `None` if the sum leaves
    /// 64 bits.
    pub fn encoded_bytes(&self) -> Option<u64> {
        let fields = self.fields.iter().try_fold(0_u64, |sum, field| sum.checked_add(field.encoded_bytes()?))?;
        self.subsections.iter().try_fold(fields, |sum, subsection| {
            // 05, the octet of length and the version are six octets.
            let name = u64::try_from(subsection.name.len()).ok()?;
            sum.checked_add(6)?.checked_add(name)?.checked_add(subsection.encoded_bytes()?)
        })
    }
}

impl Device {
    /// Octets of the body in the stream; `None` if the sum leaves 64 bits.
    pub fn encoded_bytes(&self) -> Option<u64> {
        match &self.body {
            DeviceBody::Vmsd(vmsd) => vmsd.encoded_bytes(),
            DeviceBody::Opaque(size) => Some(*size),
        }
    }
}

impl From<&vmstate::Description> for Vmsd {
    /// The description that `vmstate` made while it encoded an image.
    fn from(description: &vmstate::Description) -> Vmsd {
        let vmstate::Description { vmsd_name, version, fields, subsections } = description;
        Vmsd {
            name: vmsd_name.to_string(),
            version: *version,
            fields: fields.iter().map(Field::from).collect(),
            subsections: subsections.iter().map(Vmsd::from).collect(),
        }
    }
}

impl From<&DescribedField> for Field {
    fn from(field: &DescribedField) -> Field {
        let DescribedField { name, repeat, type_name, nested, size } = field;
        let (array_len, index) = match repeat {
            Repeat::Single => (None, None),
            Repeat::Array(count) => (Some(*count), None),
            Repeat::Element(index) => (None, Some(*index)),
        };
        let contents = match nested {
            Some(description) => Contents::Struct(Box::new(Vmsd::from(description))),
            None => Contents::Plain,
        };
        Field { name: name.to_string(), array_len, index, type_name: type_name.to_string(), contents, size: *size }
    }
}
