//! What a check of a stream finds, by name, and what an operator does about it.
//!
//! `docs/check-rules.md` has a paragraph for each; a test holds the two together.

/// A rule of `check --stream`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StreamRule {
    /// No reference: devices, RAM and values of the destination are not known.
    ConfigurationUnknown,
    /// Another machine type.
    MachineType,
    /// Another target page size.
    TargetPage,
    /// The UUID that the stream was made to carry.
    Uuid,
    /// Capabilities that the destination must have on.
    Capability,
    /// A command that the destination does not know.
    Command,
    /// A RAM block that the destination has not.
    RamBlock,
    /// A RAM block of another size.
    RamSize,
    /// A section that the destination has not.
    Section,
    /// A section of the destination that the stream has not.
    SectionLacking,
    /// A version that the destination does not load.
    SectionVersion,
    /// A subsection that the destination does not know.
    Subsection,
    /// Other fields.
    Layout,
    /// Another number of elements.
    ElementCount,
    /// A value that the destination compares with its own.
    ComparedValue,
    /// A value above what the destination takes.
    LimitedValue,
    /// Configuration space that the destination compares.
    PciConfiguration,
    /// A virtqueue larger than the destination's.
    QueueSize,
    /// Features that the guest uses.
    Features,
    /// State that could not be compared.
    NotCompared,
    /// What the schemas say: a rule of `check OLD NEW`.
    Schema(super::super::Rule),
}

impl StreamRule {
    /// All of its own, without those of schemas.
    pub const ALL: &[Self] = &[
        Self::ConfigurationUnknown,
        Self::MachineType,
        Self::TargetPage,
        Self::Uuid,
        Self::Capability,
        Self::Command,
        Self::RamBlock,
        Self::RamSize,
        Self::Section,
        Self::SectionLacking,
        Self::SectionVersion,
        Self::Subsection,
        Self::Layout,
        Self::ElementCount,
        Self::ComparedValue,
        Self::LimitedValue,
        Self::PciConfiguration,
        Self::QueueSize,
        Self::Features,
        Self::NotCompared,
    ];

    /// Its name, which scripts rely on.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConfigurationUnknown => "stream-configuration-unknown",
            Self::MachineType => "stream-machine-type",
            Self::TargetPage => "stream-target-page",
            Self::Uuid => "stream-uuid",
            Self::Capability => "stream-capability",
            Self::Command => "stream-command",
            Self::RamBlock => "stream-ram-block",
            Self::RamSize => "stream-ram-size",
            Self::Section => "stream-section",
            Self::SectionLacking => "stream-section-lacking",
            Self::SectionVersion => "stream-section-version",
            Self::Subsection => "stream-subsection",
            Self::Layout => "stream-layout",
            Self::ElementCount => "stream-element-count",
            Self::ComparedValue => "stream-compared-value",
            Self::LimitedValue => "stream-limited-value",
            Self::PciConfiguration => "stream-pci-configuration",
            Self::QueueSize => "stream-queue-size",
            Self::Features => "stream-features",
            Self::NotCompared => "stream-not-compared",
            Self::Schema(rule) => rule.name(),
        }
    }

    /// The rule of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let own = Self::ALL.iter().copied().find(|rule| rule.name() == name);
        own.or_else(|| super::super::Rule::named(name).map(Self::Schema))
    }

    /// What to do about what it finds.
    #[must_use]
    pub const fn recipe(self) -> &'static str {
        match self {
            Self::ConfigurationUnknown => {
                "save a reference from a freshly started, paused destination and give it as --reference, or rehearse"
            }
            Self::MachineType => "start the destination with the machine type that the stream names",
            Self::TargetPage => "use a destination built for the same target page size",
            Self::Uuid => "start the destination with the -uuid of the source, or turn validate-uuid off at the source",
            Self::Capability => "turn these capabilities on at the destination before it loads",
            Self::Command => "save with -global migration.send-switchover-start=off at the source",
            Self::RamBlock | Self::Section => {
                "start the destination with the device or memory object that the source had, at the same place"
            }
            Self::RamSize => "give the memory, option ROM or video memory of the destination the size of the source's",
            Self::SectionLacking => "leave the device out at the destination, or accept that the guest finds it reset",
            Self::SectionVersion => "use a release of the destination that loads this version",
            Self::Subsection => {
                "use a release that knows it, turn off at the source the property behind it, or drop it with `vmferry edit`"
            }
            Self::Layout => "give the property that decides about the field the same value on both sides",
            Self::ElementCount => {
                "give the device the same number of ports, queues, vectors or CPUs as it has at the source"
            }
            Self::ComparedValue | Self::LimitedValue | Self::PciConfiguration => {
                "give the device at the destination the properties that it has at the source"
            }
            Self::QueueSize => "give the device at the destination at least the queue size of the stream, or rehearse",
            Self::Features => "rehearse: features that the destination offers are in no stream",
            Self::NotCompared => "rehearse: the destination itself tells",
            Self::Schema(rule) => rule.recipe().text,
        }
    }
}

impl std::fmt::Display for StreamRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
