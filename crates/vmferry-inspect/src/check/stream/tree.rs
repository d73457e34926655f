//! The body of a section cut by its description, with codecs and places: what a comparison with another body needs.
//!
//! `analyze` decodes for people and mends what descriptions are known to get wrong. Here a body is taken apart only if
//! its description fits exactly; otherwise nothing is concluded from it.

use vmferry_wire::description::{Contents, Field, Vmsd};
use vmferry_wire::section::SUBSECTION;

use crate::budget::Budget;

/// An image and its subsections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// Name of the description.
    pub(super) name: String,
    /// Version; on the wire for sections and subsections only.
    pub(super) version: u32,
    pub(super) entries: Vec<Entry>,
    pub(super) subsections: Vec<Node>,
}

/// A field of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Codec.
    pub(super) type_name: String,
    /// Octets of one element.
    pub(super) size: u64,
    /// Number of elements; 1 if it is no array.
    pub(super) count: u64,
    /// Whether it is one element of an array, each of which has an entry.
    pub(super) is_element: bool,
    pub(super) content: Content,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// Octets of a codec.
    Octets(Box<[u8]>),
    /// Images, one an element.
    Nodes(Vec<Node>),
}

impl Entry {
    /// Octets in the stream.
    pub(super) fn octets(&self) -> u64 {
        self.size.saturating_mul(self.count)
    }

    /// The value, if it is one integer or bool.
    pub(super) fn integer(&self) -> Option<u64> {
        let Content::Octets(octets) = &self.content else { return None };
        (self.count == 1 && matches!(octets.len(), 1 | 2 | 4 | 8))
            .then(|| octets.iter().fold(0, |word, octet| word << 8 | u64::from(*octet)))
    }
}

/// Takes a body apart; `None` if the description does not fit it, or the budget is used up.
pub(super) fn cut(vmsd: &Vmsd, body: &[u8], budget: &mut Budget) -> Option<Node> {
    let mut rest = body;
    let node = node(vmsd, &mut rest, budget)?;
    rest.is_empty().then_some(node)
}

fn node(vmsd: &Vmsd, rest: &mut &[u8], budget: &mut Budget) -> Option<Node> {
    budget.take_values(1).ok()?;
    let entries = vmsd.fields.iter().map(|field| entry(field, rest, budget)).collect::<Option<_>>()?;
    let subsections = vmsd.subsections.iter().map(|vmsd| subsection(vmsd, rest, budget)).collect::<Option<_>>()?;
    Some(Node { name: vmsd.name.clone(), version: vmsd.version, entries, subsections })
}

fn entry(field: &Field, rest: &mut &[u8], budget: &mut Budget) -> Option<Entry> {
    budget.take_values(1).ok()?;
    let count = field.array_len.unwrap_or(1);
    let content = match &field.contents {
        Contents::Struct(vmsd) => {
            let mut nodes = Vec::new();
            for _ in 0..count {
                let mut element = take(rest, field.size)?;
                nodes.push(node(vmsd, &mut element, budget)?);
                if !element.is_empty() {
                    return None;
                }
            }
            Content::Nodes(nodes)
        }
        Contents::Plain | Contents::EmptyStruct | Contents::Flat(_) => {
            Content::Octets(take(rest, field.encoded_bytes()?)?.into())
        }
    };
    Some(Entry {
        name: field.name.clone(),
        type_name: field.type_name.clone(),
        size: field.size,
        count,
        is_element: field.index.is_some(),
        content,
    })
}

fn subsection(vmsd: &Vmsd, rest: &mut &[u8], budget: &mut Budget) -> Option<Node> {
    let header = take(rest, 2)?;
    let name = take(rest, u64::try_from(vmsd.name.len()).ok()?)?;
    let version = take(rest, 4)?;
    let is_told = header == [SUBSECTION, u8::try_from(vmsd.name.len()).ok()?]
        && name == vmsd.name.as_bytes()
        && version == vmsd.version.to_be_bytes();
    if is_told { node(vmsd, rest, budget) } else { None }
}

fn take<'b>(rest: &mut &'b [u8], octets: u64) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(usize::try_from(octets).ok()?)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Vmsd {
        let counter = Field::scalar("counter", "uint16", 2);
        let fifo = Vmsd { name: "dev/fifo".to_owned(), version: 3, fields: vec![counter.clone()], subsections: vec![] };
        let mut pair = Field::scalar("pair", "struct", 2);
        pair.array_len = Some(2);
        pair.contents = Contents::Struct(Box::new(Vmsd {
            name: "one".to_owned(),
            version: 1,
            fields: vec![counter],
            subsections: vec![],
        }));
        Vmsd { name: "dev".to_owned(), version: 1, fields: vec![pair], subsections: vec![fifo] }
    }

    fn body() -> Vec<u8> {
        let mut body = vec![0, 1, 0, 2, 0x05, 8];
        body.extend_from_slice(b"dev/fifo");
        body.extend_from_slice(&[0, 0, 0, 3, 0xff, 0xfe]);
        body
    }

    #[test]
    fn elements_and_subsections_are_cut_by_the_description() {
        let node = cut(&device(), &body(), &mut Budget::new()).unwrap();
        let Content::Nodes(pairs) = &node.entries[0].content else { panic!("no images") };
        assert_eq!(pairs.iter().map(|pair| pair.entries[0].integer()).collect::<Vec<_>>(), [Some(1), Some(2)]);
        assert_eq!(node.subsections[0].entries[0].integer(), Some(0xfffe));
    }

    #[test]
    fn a_body_that_the_description_does_not_fit_is_not_taken_apart() {
        let whole = body();
        for len in 0..whole.len() {
            assert_eq!(cut(&device(), &whole[..len], &mut Budget::new()), None, "{len}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert_eq!(cut(&device(), &longer, &mut Budget::new()), None);
        let mut renamed = whole;
        renamed[6] = b'x';
        assert_eq!(cut(&device(), &renamed, &mut Budget::new()), None);
    }
}
