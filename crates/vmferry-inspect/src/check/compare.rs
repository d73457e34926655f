//! One side's description against the other's: what is written, and what is read.
//!
//! ```text
//! writer's fields ─┐ those that are there         ┌ pairs: presence, size, codec, number, nested image
//!                  ├─ lined up by name ───────────┤
//! reader's fields ─┘ (names are hints only)       └ gaps: without nested images, by octets
//! subsections ────── by name, which is on the wire
//! ```
//!
//! A direction is a writer and a reader, so that a rule is written once; the findings of both are merged.
//!
//! Source: `docs/spec/vmdesc.md` C1, C3, D5, `docs/spec/vmstate.md` sections 3 to 6.

use super::align::{Piece, align};
use super::codecs::{Reading, is_octets, reading};
use super::finding::{Direction, Finding, Findings, Severity};
use super::gaps;
use super::layout::{Condition, Elements, Openness, Present, Side, conditions_described};
use super::renames::Renames;
use super::rules::Rule;
use super::schema::{Description, Field, Gate};

/// What one direction of one class is compared with.
pub(super) struct Link<'s, 'c> {
    pub(super) writer: Side<'s>,
    pub(super) reader: Side<'s>,
    /// Forward: the writer is OLD.
    pub(super) direction: Direction,
    pub(super) machine: Option<&'c str>,
    /// Name of the class.
    pub(super) class: &'c str,
    pub(super) renames: &'c Renames,
    pub(super) findings: &'c mut Findings,
    /// Pairs of fields that may still be compared to line up lists.
    pub(super) pairs_left: &'c mut usize,
}

/// Where in a class.
#[derive(Debug, Clone)]
pub(super) struct Place<'s> {
    pub(super) path: String,
    /// Class and descriptions around it, innermost first.
    pub(super) scopes: Vec<&'s str>,
    /// What must hold for it to be there at all, as a question.
    pub(super) only_if: Option<String>,
}

/// A description at a version.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'s> {
    pub(super) description: &'s Description,
    pub(super) version: u32,
    /// Inside another image: its version is not on the wire.
    pub(super) is_nested: bool,
}

impl<'s> Place<'s> {
    pub(super) fn below(&self, name: &str) -> Self {
        Self { path: format!("{}.{name}", self.path), ..self.clone() }
    }

    fn within(mut self, description: &'s Description) -> Self {
        self.scopes.insert(0, &description.name);
        self
    }
}

