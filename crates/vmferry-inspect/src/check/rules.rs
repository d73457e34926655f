//! The rules: their names, which scripts rely on, and the recipe that mends what each finds.
//!
//! `docs/check-rules.md` has a paragraph and an example for each; a test holds the two together.

use std::fmt;

/// Where the recipes are, as a path in the repository.
pub const GUIDE: &str = "docs/guide/changing-device-state.md";

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// The other side does not load this machine type.
    MachineUnknown,
    /// The dumps are of different machine types.
    MachineDiffers,
    /// A property has another value on the same machine type.
    PropertyChanged,
    /// The other side has no such section.
    SectionUnknown,
    /// The section has another name.
    SectionRenamed,
    /// A class without a partner, and one with the same section.
    ClassRenamed,
    /// The other side has no section of this id string and instance id.
    InstanceUnknown,
    /// The section is sent on a machine type where it was not, or is not where it was.
    SectionGate,
    /// The device can migrate in one of the two only.
    Unmigratable,
    /// The section is sent in another order, or another phase.
    OrderChanged,
    /// Written in a version that the other side does not know yet.
    VersionTooNew,
    /// Written in a version that the other side does not load any more.
    VersionTooOld,
    /// Some versions are not loaded any more, though not the one that is written.
    MinimumRaised,
    /// The version of a nested image, which is not on the wire.
    NestedVersion,
    /// NEW has a field that OLD lacks.
    FieldAdded,
    /// OLD has a field that NEW lacks.
    FieldRemoved,
    /// A field has another place.
    FieldMoved,
    /// A field of the same form has another name.
    FieldRenamed,
    /// Other images around the same fields.
    FieldRegrouped,
    /// The same octets, cut into other fields.
    FieldReshaped,
    /// A field became filler, or filler a field.
    FieldFilled,
    /// An element has another size.
    SizeChanged,
    /// An element has another codec.
    CodecChanged,
    /// Another number of elements.
    CountChanged,
    /// The number of elements comes from elsewhere.
    CountSource,
    /// Another largest number of elements.
    LimitChanged,
    /// A field is there under another condition.
    PresenceChanged,
    /// NEW has a subsection that OLD does not know.
    SubsectionAdded,
    /// OLD has a subsection that NEW does not know.
    SubsectionRemoved,
    /// A subsection is sent under another condition.
    SubsectionGate,
    /// A test that loaded state must pass.
    CheckAdded,
    /// Fields that are not on the wire but shape a load.
    LocalsChanged,
}

/// What to do about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// In a sentence.
    pub text: &'static str,
    /// The heading of [`GUIDE`] with the whole recipe.
    pub anchor: &'static str,
}

const REFUSE: &str = "4-refuse-loudly";
const SUBSECTION: &str = "3-a-property-and-a-subsection-behind-it";
const SECTION: &str = "5-a-section-behind-a-property";
const KEEP: &str = "6-keep-the-octets";
const TAKE_OUT: &str = "7-take-the-octets-out-for-new-machine-types";
const WHOLE_VALUE: &str = "8-the-whole-value-in-a-subsection";
const NAME: &str = "10-keep-the-old-name-or-list-it";
const CONFIGURATION: &str = "11-a-property-compared-on-load";
const VERSION: &str = "12-a-new-version";
const ISLAND: &str = "when-an-old-machine-type-was-broken-by-a-release";

