//! What each rule means, for reports that stand alone.
//!
//! The same words are in `docs/check-rules.md`; a test holds the two together.

use super::rules::Rule;

/// What a rule means. Words in backticks are code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// What was found, and why it matters.
    pub text: &'static str,
    /// A case of it.
    pub example: &'static str,
}

impl Rule {
    /// What it means.
    #[must_use]
    pub const fn explanation(self) -> Explanation {
        let (text, example) = match self {
            Self::MachineUnknown => (
                "OLD has a machine type that NEW has not: its guests cannot be moved to NEW. A machine type that NEW \
                 lists under `removed` is an info.",
                "OLD lists `board-1.0`, NEW lists `board-1.1` alone.",
            ),
            Self::MachineDiffers => (
                "The two dumps were evaluated for different machine types, and a stream names its machine type. \
                 QEMU's dumps carry the name as a label only.",
                "`schema --machine board-1.0` against `schema --machine board-1.1`.",
            ),
            Self::PropertyChanged => (
                "A property that is no gate has another value on the same machine type. The guest sees what it \
                 configures (queues, vectors, sizes), and state may follow it. This is the most frequent cause of \
                 real breaks (`docs/spec/compat.md` section 8).",
                "`blk.queues` is 1 on `board-1.0` in OLD and 4 in NEW: the entry for released machine types was \
                 forgotten.",
            ),
            Self::SectionUnknown => (
                "One side sends a section that the other has not; it is refused by name. For dumps of a binary's \
                 classes (QEMU's) the question is whether the machine has such a device.",
                "NEW gave `rtc` a section that is sent on all machine types.",
            ),
            Self::SectionRenamed => (
                "The class is the same, and its section has another name, which is on the wire.",
                "`vmstate(name = \"uart\")` became `vmstate(name = \"serial\")`.",
            ),
            Self::ClassRenamed => (
                "A class without a partner of its name, and one on the other side whose section has the same name. \
                 Class names are not on the wire; whether the two are the same device, a person has to say \
                 (`[[section]]` in the file of renames).",
                "`ICH9 SMB` is called `ICH9-SMB` in NEW.",
            ),
            Self::InstanceUnknown => (
                "A section's id string or instance id is not known to the other side, and not listed as an older name \
                 there.",
                "A UART got a device path: `uart` became `0000:00:01.0/uart`.",
            ),
            Self::SectionGate => (
                "Both sides know the section; on a machine type one sends it and the other does not, or its gate \
                 changed.",
                "`tpm` loses `gate = migrate`.",
            ),
            Self::Unmigratable => (
                "The device can migrate in one of the two only.",
                "`unmigratable` was taken off without a property that keeps it for old machine types.",
            ),
            Self::OrderChanged => (
                "Another load priority, or the section moved before RAM. What is loaded later may rely on it.",
                "`priority = iommu` was added.",
            ),
            Self::VersionTooNew => (
                "A section or subsection is written in a version that the other side does not know yet.",
                "`version = 2` where OLD loads 1 only: no stream of NEW loads in OLD, on any machine type.",
            ),
            Self::VersionTooOld => (
                "A section or subsection is written in a version that the other side does not load any more.",
                "`min = 2` in NEW, and OLD writes 1.",
            ),
            Self::MinimumRaised => (
                "NEW loads fewer old versions than OLD, though still the one that OLD writes. Streams of releases \
                 before OLD, and snapshots, may be lost.",
                "OLD loads 1 to 2, NEW loads 2 only.",
            ),
            Self::NestedVersion => (
                "The version of a nested image is not on the wire: a field `since` a new nested version is simply \
                 there. The version alone has no effect.",
                "`cell` at version 2 has `b` since 2; it was at version 1.",
            ),
            Self::FieldAdded => (
                "NEW has a field that OLD has not. OLD's streams lack its octets and everything behind is read \
                 shifted; OLD does not expect them.",
                "A field was appended. QEMU's checker sees it in one direction only.",
            ),
            Self::FieldRemoved => ("OLD has a field that NEW has not.", "`cache` was deleted."),
            Self::FieldMoved => (
                "A field of the same name stands at another place of the list.",
                "`a, b` became `b, a`: of equal sizes, each is loaded as the other.",
            ),
            Self::FieldRenamed => (
                "A field of the same form, at the same place, has another name. Names are not on the wire. Where a \
                 dump does not tell codecs, the number of octets alone says that it is the same one.",
                "`num_timers` became `num_timers_save`.",
            ),
            Self::FieldRegrouped => (
                "The same fields with other nested images around them: images add no octets.",
                "`a, b` became a nested image with `a, b`.",
            ),
            Self::FieldReshaped => {
                ("The same number of octets, cut into other fields.", "`lo: u16, hi: u16` became `word: u32`.")
            }
            Self::FieldFilled => (
                "A field became filler, or filler became a field. A reader with filler skips what is sent; a reader \
                 with the field gets zeros.",
                "`cache: u32` became `unused = 4`.",
            ),
            Self::SizeChanged => ("An element has another number of octets.", "`count: u16` became `u32`."),
            Self::CodecChanged => (
                "An element has another codec of the same size. A number of other sign is a risk; a reader that \
                 compares (`equal`, `le`) refuses what differs; everything else is read as something else.",
                "`u32` became `i32`; `[u8; 4]` became `u32`. `[u8; 4]` and `buffer` are the same on the wire and no \
                 finding.",
            ),
            Self::CountChanged => (
                "A fixed array has another number of elements, or a counted one another multiple. QEMU's checker does \
                 not compare numbers.",
                "`[u32; 4]` became `[u32; 8]`.",
            ),
            Self::CountSource => (
                "The number of elements comes from elsewhere: from a field instead of the declaration, from the \
                 stream instead of the configuration.",
                "`len = queues` where `queues` became `local`.",
            ),
            Self::LimitChanged => (
                "The reader accepts fewer elements than the writer may send.",
                "`max = 8` became `max = 4`: forward. `max = 16`: backward.",
            ),
            Self::PresenceChanged => (
                "A field is there under another condition. Both sides decide for themselves, and nothing on the wire \
                 says how.",
                "`when = is_new` became `when = is_newer`; a gate is on in OLD's table for a machine type and off in \
                 NEW's.",
            ),
            Self::SubsectionAdded => (
                "NEW sends a subsection that OLD refuses by name. Without a gate it depends on whether it is in use \
                 (recipe 2).",
                "A gate whose entry for released machine types was forgotten.",
            ),
            Self::SubsectionRemoved => {
                ("OLD sends a subsection that NEW refuses by name.", "`uart/fifo` was deleted with its feature.")
            }
            Self::SubsectionGate => (
                "Both sides know the subsection; on a machine type one sends it and the other does not, or its gate \
                 changed. OLD loads it; releases before it may not.",
                "A subsection lost its gate, or its property's default became on.",
            ),
            Self::CheckAdded => (
                "The reader has a test between fields that the writer has not, and refuses what fails it.",
                "`check = is_sane` was added.",
            ),
            Self::LocalsChanged => {
                ("Other fields that are not on the wire shape a load.", "`local` was added to a field.")
            }
        };
        Explanation { text, example }
    }
}
