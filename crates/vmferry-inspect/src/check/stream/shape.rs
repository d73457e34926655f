//! The state of one section against that which the destination sent of its own: fields, numbers of elements, values
//! that it compares.
//!
//! Fields are lined up by name; where they do not line up, octets count. A field that only one side has was sent for a
//! reason that the other has not: what the device holds, or how it is configured. The first does no harm, the second
//! is refused, and which it is no stream tells; where nothing is known of the field, it is asked.

use super::arm;
use super::pci::{self, Sureness};
use super::releases::{Known, Span, releases};
use super::report::{Found, StreamFinding};
use super::rules::StreamRule;
use super::schema::SchemaIndex;
use super::tree::{Content, Entry, Node};
use super::virtio;
use crate::check::Severity;
use crate::check::align::{Piece, align};
use crate::check::limits::PAIR_COUNT_LIMIT;

/// Configuration octets that are listed for one device.
const PCI_DIFFERENCES_LISTED: usize = 8;

/// Registers that are listed for one CPU.
const REGISTERS_LISTED: usize = 16;

/// Nested images that are followed; the deepest known description has 7.
const DEPTH_LIMIT: usize = 64;

/// What is known of the two ends beside the section.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides<'c> {
    /// Releases that the destination can be of.
    pub(super) span: Span,
    pub(super) schema: Option<&'c SchemaIndex<'c>>,
    /// CPUs of the destination.
    pub(super) own_cpus: u64,
    pub(super) idstr: &'c str,
    /// Position of the section in the stream.
    pub(super) offset: u64,
}

/// The comparison of one section.
pub(super) struct Shapes<'c, 'f> {
    sides: Sides<'c>,
    found: &'f mut Found,
    path: String,
    /// The images around the place, outermost first, with the entries before it.
    around: Vec<(&'c [Entry], &'c [Entry])>,
    /// Whether the fields of the image that is being compared take as many octets in both.
    is_cut_otherwise: bool,
    pairs_left: usize,
}

impl<'c, 'f> Shapes<'c, 'f> {
    pub(super) fn new(sides: Sides<'c>, found: &'f mut Found) -> Self {
        Self {
            sides,
            found,
            path: String::new(),
            around: Vec::new(),
            is_cut_otherwise: false,
            pairs_left: PAIR_COUNT_LIMIT,
        }
    }

    pub(super) fn compare(&mut self, path: String, stream: &'c Node, own: &'c Node) {
        self.path = path;
        self.nodes(stream, own);
    }

    fn add(&mut self, severity: Severity, rule: StreamRule, texts: (String, String), question: Option<String>) {
        self.found.add(StreamFinding {
            severity,
            rule,
            path: self.path.clone(),
            offset: Some(self.sides.offset),
            found: texts.0,
            expected: texts.1,
            question,
            harmless: None,
        });
    }

    fn below(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push('.');
        self.path.push_str(name);
        inside(self);
        self.path.truncate(length);
    }