impl Rule {
    /// All of them.
    pub const ALL: &[Rule] = &[
        Self::MachineUnknown,
        Self::MachineDiffers,
        Self::PropertyChanged,
        Self::SectionUnknown,
        Self::SectionRenamed,
        Self::ClassRenamed,
        Self::InstanceUnknown,
        Self::SectionGate,
        Self::Unmigratable,
        Self::OrderChanged,
        Self::VersionTooNew,
        Self::VersionTooOld,
        Self::MinimumRaised,
        Self::NestedVersion,
        Self::FieldAdded,
        Self::FieldRemoved,
        Self::FieldMoved,
        Self::FieldRenamed,
        Self::FieldRegrouped,
        Self::FieldReshaped,
        Self::FieldFilled,
        Self::SizeChanged,
        Self::CodecChanged,
        Self::CountChanged,
        Self::CountSource,
        Self::LimitChanged,
        Self::PresenceChanged,
        Self::SubsectionAdded,
        Self::SubsectionRemoved,
        Self::SubsectionGate,
        Self::CheckAdded,
        Self::LocalsChanged,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MachineUnknown => "machine-unknown",
            Self::MachineDiffers => "machine-differs",
            Self::PropertyChanged => "property-changed",
            Self::SectionUnknown => "section-unknown",
            Self::SectionRenamed => "section-renamed",
            Self::ClassRenamed => "class-renamed",
            Self::InstanceUnknown => "instance-unknown",
            Self::SectionGate => "section-gate",
            Self::Unmigratable => "unmigratable",
            Self::OrderChanged => "order-changed",
            Self::VersionTooNew => "version-too-new",
            Self::VersionTooOld => "version-too-old",
            Self::MinimumRaised => "minimum-raised",
            Self::NestedVersion => "nested-version",
            Self::FieldAdded => "field-added",
            Self::FieldRemoved => "field-removed",
            Self::FieldMoved => "field-moved",
            Self::FieldRenamed => "field-renamed",
            Self::FieldRegrouped => "field-regrouped",
            Self::FieldReshaped => "field-reshaped",
            Self::FieldFilled => "field-filled",
            Self::SizeChanged => "size-changed",
            Self::CodecChanged => "codec-changed",
            Self::CountChanged => "count-changed",
            Self::CountSource => "count-source",
            Self::LimitChanged => "limit-changed",
            Self::PresenceChanged => "presence-changed",
            Self::SubsectionAdded => "subsection-added",
            Self::SubsectionRemoved => "subsection-removed",
            Self::SubsectionGate => "subsection-gate",
            Self::CheckAdded => "check-added",
            Self::LocalsChanged => "locals-changed",
        }
    }

    /// The rule of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.name() == name)
    }

    /// What to do about what it finds.
    #[must_use]
    pub const fn recipe(self) -> Recipe {
        let (text, anchor) = match self {
            Self::MachineUnknown => ("keep the machine type until its life cycle is over", ISLAND),
            Self::MachineDiffers => ("start both ends with the same machine type", ISLAND),
            Self::PropertyChanged => (
                "give the machine types that were released their old value: an entry in their compatibility list",
                CONFIGURATION,
            ),
            Self::SectionUnknown | Self::SectionGate => {
                ("put the section behind a property that is off in machine types of before", SECTION)
            }
            Self::Unmigratable => {
                ("keep the reason for machine types of before, with the section behind a property", SECTION)
            }
            Self::SectionRenamed | Self::FieldRenamed | Self::ClassRenamed => {
                ("names of sections are on the wire: keep the old one, or list it; others may change", NAME)
            }
            Self::InstanceUnknown => ("keep the id string and instance id, or list the old ones", NAME),
            Self::OrderChanged => ("keep the priority: what is loaded first may be needed by what follows", NAME),
            Self::VersionTooNew => {
                ("take the version back and send new state in a subsection behind a property", SUBSECTION)
            }
            Self::VersionTooOld | Self::MinimumRaised => {
                ("keep older versions loadable: `min`, or an image of their own as `older`", VERSION)
            }
            Self::NestedVersion => ("leave the nested image alone, and send what is new in a subsection", SUBSECTION),
            Self::FieldAdded => ("send it in a subsection behind a property instead", SUBSECTION),
            Self::FieldRemoved | Self::FieldFilled => ("keep its octets as filler", KEEP),
            Self::FieldMoved => ("keep the order of what was released", KEEP),
            Self::FieldRegrouped => ("nothing to do, if the images have no subsections", NAME),
            Self::FieldReshaped | Self::SizeChanged | Self::CodecChanged => {
                ("leave the field as it is, and send the new value in a subsection that overrides it", WHOLE_VALUE)
            }
            Self::CountChanged | Self::CountSource | Self::LimitChanged => (
                "make the number a property with the old value in machine types of before, and compare it on load",
                CONFIGURATION,
            ),
            Self::PresenceChanged => ("both ends must decide alike: a property of the machine type", TAKE_OUT),
            Self::SubsectionAdded | Self::SubsectionGate => {
                ("put it behind a property that is off in machine types of before", SUBSECTION)
            }
            Self::SubsectionRemoved => ("keep loading it; stop sending it by a property", SUBSECTION),
            Self::CheckAdded => ("refuse only what no release could send", REFUSE),
            Self::LocalsChanged => ("take what shapes a load from a property", CONFIGURATION),
        };
        Recipe { text, anchor }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({GUIDE}#{})", self.text, self.anchor)
    }
}
