//! Descriptions as data: what a derive emits and a checker reads.
//!
//! ```text
//! Schema ── fields: [Field ── Kind ──┐ Struct, Pinned, List, Tree; Array, Counted, Pointer of Struct
//!    │                               └──> Schema ]
//!    └───── subsections: [Subsection ──> Schema ]
//! ```
//!
//! Field names, type names and the meaning of versions are QEMU's (`docs/spec/vmstate.md` sections 1, 4 and 5,
//! `docs/spec/vmdesc.md` B). The types are built by their `const` constructors and read through their public fields;
//! both may grow.

use crate::lint::same;

/// When a device is saved, and so loaded, relative to others; higher first (`docs/spec/stream.md` section 4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Priority {
    /// Everything else.
    #[default]
    Default,
    /// Before PCI devices.
    Iommu,
    /// Bridges and root ports; before the IOMMU.
    PciBus,
    /// Memory that comes and goes; before the IOMMU that maps it.
    VirtioMem,
    /// Translation of interrupts; before PCI devices.
    Gicv3Its,
    /// The interrupt controller; before what translates for it.
    Gicv3,
}

/// The description of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schema {
    /// Name: of the section, or of the subsection on the wire.
    pub name: &'static str,
    /// Newest version, the one that is written.
    pub version: u32,
    /// Oldest version that is loaded.
    pub minimum_version: u32,
    /// Load priority; counts for sections only.
    pub priority: Priority,
    /// Whether the section is sent in the setup phase, before RAM; counts for sections only.
    pub early: bool,
    /// The property without which the section is not sent; counts for sections only.
    pub gate: Option<&'static str>,
    /// Fields in wire order; local fields are not among them.
    pub fields: &'static [Field],
    /// Subsections in the order in which they are sent.
    pub subsections: &'static [Subsection],
    /// Names of the fields that are not on the wire but shape a load.
    pub locals: &'static [&'static str],
    /// Whether several fields share a name, so that a description numbers them.
    pub repeats_names: bool,
    /// Why a device with this image cannot migrate; it has no octets then.
    pub unmigratable: Option<&'static str>,
    /// The type of device whose properties its gates name.
    pub device: Option<&'static str>,
    /// The image that older versions are loaded with, which is upgraded then.
    pub older: Option<&'static Schema>,
}

/// One field of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Name in descriptions and errors.
    pub name: &'static str,
    /// What it is on the wire.
    pub kind: Kind,
    /// When it is there.
    pub presence: Presence,
    /// The property that must be on, on both sides, for the field to be there.
    pub gate: Option<&'static str>,
}

/// When a field is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presence {
    /// In every version.
    Always,
    /// From this version on.
    Since(u32),
    /// If the named test function says so, on each side for itself.
    When(&'static str),
}

/// A subsection of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subsection {
    /// Its description.
    pub schema: &'static Schema,
    /// The property without which it is not sent.
    pub gate: Option<&'static str>,
}

/// A single value on the wire, big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// One octet, 0 or 1.
    Bool,
    /// Signed, 8 bits.
    I8,
    /// Signed, 16 bits.
    I16,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// Unsigned, 8 bits.
    U8,
    /// Unsigned, 16 bits.
    U16,
    /// Unsigned, 32 bits.
    U32,
    /// Unsigned, 64 bits.
    U64,
}

/// Where the number of elements of a counted field comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Count {
    /// Name of the field that holds the number.
    pub field: &'static str,
    /// Whether that field is configuration of this side, so that the number is not in the stream.
    pub local: bool,
    /// Elements for each that the field counts.
    pub scale: usize,
}

/// Which of QEMU's lists a field is: they differ in memory only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListForm {
    /// A tail queue.
    Qtailq,
    /// A list with one link.
    Qlist,
}