    fn nodes(&mut self, stream: &'c Node, own: &'c Node) {
        if self.around.len() >= DEPTH_LIMIT {
            let texts = ("images inside one another".to_owned(), format!("compared are {DEPTH_LIMIT}"));
            let question = "does the destination refuse what is in them?".to_owned();
            self.add(Severity::Risk, StreamRule::NotCompared, texts, Some(question));
            return;
        }
        let same = |i: usize, j: usize| match (stream.entries.get(i), own.entries.get(j)) {
            (Some(sent), Some(own)) => sent.name == own.name,
            _ => false,
        };
        // As many octets, cut otherwise: a later release found a use for filler. What is read is not shifted by it.
        let octets = |node: &Node| node.entries.iter().map(Entry::octets).fold(0, u64::saturating_add);
        let around_is_cut_otherwise = std::mem::replace(&mut self.is_cut_otherwise, octets(stream) == octets(own));
        let mut pairs_left = self.pairs_left;
        let pieces = align(stream.entries.len(), own.entries.len(), &mut pairs_left, same);
        self.pairs_left = pairs_left;
        for piece in pieces {
            match piece {
                Piece::Pair(i, j) => {
                    let (Some(sent), Some(local)) = (stream.entries.get(i), own.entries.get(j)) else { continue };
                    let before =
                        (stream.entries.get(..i).unwrap_or_default(), own.entries.get(..j).unwrap_or_default());
                    self.around.push(before);
                    self.below(&sent.name, |shapes| shapes.pair(stream, sent, local));
                    self.around.pop();
                }
                Piece::Gap(sent, local) => {
                    let (before, before_own) = (
                        stream.entries.get(..sent.start).unwrap_or_default(),
                        own.entries.get(..local.start).unwrap_or_default(),
                    );
                    self.around.push((before, before_own));
                    let sent = stream.entries.get(sent).unwrap_or_default();
                    let local = own.entries.get(local).unwrap_or_default();
                    self.gap(stream, own, sent, local);
                    self.around.pop();
                }
            }
        }
        self.is_cut_otherwise = around_is_cut_otherwise;
        self.registers(stream, own);
        for sent in &stream.subsections {
            match own.subsections.iter().find(|local| local.name == sent.name) {
                Some(local) => self.below(&sent.name, |shapes| {
                    shapes.around.push((&stream.entries, &own.entries));
                    shapes.nodes(sent, local);
                    shapes.around.pop();
                }),
                None => self.below(&sent.name, |shapes| shapes.lone_subsection(stream, sent)),
            }
        }
    }

    /// Two fields of one name.
    fn pair(&mut self, node: &Node, sent: &'c Entry, own: &'c Entry) {
        // An element that is there on one side and not on the other.
        if is_absent(sent) || is_absent(own) {
            return;
        }
        match (&sent.content, &own.content) {
            (Content::Nodes(written), Content::Nodes(read)) => {
                if written.len() == read.len() {
                    // Elements of an array are alike in what a destination compares; each is looked at all the same.
                    for (written, read) in written.iter().zip(read) {
                        self.nodes(written, read);
                    }
                } else {
                    self.count(node, sent, own);
                }
            }
            (Content::Octets(written), Content::Octets(read)) => self.octets(node, sent, own, (written, read)),
            _ => self.other_field(sent, own),
        }
    }

    fn octets(&mut self, node: &Node, sent: &Entry, own: &Entry, octets: (&[u8], &[u8])) {
        let (written, read) = octets;
        let is = |name: &str| sent.type_name == name && own.type_name == name;
        if is("virtio") {
            self.virtio(written, read);
        } else if is("virtio-gpu") {
            self.outputs(written, read);
        } else if is("pci config") {
            let _ = self.pci(written, read);
        } else if sent.size != own.size && !is_list(&sent.type_name) {
            if self.is_cut_otherwise {
                return;
            }
            match sent.type_name == "msix state" || is_plain(&sent.type_name) {
                true => self.other_field(sent, own),
                false => self.buffer(sent, own),
            }
        } else if sent.count != own.count {
            self.count(node, sent, own);
        } else if sent.type_name.ends_with(" equal") && written != read {
            self.value(StreamRule::ComparedValue, sent, own);
        } else if sent.type_name.ends_with(" le") && sent.integer() > own.integer() {
            self.value(StreamRule::LimitedValue, sent, own);
        } else if releases().is_compared(&node.name, &sent.name) && written != read {
            self.value(StreamRule::ComparedValue, sent, own);
        } else if is_version(&sent.name) && is_plain(&sent.type_name) && written != read {
            let shown = |entry: &Entry| format!("{}", entry.integer().unwrap_or_default());
            let question = "are other fields read, or in another way, for this version?".to_owned();
            self.add(Severity::Risk, StreamRule::ComparedValue, (shown(sent), shown(own)), Some(question));
        }
    }

    fn value(&mut self, rule: StreamRule, sent: &Entry, own: &Entry) {
        let shown = |entry: &Entry| match entry.integer() {
            Some(value) => format!("{value} (0x{value:x})"),
            None => described(entry),
        };
        self.add(Severity::Break, rule, (shown(sent), shown(own)), None);
    }

    fn other_field(&mut self, sent: &Entry, own: &Entry) {
        self.add(Severity::Break, StreamRule::Layout, (described(sent), described(own)), None);
    }