impl<'s> Link<'s, '_> {
    /// Whether the writer is OLD.
    pub(super) fn is_forward(&self) -> bool {
        self.direction == Direction::Forward
    }

    /// Name of the side that writes.
    fn writer_name(&self) -> &'static str {
        if self.is_forward() { "OLD" } else { "NEW" }
    }

    /// Name of the side that reads.
    fn reader_name(&self) -> &'static str {
        if self.is_forward() { "NEW" } else { "OLD" }
    }

    /// Lines up what is written with what is read; the same way in both directions.
    pub(super) fn align(&mut self, written: usize, read: usize, same: impl Fn(usize, usize) -> bool) -> Vec<Piece> {
        if self.is_forward() {
            return align(written, read, self.pairs_left, same);
        }
        let turned = |piece| match piece {
            Piece::Pair(old, new) => Piece::Pair(new, old),
            Piece::Gap(old, new) => Piece::Gap(new, old),
        };
        align(read, written, self.pairs_left, |old, new| same(new, old)).into_iter().map(turned).collect()
    }

    /// What a field is called in a path: as NEW calls it, in both directions.
    pub(super) fn shown_name<'f>(&self, writer: &'f Present<'_>, reader: &'f Present<'_>) -> &'f str {
        if self.is_forward() { &reader.name } else { &writer.name }
    }

    /// Adds a finding; `question` makes it a risk at least.
    pub(super) fn report(
        &mut self,
        place: &Place<'_>,
        rule: Rule,
        severity: Severity,
        texts: (impl Into<String>, impl Into<String>),
        question: Option<String>,
    ) {
        let (written, read) = (texts.0.into(), texts.1.into());
        let (old, new) = if self.is_forward() { (written, read) } else { (read, written) };
        // What may not be there at all breaks only if it is.
        let (severity, question) = match (severity, &place.only_if) {
            (Severity::Break, Some(only_if)) => (Severity::Risk, Some(only_if.clone())),
            (severity, _) => (severity, question),
        };
        self.findings.add(Finding {
            severity,
            direction: self.direction,
            rule,
            section: self.class.to_owned(),
            path: place.path.clone(),
            old,
            new,
            question: question.filter(|_| severity == Severity::Risk),
            machines: self.machine.map(str::to_owned).into_iter().collect(),
            harmless: None,
        });
    }

    /// Compares what the writer's description writes with what the reader's loads.
    pub(super) fn descriptions(&mut self, place: &Place<'s>, writer: At<'s>, reader: At<'s>) {
        let place = place.clone().within(writer.description).within(reader.description);
        self.fields(&place, writer, reader);
        self.subsections(&place, writer.description, reader.description);
        let (written, read) = (writer.description, reader.description);
        for check in read.checks.iter().filter(|check| !written.checks.contains(check)) {
            let question = format!("can state of {} fail the test {check}?", self.writer_name());
            self.report(&place, Rule::CheckAdded, Severity::Risk, ("no such test", check.as_str()), Some(question));
        }
        if written.locals != read.locals {
            let shown = |locals: &[String]| if locals.is_empty() { "none".to_owned() } else { locals.join(", ") };
            self.report(
                &place,
                Rule::LocalsChanged,
                Severity::Info,
                (shown(&written.locals), shown(&read.locals)),
                None,
            );
        }
    }

    fn fields(&mut self, place: &Place<'s>, writer: At<'s>, reader: At<'s>) {
        let written = self.writer.present(&writer.description.fields, writer.version);
        let read = self.reader.present(&reader.description.fields, reader.version);
        let renames = self.renames;
        let same = |i: usize, j: usize| match (written.get(i), read.get(j)) {
            (Some(w), Some(r)) => are_called_the_same(renames, &place.scopes, w, r),
            _ => false,
        };
        let mut leftover = gaps::Leftover::new(writer, reader, &written, &read);
        for piece in self.align(written.len(), read.len(), same) {
            match piece {
                Piece::Pair(i, j) => {
                    let (Some(w), Some(r)) = (written.get(i), read.get(j)) else { continue };
                    if w.field.description.is_some() == r.field.description.is_some() {
                        self.pair(place, w, r);
                    } else {
                        let (w, r) = (std::slice::from_ref(w), std::slice::from_ref(r));
                        gaps::gap(self, place, w, r, &mut leftover);
                    }
                }
                Piece::Gap(i, j) => {
                    let (w, r) = (written.get(i).unwrap_or_default(), read.get(j).unwrap_or_default());
                    gaps::gap(self, place, w, r, &mut leftover);
                }
            }
        }
        gaps::unmatched(self, place, leftover);
    }

    /// Compares two fields that are the same one.
    pub(super) fn pair(&mut self, place: &Place<'s>, writer: &Present<'s>, reader: &Present<'s>) {
        let mut place = place.below(self.shown_name(writer, reader));
        self.same_presence(&place, writer, reader);
        if let Some(question) = self.presence_question(writer) {
            place.only_if.get_or_insert(question);
        }
        let (w, r) = (writer.field, reader.field);
        self.number(&place, w, r);
        let nested = |field: &'s Field| field.description.as_deref();
        let (Some(written), Some(read)) = (nested(w), nested(r)) else {
            self.element(&place, w, r);
            return;
        };
        if w.codec != r.codec
            && w.codec.is_some()
            && r.codec.is_some()
            && (w.inlined().is_none() || r.inlined().is_none())
        {
            self.report(&place, Rule::CodecChanged, Severity::Break, (w.described(), r.described()), None);
        }
        if w.is_pointer != r.is_pointer {
            self.pointer(&place, w, r);
        }
        match (w.key.as_deref(), r.key.as_deref()) {
            (Some(written), Some(read)) => self.nested(&place.below("key"), (written, None), (read, None)),
            (None, None) => {}
            // A number, where the other side has an image.
            _ => self.report(&place, Rule::CodecChanged, Severity::Break, key_texts(w, r), None),
        }
        self.nested(&place, (written, w.pinned), (read, r.pinned));
    }

    /// Compares images inside a field.
    pub(super) fn nested(
        &mut self,
        place: &Place<'s>,
        writer: (&'s Description, Option<u32>),
        reader: (&'s Description, Option<u32>),
    ) {
        let at = |(description, pinned): (&'s Description, Option<u32>)| At {
            description,
            version: pinned.unwrap_or(description.version),
            is_nested: true,
        };
        let (writer, reader) = (at(writer), at(reader));
        let (written, read) = (writer.description, reader.description);
        // The name matters to the subsections alone, which begin with it.
        if written.name != read.name {
            let has_subsections = !written.subsections.is_empty() || !read.subsections.is_empty();
            let (severity, question) = match has_subsections {
                true => (Severity::Risk, Some(format!("is a subsection of {} sent?", written.name))),
                false => (Severity::Info, None),
            };
            self.report(place, Rule::FieldRenamed, severity, (written.name.as_str(), read.name.as_str()), question);
        }
        if writer.version != reader.version {
            let texts = (format!("version {}", writer.version), format!("version {}", reader.version));
            self.report(place, Rule::NestedVersion, Severity::Info, texts, None);
        }
        self.descriptions(place, writer, reader);
    }

    /// Says so if the two are not there at the same time.
    fn same_presence(&mut self, place: &Place<'_>, writer: &Present<'_>, reader: &Present<'_>) {
        let holds = |conditions: &[Condition<'_>], all: &[Condition<'_>]| conditions.iter().all(|c| all.contains(c));
        if holds(&writer.conditions, &reader.conditions) && holds(&reader.conditions, &writer.conditions) {
            return;
        }
        let texts = (conditions_described(&writer.conditions), conditions_described(&reader.conditions));
        let question = Some("do the two sides ever disagree about whether it is there?".to_owned());
        self.report(place, Rule::PresenceChanged, Severity::Risk, texts, question);
    }

    /// What must be asked if a difference of this field matters only while it is there.
    pub(super) fn presence_question(&self, field: &Present<'_>) -> Option<String> {
        field.conditions.iter().find_map(|condition| match condition {
            Condition::Gate(property) => Some(format!("is {property} on in this machine type?")),
            // Of our own devices, what can be sent will be.
            Condition::Test(_) if self.writer.is_detailed && self.reader.is_detailed => None,
            Condition::Test(_) => Some(format!("is {} there on this machine type?", field.name)),
        })
    }

    fn number(&mut self, place: &Place<'_>, writer: &Field, reader: &Field) {
        let texts = (writer.described(), reader.described());
        match (writer.number(), reader.number()) {
            // An array of octets may be a buffer on the other side.
            (Elements::Fixed(w), Elements::Fixed(r)) if same_octets(writer, reader) => {
                let octets = |field: &Field, elements: u64| field.width()?.checked_mul(elements);
                if octets(writer, w) != octets(reader, r) {
                    self.report(place, Rule::CountChanged, Severity::Break, texts, None);
                }
            }
            (Elements::Fixed(w), Elements::Fixed(r)) if w != r => {
                self.report(place, Rule::CountChanged, Severity::Break, texts, None);
            }
            (Elements::Counted(w), Elements::Counted(r)) => {
                if w.scale != r.scale {
                    self.report(place, Rule::CountChanged, Severity::Break, texts, None);
                } else if w.is_local != r.is_local {
                    let question = Some("can the two numbers differ?".to_owned());
                    self.report(place, Rule::CountSource, Severity::Risk, texts, question);
                } else if w.field != r.field {
                    self.report(place, Rule::CountSource, Severity::Info, texts, None);
                }
            }
            (Elements::Fixed(fixed), Elements::Counted(count)) | (Elements::Counted(count), Elements::Fixed(fixed)) => {
                let question = Some(format!("can {} be anything but {fixed}?", count.described()));
                self.report(place, Rule::CountSource, Severity::Risk, texts, question);
            }
            // One element, or as many as a field says.
            (Elements::Fixed(w), Elements::Unstated) if w != 1 && self.reader.tells_numbers => {
                self.unstated(place, texts, w);
            }
            (Elements::Unstated, Elements::Fixed(r)) if r != 1 && self.writer.tells_numbers => {
                self.unstated(place, texts, r);
            }
            _ => {}
        }
        if let (Some(w), Some(r)) = (writer.limit, reader.limit)
            && w > r
        {
            let texts = (format!("at most {w}"), format!("at most {r}"));
            let question = Some(format!("can there be more than {r} in a stream of {}?", self.writer_name()));
            self.report(place, Rule::LimitChanged, Severity::Risk, texts, question);
        }
    }

    fn unstated(&mut self, place: &Place<'_>, texts: (String, String), fixed: u64) {
        let question = Some(format!("is the number of elements, which one dump does not tell, anything but {fixed}?"));
        self.report(place, Rule::CountChanged, Severity::Risk, texts, question);
    }

    /// Compares elements without a nested image.
    pub(super) fn element(&mut self, place: &Place<'_>, writer: &Field, reader: &Field) {
        let texts = (writer.described(), reader.described());
        if writer.is_pointer != reader.is_pointer {
            self.pointer(place, writer, reader);
            return;
        }
        if !same_octets(writer, reader) && writer.width() != reader.width() {
            self.report(place, Rule::SizeChanged, Severity::Break, texts, None);
            return;
        }
        match reading(writer.codec.as_deref(), reader.codec.as_deref()) {
            Reading::Same => {}
            Reading::Wrong => self.report(place, Rule::CodecChanged, Severity::Break, texts, None),
            Reading::Otherwise => {
                let question = Some("is there a value that means something else in the other codec?".to_owned());
                self.report(place, Rule::CodecChanged, Severity::Risk, texts, question);
            }
            Reading::Compared => {
                let question = Some(format!("can it be a value that {} does not have?", self.reader_name()));
                self.report(place, Rule::CodecChanged, Severity::Risk, texts, question);
            }
            Reading::Skipped => self.report(place, Rule::FieldFilled, Severity::Info, texts, None),
            Reading::Zeros => {
                let question = Some(format!("does {} go wrong with zeros?", self.reader_name()));
                self.report(place, Rule::FieldFilled, Severity::Risk, texts, question);
            }
        }
    }

    fn pointer(&mut self, place: &Place<'_>, writer: &Field, reader: &Field) {
        let question = Some("can an element be missing?".to_owned());
        self.report(place, Rule::CodecChanged, Severity::Risk, (writer.described(), reader.described()), question);
    }

    /// Compares lists of subsections, which are known by their names.
    pub(super) fn subsections(&mut self, place: &Place<'s>, writer: &'s Description, reader: &'s Description) {
        for written in &writer.subsections {
            let place = place.below(&written.name);
            let gate = self.writer.openness(&written.gate);
            match reader.subsections.iter().find(|read| read.name == written.name) {
                Some(read) => {
                    self.sent_changed(&place, Rule::SubsectionGate, &written.gate, &read.gate);
                    if !matches!(gate, Openness::Closed(_)) {
                        self.subsection(&place, written, read);
                    }
                }
                None => self.unknown_subsection(&place, gate),
            }
        }
    }

    fn subsection(&mut self, place: &Place<'s>, written: &'s Description, read: &'s Description) {
        let mut place = place.clone();
        // Of our own devices, what can be sent will be.
        if !(self.writer.is_detailed && self.reader.is_detailed) {
            place.only_if.get_or_insert_with(|| format!("is {} ever sent on this machine type?", written.name));
        }
        let place = &place;
        if let Some(read) = self.versions(place, written, read) {
            let at = |description| At { description, version: written.version, is_nested: false };
            self.descriptions(place, at(written), at(read));
        }
    }

    pub(super) fn unknown_subsection(&mut self, place: &Place<'_>, gate: Openness<'_>) {
        let rule = if self.is_forward() { Rule::SubsectionRemoved } else { Rule::SubsectionAdded };
        let name = self.writer_name();
        let (severity, question) = match gate {
            Openness::Closed(_) => return,
            Openness::Open(_) => (Severity::Break, None),
            // What a release of ours could send is not given up.
            Openness::NoGate if self.writer.is_detailed && self.is_forward() => (Severity::Break, None),
            Openness::NoGate => (Severity::Risk, Some(format!("does {name} ever send it on this machine type?"))),
            Openness::Unknown(property) => {
                (Severity::Risk, Some(format!("is {property} on in a machine type that both know?")))
            }
        };
        let sent = match gate {
            Openness::Open(property) => format!("sent: {property} is on"),
            Openness::Unknown(property) => format!("sent if {property} is on"),
            _ => "sent if it is in use".to_owned(),
        };
        self.report(place, rule, severity, (sent, "not known, refused by name"), question);
    }

    /// Whether a section or subsection that both know is sent by both, told once: by the direction that NEW writes.
    pub(super) fn sent_changed(&mut self, place: &Place<'_>, rule: Rule, writer: &'s Gate, reader: &'s Gate) {
        if self.is_forward() {
            return;
        }
        let (new, old) = (self.writer.openness(writer), self.reader.openness(reader));
        let is_sent = |openness: Openness<'_>| match openness {
            Openness::Closed(_) => Some(false),
            Openness::NoGate | Openness::Open(_) => Some(true),
            Openness::Unknown(_) => None,
        };
        let question = match (is_sent(new), is_sent(old)) {
            (Some(true), Some(false)) => "is there a release that has this machine type and does not know it?",
            (Some(false), Some(true)) => "does OLD go wrong without it?",
            (Some(_), Some(_)) => return,
            _ if writer.property == reader.property => return,
            _ => "is it sent on a machine type where it was not?",
        };
        let texts = (openness_described(new), openness_described(old));
        self.report(place, rule, Severity::Risk, texts, Some(question.to_owned()));
    }

    /// Checks the version that is on the wire, and gives what the reader loads it with; says so if it is refused.
    pub(super) fn versions(
        &mut self,
        place: &Place<'_>,
        written: &'s Description,
        read: &'s Description,
    ) -> Option<&'s Description> {
        let loading = read.loading(written.version);
        if loading.is_some() {
            // Told once, where OLD writes.
            if self.is_forward() && oldest(written) < oldest(read) {
                let texts =
                    (format!("loads from version {} on", oldest(written)), format!("from version {} on", oldest(read)));
                self.report(place, Rule::MinimumRaised, Severity::Info, texts, None);
            }
            return loading;
        }
        let rule = if written.version > read.version { Rule::VersionTooNew } else { Rule::VersionTooOld };
        let texts = (format!("version {}", written.version), format!("loads {} to {}", oldest(read), read.version));
        self.report(place, rule, Severity::Break, texts, None);
        None
    }
}