/// What a field is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// One value.
    Scalar(Scalar),
    /// A fixed number of elements; arrays of arrays are one flat array on the wire, row by row.
    Array {
        /// The element.
        element: &'static Kind,
        /// How many.
        elements: usize,
    },
    /// Raw octets, a fixed number of them.
    Buffer {
        /// How many.
        octets: usize,
    },
    /// Zeros that keep the place of what was once there.
    Unused {
        /// How many octets.
        octets: usize,
    },
    /// A nested image; it is always at the newest version that the reader knows (`docs/spec/vmstate.md` section 5.4).
    Struct(&'static Schema),
    /// Elements whose number is in another field.
    Counted {
        /// The element.
        element: &'static Kind,
        /// The field with the number.
        count: Count,
        /// Largest number that is accepted.
        limit: usize,
    },
    /// Raw octets whose number is in another field.
    CountedBuffer {
        /// The field with the number.
        count: Count,
        /// Largest number that is accepted.
        limit: usize,
    },
    /// One value that must be what this side has.
    Equal {
        /// The value; unsigned ones of 8, 16, 32, 64 bits, or signed of 32.
        scalar: Scalar,
        /// What to do about a difference.
        hint: Option<&'static str>,
    },
    /// A signed value of 32 bits from 0 to what this side has.
    Le,
    /// An element, or the octet `30` where this side has none.
    Pointer {
        /// The element.
        element: &'static Kind,
    },
    /// A nested image at one of its versions, which is not on the wire (QEMU's VSTRUCT).
    Pinned {
        /// The image.
        schema: &'static Schema,
        /// Its version.
        version: u32,
    },
    /// Images, `01` before each and `00` behind the last.
    List {
        /// Tail queue or list.
        form: ListForm,
        /// The image.
        element: &'static Schema,
        /// Largest number that is accepted.
        limit: usize,
    },
    /// A number of 32 bits, so many keys and images, `01` before each pair and `00` behind the last.
    Tree {
        /// The image of a key; nothing for keys that are numbers of 64 bits.
        key: Option<&'static Schema>,
        /// The image of a value.
        value: &'static Schema,
        /// Largest number that is accepted.
        limit: usize,
    },
    /// Words of 64 bits, whose number of bits is in another field.
    Bitmap {
        /// The field with the number of bits.
        count: Count,
        /// Largest number of bits that is accepted.
        limit: usize,
    },
    /// No octets: a test at this place (QEMU's VALIDATE).
    Check {
        /// The test's name.
        test: &'static str,
    },
    /// A codec of its own, see [`crate::wire::Wire`].
    Codec {
        /// QEMU's name of the codec.
        name: &'static str,
        /// Octets that it takes, if always the same number.
        octets: Option<usize>,
    },
}

impl Schema {
    /// A description without fields that loads its own version only.
    #[must_use]
    pub const fn new(name: &'static str, version: u32) -> Self {
        Self {
            name,
            version,
            minimum_version: version,
            priority: Priority::Default,
            early: false,
            gate: None,
            fields: &[],
            subsections: &[],
            locals: &[],
            repeats_names: false,
            unmigratable: None,
            device: None,
            older: None,
        }
    }

    /// Sets the oldest version that is loaded.
    #[must_use]
    pub const fn minimum(mut self, version: u32) -> Self {
        self.minimum_version = version;
        self
    }

    /// Sets the load priority.
    #[must_use]
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Has the section sent in the setup phase.
    #[must_use]
    pub const fn early(mut self) -> Self {
        self.early = true;
        self
    }

    /// Has the section sent only with `property` on.
    #[must_use]
    pub const fn gate(mut self, property: &'static str) -> Self {
        self.gate = Some(property);
        self
    }

    /// Sets the fields.
    #[must_use]
    pub const fn fields(mut self, fields: &'static [Field]) -> Self {
        self.fields = fields;
        self.repeats_names = repeats_names(fields);
        self
    }

    /// Sets the subsections.
    #[must_use]
    pub const fn subsections(mut self, subsections: &'static [Subsection]) -> Self {
        self.subsections = subsections;
        self
    }

    /// Sets the names of the fields that are not on the wire.
    #[must_use]
    pub const fn locals(mut self, locals: &'static [&'static str]) -> Self {
        self.locals = locals;
        self
    }

    /// Says why a device with this image cannot migrate.
    #[must_use]
    pub const fn unmigratable(mut self, reason: &'static str) -> Self {
        self.unmigratable = Some(reason);
        self
    }

    /// Sets the type of device whose properties the gates name.
    #[must_use]
    pub const fn device(mut self, device: &'static str) -> Self {
        self.device = Some(device);
        self
    }

    /// Sets the image that versions below the minimum are loaded with.
    #[must_use]
    pub const fn older(mut self, schema: &'static Schema) -> Self {
        self.older = Some(schema);
        self
    }

    /// Whether `version` is loaded, by this image or by an older one.
    #[must_use]
    pub const fn loads(&self, version: u32) -> bool {
        if version >= self.minimum_version {
            return version <= self.version;
        }
        match self.older {
            Some(older) => older.loads(version),
            None => false,
        }
    }

    /// The oldest version that is loaded, by this image or by an older one.
    #[must_use]
    pub const fn oldest_version(&self) -> u32 {
        match self.older {
            Some(older) => older.oldest_version(),
            None => self.minimum_version,
        }
    }

    /// The position of the subsection called `name`.
    #[must_use]
    pub fn subsection(&self, name: &[u8]) -> Option<usize> {
        self.subsections.iter().position(|subsection| subsection.schema.name.as_bytes() == name)
    }
}