    fn buffer(&mut self, sent: &Entry, own: &Entry) {
        if self.is_counted(sent.octets(), own.octets()) {
            return;
        }
        let question = "is the number of octets configured, and not in the stream?".to_owned();
        self.add(Severity::Risk, StreamRule::ElementCount, (described(sent), described(own)), Some(question));
    }

    /// Arrays of different lengths: a number that is in the stream, or a configured one, which must be the same.
    fn count(&mut self, node: &Node, sent: &Entry, own: &Entry) {
        if releases().is_data(&node.name, &sent.name) || self.is_counted(sent.count, own.count) {
            return;
        }
        if is_list(&sent.type_name) {
            return;
        }
        self.add(Severity::Break, StreamRule::ElementCount, (described(sent), described(own)), None);
    }

    /// Whether a field before this place has the number of elements, in both. Once too much was looked at, none has.
    fn is_counted(&mut self, sent: u64, own: u64) -> bool {
        let scale = |value: u64, count: u64| match (value, count) {
            (0, 0) => Some(None),
            (0, _) => None,
            (value, count) if count % value == 0 => Some(Some(count / value)),
            _ => None,
        };
        for (before, before_own) in &self.around {
            for entry in *before {
                let Some(value) = entry.integer() else { continue };
                let Some(sent_scale) = scale(value, sent) else { continue };
                let Some(left) = self.pairs_left.checked_sub(before_own.len()) else { return false };
                self.pairs_left = left;
                let partner = before_own.iter().find(|other| other.name == entry.name);
                let Some(own_value) = partner.and_then(Entry::integer) else { continue };
                let is_it = match (sent_scale, scale(own_value, own)) {
                    (Some(one), Some(Some(other))) => one == other,
                    (_, Some(_)) => value != own_value,
                    (_, None) => false,
                };
                if is_it {
                    return true;
                }
            }
        }
        false
    }

    /// Fields without a partner.
    fn gap(&mut self, node: &'c Node, own_node: &'c Node, sent: &'c [Entry], own: &'c [Entry]) {
        let octets = |entries: &[Entry]| entries.iter().map(Entry::octets).fold(0, u64::saturating_add);
        if self.is_cut_otherwise || octets(sent) == octets(own) {
            return;
        }
        // One element more or less of an array whose elements have entries.
        let is_array = |entries: &[Entry]| {
            let name = entries.first().map(|entry| &entry.name);
            entries.iter().all(|entry| entry.is_element && Some(&entry.name) == name)
        };
        if (sent.is_empty() && is_array(own)) || (own.is_empty() && is_array(sent)) {
            let count = |node: &Node, name: &str| node.entries.iter().filter(|entry| entry.name == name).count() as u64;
            let Some(one) = sent.first().or(own.first()) else { return };
            let (written, read) = (count(node, &one.name), count(own_node, &one.name));
            if releases().is_data(&node.name, &one.name) || self.is_counted(written, read) {
                return;
            }
            let shown = |count: u64| format!("{count} elements");
            let name = one.name.clone();
            self.below(&name, |shapes| {
                shapes.add(Severity::Break, StreamRule::ElementCount, (shown(written), shown(read)), None);
            });
            return;
        }
        for entry in sent {
            self.below(&entry.name, |shapes| shapes.lone_field(node, entry, true));
        }
        for entry in own {
            self.below(&entry.name, |shapes| shapes.lone_field(own_node, entry, false));
        }
    }

    /// A field that one side alone sent.
    fn lone_field(&mut self, node: &Node, entry: &Entry, is_sent: bool) {
        let facts = releases();
        if facts.is_data(&node.name, &entry.name) || entry.octets() == 0 {
            return;
        }
        let texts = match is_sent {
            true => (described(entry), "not sent by the destination".to_owned()),
            false => ("not sent".to_owned(), described(entry)),
        };
        let (severity, question) = match facts.property_of(&node.name, &entry.name) {
            Some(_) => (Severity::Break, None),
            None if is_sent && facts.has_field(self.sides.span, &node.name, &entry.name) == Known::No => {
                (Severity::Break, None)
            }
            None => {
                let question = "is the field there by a property, and not by what the device holds?";
                (Severity::Risk, Some(question.to_owned()))
            }
        };
        self.add(severity, StreamRule::Layout, texts, question);
    }