fn key_texts(writer: &Field, reader: &Field) -> (String, String) {
    let shown = |field: &Field| match &field.key {
        Some(key) => format!("keys of struct {}", key.name),
        None => "keys of 64 bits".to_owned(),
    };
    (shown(writer), shown(reader))
}

fn oldest(description: &Description) -> u32 {
    description.minimum_version
}

pub(super) fn openness_described(openness: Openness<'_>) -> String {
    match openness {
        Openness::NoGate => "sent if it is in use, on every machine type".to_owned(),
        Openness::Open(property) => format!("sent: {property} is on"),
        Openness::Closed(property) => format!("not sent: {property} is off"),
        Openness::Unknown(property) => format!("sent if {property} is on"),
    }
}

/// Whether two fields are called the same; filler has no name.
fn are_called_the_same(renames: &Renames, scopes: &[&str], writer: &Present<'_>, reader: &Present<'_>) -> bool {
    if writer.field.is_filler() || reader.field.is_filler() {
        return writer.field.is_filler() && reader.field.is_filler() && writer.octets() == reader.octets();
    }
    writer.name == reader.name || renames.field(scopes, &writer.name) == renames.field(scopes, &reader.name)
}

/// Whether both are raw octets, in whatever groups.
pub(super) fn same_octets(writer: &Field, reader: &Field) -> bool {
    let raw = |field: &Field| field.codec.as_deref().is_some_and(is_octets) && !field.is_pointer;
    raw(writer) && raw(reader)
}