impl Field {
    /// A field that is in every version.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, presence: Presence::Always, gate: None }
    }

    /// Has the field there from `version` on.
    #[must_use]
    pub const fn since(mut self, version: u32) -> Self {
        self.presence = Presence::Since(version);
        self
    }

    /// Has the field there if the function named `test` says so.
    #[must_use]
    pub const fn when(mut self, test: &'static str) -> Self {
        self.presence = Presence::When(test);
        self
    }

    /// Has the field there only with `property` on.
    #[must_use]
    pub const fn gate(mut self, property: &'static str) -> Self {
        self.gate = Some(property);
        self
    }
}

impl Subsection {
    /// A subsection that depends on no property.
    #[must_use]
    pub const fn new(schema: &'static Schema) -> Self {
        Self { schema, gate: None }
    }

    /// Has the subsection sent only with `property` on.
    #[must_use]
    pub const fn gate(mut self, property: &'static str) -> Self {
        self.gate = Some(property);
        self
    }
}

impl Count {
    /// A number that an earlier field of the stream holds.
    #[must_use]
    pub const fn received(field: &'static str) -> Self {
        Self { field, local: false, scale: 1 }
    }

    /// A number that is configuration of this side.
    #[must_use]
    pub const fn local(field: &'static str) -> Self {
        Self { field, local: true, scale: 1 }
    }

    /// Has `elements` there for each that the field counts.
    #[must_use]
    pub const fn scale(mut self, elements: usize) -> Self {
        self.scale = elements;
        self
    }
}

impl Scalar {
    /// QEMU's name of the codec.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::I8 => "int8",
            Self::I16 => "int16",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
        }
    }

    /// QEMU's name of the codec that compares.
    const fn equal_name(self) -> &'static str {
        match self {
            Self::U8 => "uint8 equal",
            Self::U16 => "uint16 equal",
            Self::I32 => "int32 equal",
            Self::U32 => "uint32 equal",
            // The unsigned variant: the name is QEMU's.
            Self::U64 => "int64 equal",
            Self::Bool | Self::I8 | Self::I16 | Self::I64 => "unknown",
        }
    }

    /// Octets on the wire.
    #[must_use]
    pub const fn octets(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 => 4,
            Self::I64 | Self::U64 => 8,
        }
    }
}

impl Kind {
    /// One element: of an array (down to the last dimension) or of a counted field; the kind itself otherwise.
    #[must_use]
    pub const fn element(&self) -> &Kind {
        match self {
            Self::Array { element, .. } | Self::Counted { element, .. } => element.element(),
            _ => self,
        }
    }