    /// A subsection that the stream alone has.
    fn lone_subsection(&mut self, parent: &Node, sent: &Node) {
        let by_schema = self.sides.schema.and_then(|schema| schema.knows_subsection(&parent.name, &sent.name));
        let known = match by_schema {
            Some(true) => Known::Yes,
            Some(false) => Known::No,
            None => releases().knows_subsection(self.sides.span, &parent.name, &sent.name),
        };
        let (severity, question) = match known {
            Known::Yes => {
                self.per_cpu(sent);
                return;
            }
            Known::No => (Severity::Break, None),
            Known::Perhaps => (Severity::Risk, Some("does the destination not know this subsection?".to_owned())),
        };
        let texts = (format!("sent in version {}", sent.version), "not sent by the destination".to_owned());
        self.add(severity, StreamRule::Subsection, texts, question);
    }

    /// An array with an element for each possible CPU, which the destination did not send.
    fn per_cpu(&mut self, node: &Node) {
        let own_cpus = self.sides.own_cpus;
        for entry in &node.entries {
            if let Content::Nodes(inner) = &entry.content {
                if releases().is_per_cpu(&node.name, &entry.name) {
                    let elements =
                        node.entries.iter().filter(|other| other.name == entry.name).map(|other| other.count);
                    let elements = elements.sum::<u64>();
                    if elements != own_cpus {
                        let texts =
                            (format!("{elements} elements"), format!("{own_cpus} CPUs, and more that may come"));
                        let question = format!("has the destination another number of possible CPUs than {elements}?");
                        self.below(&entry.name, |shapes| {
                            shapes.add(Severity::Risk, StreamRule::ElementCount, texts, Some(question));
                        });
                    }
                    return;
                }
                inner.iter().for_each(|node| self.per_cpu(node));
            }
        }
    }

    /// Whether a difference is refused for sure.
    fn pci(&mut self, written: &[u8], read: &[u8]) -> bool {
        if written.len() != read.len() {
            let shown = |octets: &[u8]| format!("{} octets of configuration space", octets.len());
            self.add(Severity::Break, StreamRule::PciConfiguration, (shown(written), shown(read)), None);
            return true;
        }
        let mut differences = pci::compare(written, read);
        // What is listed must not hide what decides.
        differences.sort_by_key(|difference| difference.sureness != Sureness::Certain);
        let is_refused = differences.iter().any(|difference| difference.sureness == Sureness::Certain);
        for difference in differences.into_iter().take(PCI_DIFFERENCES_LISTED) {
            let pci::Difference { offset, found, own, what, sureness } = difference;
            let question = "can the guest not write this octet?".to_owned();
            let (severity, question) = match sureness {
                Sureness::Certain => (Severity::Break, None),
                Sureness::Doubtful => (Severity::Risk, Some(question)),
            };
            let texts = (format!("0x{found:02x}: {what}"), format!("0x{own:02x}"));
            self.below(&format!("config[0x{offset:x}]"), |shapes| {
                shapes.add(severity, StreamRule::PciConfiguration, texts, question);
            });
        }
        is_refused
    }

    fn registers(&mut self, stream: &Node, own: &Node) {
        let mut differences = arm::compare(stream, own);
        differences.sort_by_key(|difference| matches!(difference, arm::Difference::Lacking { .. }));
        for difference in differences.into_iter().take(REGISTERS_LISTED) {
            let (id, severity, texts, question) = match difference {
                arm::Difference::Identity { id, sent, own } => {
                    let texts = (format!("0x{sent:x}, which identifies the CPU"), format!("0x{own:x}"));
                    (id, Severity::Break, texts, None)
                }
                arm::Difference::Lacking { id } => {
                    let question = "does the destination refuse a register that it does not have?".to_owned();
                    (id, Severity::Risk, ("sent".to_owned(), "no such register".to_owned()), Some(question))
                }
            };
            self.below(&format!("register[0x{id:x}]"), |shapes| {
                shapes.add(severity, StreamRule::ComparedValue, texts, question);
            });
        }
    }