    /// QEMU's name of the codec of one element; `struct` for images.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self.element() {
            Self::Scalar(scalar) => scalar.name(),
            Self::Buffer { .. } | Self::CountedBuffer { .. } => "buffer",
            Self::Unused { .. } => "unused_buffer",
            Self::Struct(_) => "struct",
            Self::Equal { scalar, .. } => scalar.equal_name(),
            Self::Le => "int32 le",
            Self::Pointer { element } => element.type_name(),
            Self::Pinned { .. } => "vstruct",
            Self::List { form: ListForm::Qtailq, .. } => "qtailq",
            Self::List { form: ListForm::Qlist, .. } => "qlist",
            Self::Tree { .. } => "gtree",
            Self::Bitmap { .. } => "bitmap",
            Self::Check { .. } => "validate",
            Self::Codec { name, .. } => name,
            Self::Array { .. } | Self::Counted { .. } => "unknown",
        }
    }

    /// The image that an element is or holds: that of the values, where there are keys too.
    #[must_use]
    pub const fn image(&self) -> Option<&'static Schema> {
        match self.element() {
            Self::Struct(schema) | Self::Pinned { schema, .. } => Some(schema),
            Self::Pointer { element } => element.image(),
            Self::List { element, .. } => Some(element),
            Self::Tree { value, .. } => Some(value),
            _ => None,
        }
    }

    /// The field that counts the elements, octets or bits, and the largest number of them that is accepted.
    #[must_use]
    pub const fn count(&self) -> Option<(Count, usize)> {
        match self {
            Self::Counted { count, limit, .. }
            | Self::CountedBuffer { count, limit }
            | Self::Bitmap { count, limit } => Some((*count, *limit)),
            _ => None,
        }
    }

    /// Whether a load needs what this side has in the field.
    pub(crate) const fn needs_template(&self) -> bool {
        match self.element() {
            Self::Equal { .. } | Self::Le | Self::Pointer { .. } => true,
            Self::Tree { key: Some(key), value, .. } => key.needs_template() || value.needs_template(),
            other => match other.image() {
                Some(image) => image.needs_template(),
                None => false,
            },
        }
    }

    /// The number of elements, all dimensions together, if it does not depend on the image.
    #[must_use]
    pub const fn elements(&self) -> Option<usize> {
        match self {
            Self::Array { element, elements } => match element.elements() {
                Some(inner) => elements.checked_mul(inner),
                None => None,
            },
            Self::Counted { .. } => None,
            Self::Check { .. } => Some(0),
            _ => Some(1),
        }
    }

    /// Octets on the wire, if they do not depend on the image.
    #[must_use]
    pub const fn octets(&self) -> Option<usize> {
        match self {
            Self::Scalar(scalar) | Self::Equal { scalar, .. } => Some(scalar.octets()),
            Self::Check { .. } => Some(0),
            Self::Array { element, elements } => match element.octets() {
                Some(octets) => octets.checked_mul(*elements),
                None => None,
            },
            Self::Buffer { octets } | Self::Unused { octets } => Some(*octets),
            Self::Struct(schema) => schema.octets(),
            Self::Codec { octets, .. } => *octets,
            Self::Le => Some(4),
            Self::Pinned { schema, version } => schema.octets_at(*version),
            Self::Counted { .. }
            | Self::CountedBuffer { .. }
            | Self::Pointer { .. }
            | Self::List { .. }
            | Self::Tree { .. }
            | Self::Bitmap { .. } => None,
        }
    }
}

impl Schema {
    /// Octets of an image on the wire, if they do not depend on the image.
    #[must_use]
    pub const fn octets(&self) -> Option<usize> {
        self.octets_at(self.version)
    }

    /// As [`Schema::octets`], of an image at an older version.
    #[must_use]
    pub const fn octets_at(&self, version: u32) -> Option<usize> {
        if !self.subsections.is_empty() {
            return None;
        }
        let mut fields = self.fields;
        let mut sum = 0_usize;
        while let [field, rest @ ..] = fields {
            fields = rest;
            let (None, Presence::Always | Presence::Since(_)) = (field.gate, field.presence) else { return None };
            if let Presence::Since(since) = field.presence
                && since > version
            {
                continue;
            }
            let Some(octets) = field.kind.octets() else { return None };
            sum = sum.saturating_add(octets);
        }
        Some(sum)
    }

    /// Whether loading depends on values that only the device's template holds, so that a default image will not do.
    #[must_use]
    pub const fn needs_template(&self) -> bool {
        if !self.locals.is_empty() {
            return true;
        }
        let mut fields = self.fields;
        while let [field, rest @ ..] = fields {
            if field.kind.needs_template() {
                return true;
            }
            fields = rest;
        }
        false
    }

    /// Whether something is declared that has an effect on a section only.
    pub(crate) const fn for_sections_only(&self) -> bool {
        !matches!(self.priority, Priority::Default) || self.early || self.gate.is_some() || self.unmigratable.is_some()
    }

    /// Whether an image contains another one, in a field or in that of a subsection.
    #[must_use]
    pub const fn nests(&self) -> bool {
        let mut fields = self.fields;
        while let [field, rest @ ..] = fields {
            if field.kind.image().is_some() {
                return true;
            }
            fields = rest;
        }
        let mut subsections = self.subsections;
        while let [subsection, rest @ ..] = subsections {
            if subsection.schema.nests() {
                return true;
            }
            subsections = rest;
        }
        false
    }
}

const fn repeats_names(mut fields: &[Field]) -> bool {
    while let [field, rest @ ..] = fields {
        let mut others = rest;
        while let [other, more @ ..] = others {
            if same(field.name, other.name) {
                return true;
            }
            others = more;
        }
        fields = rest;
    }
    false
}