    fn virtio(&mut self, written: &[u8], read: &[u8]) {
        let idstr = self.sides.idstr;
        if let (Some(sent), Some(own)) = (virtio::space(idstr, written), virtio::space(idstr, read))
            && self.pci(sent, own)
        {
            // What follows depends on it.
            return;
        }
        let (Some(sent), Some(own)) = (virtio::read(idstr, written), virtio::read(idstr, read)) else {
            let texts = ("a body that is not known here".to_owned(), "one of a virtio device".to_owned());
            let question = "does the destination refuse what is in it?".to_owned();
            self.add(Severity::Risk, StreamRule::NotCompared, texts, Some(question));
            return;
        };
        self.queues(&sent.queues, &own.queues);
        if sent.ports != own.ports {
            let shown = |ports: &Option<Vec<u32>>| {
                let words = ports.iter().flatten().map(|word| format!("{word:08x}"));
                format!("ports 0x{}", words.collect::<Vec<_>>().join("_"))
            };
            self.add(Severity::Break, StreamRule::ComparedValue, (shown(&sent.ports), shown(&own.ports)), None);
        }
        if sent.features != 0 {
            let texts =
                (format!("0x{:x} in use by the guest", sent.features), "offers what no stream tells".to_owned());
            self.add(Severity::Info, StreamRule::Features, texts, None);
        }
    }

    /// The outputs of a display, of which there must be as many.
    fn outputs(&mut self, written: &[u8], read: &[u8]) {
        let shown =
            |outputs: Option<u32>| outputs.map_or("not known".to_owned(), |outputs| format!("{outputs} outputs"));
        let (sent, own) = (virtio::gpu_outputs(written), virtio::gpu_outputs(read));
        let texts = (shown(sent), shown(own));
        match (sent, own) {
            (Some(sent), Some(own)) if sent == own => {}
            (Some(_), Some(_)) => self.add(Severity::Break, StreamRule::ElementCount, texts, None),
            // Those of a guest that draws stand behind its pictures.
            _ => self.add(Severity::Info, StreamRule::NotCompared, texts, None),
        }
    }

    fn queues(&mut self, sent: &[u32], own: &[u32]) {
        for (number, size) in sent.iter().enumerate() {
            let most = own.get(number).copied().unwrap_or(0);
            if *size <= most {
                continue;
            }
            let (severity, question) = match releases().checks_queue_size(self.sides.span) {
                Known::Yes => (Severity::Break, None),
                Known::No => (Severity::Info, None),
                Known::Perhaps => {
                    (Severity::Risk, Some("is the destination a QEMU newer than 10.0, which compares them?".to_owned()))
                }
            };
            let texts = (format!("{size} entries"), format!("at most {most}"));
            self.below(&format!("queue[{number}]"), |shapes| {
                shapes.add(severity, StreamRule::QueueSize, texts, question);
            });
        }
    }
}

/// Whether a field says how others are to be read.
fn is_version(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    last == "version" || last.ends_with("version_id")
}

/// Whether values of a codec always have the same number of octets.
fn is_plain(type_name: &str) -> bool {
    type_name.starts_with("int")
        || type_name.starts_with("uint")
        || matches!(type_name, "bool" | "timer" | "float64" | "cpu_double_u" | "struct" | "unused_buffer")
}

/// Whether a field holds as many elements as the device has at the moment.
fn is_list(type_name: &str) -> bool {
    matches!(type_name, "qtailq" | "qlist" | "gtree" | "scsi-requests" | "virtio-gpu")
}

/// Whether it stands for an element of an array of pointers that is missing.
fn is_absent(entry: &Entry) -> bool {
    matches!(entry.type_name.as_str(), "nullptr" | "ptr-marker")
        && matches!(&entry.content, Content::Octets(octets) if **octets == *b"0")
}

fn described(entry: &Entry) -> String {
    let one = match &entry.content {
        Content::Nodes(nodes) => format!("struct {}", nodes.first().map_or("", |node| node.name.as_str())),
        Content::Octets(_) => format!("{} of {} octets", entry.type_name, entry.size),
    };
    if entry.count == 1 { one } else { format!("{} × {one}", entry.count) }
}
