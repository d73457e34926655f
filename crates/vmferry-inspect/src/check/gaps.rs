//! Fields without a partner of their name: renamed, regrouped, reshaped, filled, moved, or added and removed.
//!
//! | the two runs of a gap | so |
//! |---|---|
//! | the same forms in the same order | renamed |
//! | the same fields once nested images are taken apart | regrouped |
//! | equal octets, filler on one side | filled |
//! | equal octets, cut otherwise | reshaped |
//! | anything else | unmatched; of equal name elsewhere: moved |

use super::align::Piece;
use super::codecs::{Reading, is_octets, reading};
use super::compare::{At, Link, Place, same_octets};
use super::finding::Severity;
use super::layout::{Openness, Present};
use super::rules::Rule;
use super::schema::Description;

/// What found no partner in one list of fields.
pub(super) struct Leftover<'s, 'l> {
    writer: At<'s>,
    reader: At<'s>,
    written: &'l [Present<'s>],
    read: &'l [Present<'s>],
    /// Sent, and not expected.
    unread: Vec<Present<'s>>,
    /// Expected, and not sent.
    unwritten: Vec<Present<'s>>,
}

impl<'s, 'l> Leftover<'s, 'l> {
    pub(super) fn new(writer: At<'s>, reader: At<'s>, written: &'l [Present<'s>], read: &'l [Present<'s>]) -> Self {
        Self { writer, reader, written, read, unread: Vec::new(), unwritten: Vec::new() }
    }

    /// Whether a field's partner may be elsewhere.
    fn is_elsewhere(&self, writer: &Present<'_>, reader: &Present<'_>) -> bool {
        // Filler has no name.
        let named = |all: &[Present<'_>], field: &Present<'_>| {
            !field.field.is_filler() && all.iter().any(|other| other.name == field.name)
        };
        named(self.read, writer) || named(self.written, reader)
    }
}

/// Compares what stands at the same place on both sides and has no common name.
pub(super) fn gap<'s>(
    link: &mut Link<'s, '_>,
    place: &Place<'s>,
    written: &[Present<'s>],
    read: &[Present<'s>],
    leftover: &mut Leftover<'s, '_>,
) {
    let fit = |(w, r): (&Present<'s>, &Present<'s>)| is_same_form(w, r) && !leftover.is_elsewhere(w, r);
    if written.len() == read.len() && written.iter().zip(read).all(fit) {
        for (w, r) in written.iter().zip(read) {
            renamed(link, place, w, r);
            link.pair(place, w, r);
        }
        return;
    }
    let (flat_written, written_owners) = link.writer.flattened(written);
    let (flat_read, read_owners) = link.reader.flattened(read);
    owners(link, place, &written_owners, &read_owners);
    let renames = link.renames;
    let same = |i: usize, j: usize| match (flat_written.get(i), flat_read.get(j)) {
        (Some(w), Some(r)) => {
            let name = |field: &Present<'s>| renames.field(&place.scopes, &field.field.name).to_owned();
            !w.field.is_filler() && !r.field.is_filler() && name(w) == name(r)
        }
        _ => false,
    };
    let pieces = link.align(flat_written.len(), flat_read.len(), same);
    let is_regrouped = pieces.iter().any(|piece| matches!(piece, Piece::Pair(..)));
    if is_regrouped {
        let names = |run: &[Present<'_>]| run.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ");
        let place = place.below(first_name(link, written, read));
        link.report(&place, Rule::FieldRegrouped, Severity::Info, (names(written), names(read)), None);
    }
    for piece in pieces {
        match piece {
            Piece::Pair(i, j) => {
                if let (Some(w), Some(r)) = (flat_written.get(i), flat_read.get(j)) {
                    link.pair(place, w, r);
                }
            }
            Piece::Gap(i, j) => {
                let (w, r) = (flat_written.get(i).unwrap_or_default(), flat_read.get(j).unwrap_or_default());
                let is_moved = w.iter().any(|w| r.iter().any(|r| leftover.is_elsewhere(w, r)));
                if w.is_empty() || r.is_empty() || is_moved || !octets(link, place, w, r) {
                    leftover.unread.extend(w.iter().cloned());
                    leftover.unwritten.extend(r.iter().cloned());
                }
            }
        }
    }
}

/// What NEW calls the first field of a gap.
fn first_name<'f>(link: &Link<'_, '_>, written: &'f [Present<'_>], read: &'f [Present<'_>]) -> &'f str {
    let new = if link.is_forward() { read } else { written };
    new.first().map_or("", |field| field.name.as_str())
}

/// Whether two fields are the same on the wire, whatever they are called.
fn is_same_form(writer: &Present<'_>, reader: &Present<'_>) -> bool {
    let (w, r) = (writer.field, reader.field);
    if w.is_filler() || r.is_filler() || writer.conditions != reader.conditions || w.number() != r.number() {
        return false;
    }
    match (&w.description, &r.description) {
        (Some(written), Some(read)) => written.name == read.name && w.codec == r.codec,
        (None, None) => {
            w.size == r.size
                && w.is_pointer == r.is_pointer
                && reading(w.codec.as_deref(), r.codec.as_deref()) == Reading::Same
        }
        _ => false,
    }
}

fn renamed(link: &mut Link<'_, '_>, place: &Place<'_>, writer: &Present<'_>, reader: &Present<'_>) {
    let place = place.below(link.shown_name(writer, reader));
    let is_told = writer.field.codec.is_some() || writer.field.description.is_some();
    let (severity, question) = match is_told {
        true => (Severity::Info, None),
        // All that is known is that both have as many octets.
        false => {
            let (old, new) = if link.is_forward() { (writer, reader) } else { (reader, writer) };
            (Severity::Risk, Some(format!("are {} and {} different things?", old.name, new.name)))
        }
    };
    link.report(&place, Rule::FieldRenamed, severity, (writer.name.as_str(), reader.name.as_str()), question);
}

/// Compares the subsections of nested images that were taken apart.
fn owners<'s>(
    link: &mut Link<'s, '_>,
    place: &Place<'s>,
    written: &[(String, &'s Description)],
    read: &[(String, &'s Description)],
) {
    let mut left: Vec<&(String, &'s Description)> = read.iter().collect();
    for (name, owner) in written {
        let place = place.below(name);
        match left.iter().position(|(_, other)| other.name == owner.name) {
            Some(at) => {
                let (_, other) = left.remove(at);
                link.subsections(&place, owner, other);
            }
            None => {
                for sent in &owner.subsections {
                    let gate = link.writer.openness(&sent.gate);
                    link.unknown_subsection(&place.below(&sent.name), gate);
                }
            }
        }
    }
}

/// Compares runs of equal length by octets; `false` if they have other lengths, or lengths that are not known.
fn octets(link: &mut Link<'_, '_>, place: &Place<'_>, written: &[Present<'_>], read: &[Present<'_>]) -> bool {
    let total = |run: &[Present<'_>]| {
        run.iter().try_fold(0_u64, |sum, field| {
            sum.checked_add(field.octets_at_least().filter(|_| field.conditions.is_empty())?)
        })
    };
    match (total(written), total(read)) {
        (Some(w), Some(r)) if w == r && w > 0 => {}
        _ => return one_for_one(link, place, written, read),
    }
    let mut overlaps = Overlaps { written, read, at: (0, 0), done: (0, 0) };
    let (mut filled, mut zeros, mut others) = (Vec::new(), Vec::new(), false);
    let (mut names, mut last) = (Vec::new(), None);
    while let Some((w, r, (before_w, before_r))) = overlaps.next() {
        match (w.field.is_filler(), r.field.is_filler()) {
            (true, true) => {}
            (false, true) => filled.push(w.name.as_str()),
            (true, false) => zeros.push(r.name.as_str()),
            (false, false) if is_same_cut(w, r, before_w, before_r) => {
                if w.field.name != r.field.name && last != Some((&w.name, &r.name)) {
                    names.push((w, r));
                }
                last = Some((&w.name, &r.name));
            }
            (false, false) => others = true,
        }
    }
    filled.dedup();
    zeros.dedup();
    let described = |run: &[Present<'_>]| {
        run.iter().map(|field| format!("{} ({})", field.name, field.field.described())).collect::<Vec<_>>().join(", ")
    };
    let texts = || (described(written), described(read));
    let place_of = |name: &str| place.below(name);
    let first = first_name(link, written, read);
    if others {
        let (severity, question) = match read.iter().any(|field| field.field.codec.is_some()) {
            true => (Severity::Break, None),
            false => (Severity::Risk, Some("do the same octets mean different things?".to_owned())),
        };
        link.report(&place_of(first), Rule::FieldReshaped, severity, texts(), question);
        return true;
    }
    for name in filled {
        link.report(&place_of(name), Rule::FieldFilled, Severity::Info, ("sent", "skipped"), None);
    }
    for name in zeros {
        let question = Some("does the reader go wrong with zeros?".to_owned());
        link.report(&place_of(name), Rule::FieldFilled, Severity::Risk, ("zeros", "read"), question);
    }
    for (w, r) in names {
        renamed(link, place, w, r);
    }
    true
}

/// A field in the place of another one, where a dump does not tell how many elements there are.
fn one_for_one(link: &mut Link<'_, '_>, place: &Place<'_>, written: &[Present<'_>], read: &[Present<'_>]) -> bool {
    let ([w], [r]) = (written, read) else { return false };
    let (told, width) = match (w.octets(), r.octets()) {
        (Some(octets), None) => (octets, r.field.width()),
        (None, Some(octets)) => (octets, w.field.width()),
        _ => return false,
    };
    let Some(elements) = width.and_then(|width| told.checked_div(width).filter(|n| n.checked_mul(width) == Some(told)))
    else {
        return false;
    };
    if !w.conditions.is_empty() || !r.conditions.is_empty() {
        return false;
    }
    let rule = if w.field.is_filler() || r.field.is_filler() { Rule::FieldFilled } else { Rule::FieldReshaped };
    let place = place.below(link.shown_name(w, r));
    let texts = (format!("{} ({})", w.name, w.field.described()), format!("{} ({})", r.name, r.field.described()));
    let question = Some(format!("is the number of elements that one dump does not tell anything but {elements}?"));
    link.report(&place, rule, Severity::Risk, texts, question);
    true
}

/// Whether two fields of which octets overlap have the same elements at the same places.
fn is_same_cut(writer: &Present<'_>, reader: &Present<'_>, before_w: u64, before_r: u64) -> bool {
    let (w, r) = (writer.field, reader.field);
    if same_octets(w, r) && [w, r].iter().all(|f| f.codec.as_deref().is_some_and(is_octets)) {
        return true;
    }
    let (Some(w_width), Some(r_width)) = (w.width(), r.width()) else { return false };
    let aligned = |before: u64| before.checked_rem(w_width);
    w_width == r_width
        && aligned(before_w) == aligned(before_r)
        && reading(w.codec.as_deref(), r.codec.as_deref()) == Reading::Same
}

/// Walks two runs of equal octets: which field lies over which, and how far into each.
struct Overlaps<'s, 'l> {
    written: &'l [Present<'s>],
    read: &'l [Present<'s>],
    at: (usize, usize),
    done: (u64, u64),
}

impl<'s, 'l> Overlaps<'s, 'l> {
    fn next(&mut self) -> Option<(&'l Present<'s>, &'l Present<'s>, (u64, u64))> {
        loop {
            let (w, r) = (self.written.get(self.at.0)?, self.read.get(self.at.1)?);
            let left_w = w.octets_at_least()?.saturating_sub(self.done.0);
            let left_r = r.octets_at_least()?.saturating_sub(self.done.1);
            if left_w == 0 {
                (self.at.0, self.done.0) = (self.at.0.saturating_add(1), 0);
            } else if left_r == 0 {
                (self.at.1, self.done.1) = (self.at.1.saturating_add(1), 0);
            } else {
                let before = self.done;
                let step = left_w.min(left_r);
                self.done = (before.0.saturating_add(step), before.1.saturating_add(step));
                return Some((w, r, before));
            }
        }
    }
}

/// Reports what has no partner anywhere in the list.
pub(super) fn unmatched(link: &mut Link<'_, '_>, place: &Place<'_>, leftover: Leftover<'_, '_>) {
    let Leftover { writer, reader, written, read, unread, mut unwritten } = leftover;
    let place_in = |fields: &[Present<'_>], name: &str| match fields.iter().position(|field| field.name == name) {
        Some(at) => format!("field {} of {}", at.saturating_add(1), fields.len()),
        None => "inside another image".to_owned(),
    };
    for field in &unread {
        let partner =
            unwritten.iter().position(|other| other.field.name == field.field.name && !field.field.is_filler());
        if let Some(other) = partner.map(|at| unwritten.remove(at)) {
            let question = link.presence_question(field).or_else(|| link.presence_question(&other));
            let severity = if question.is_some() { Severity::Risk } else { Severity::Break };
            let place = place.below(&field.name);
            let texts = (place_in(written, &field.name), place_in(read, &other.name));
            link.report(&place, Rule::FieldMoved, severity, texts, question);
            continue;
        }
        alone(link, place, field, reader, writer, true);
    }
    for field in &unwritten {
        alone(link, place, field, writer, reader, false);
    }
}

/// Reports a field that one side has and the other has not.
fn alone(
    link: &mut Link<'_, '_>,
    place: &Place<'_>,
    field: &Present<'_>,
    without: At<'_>,
    with: At<'_>,
    is_sent: bool,
) {
    let place = place.below(&field.name);
    let is_new = is_sent != link.is_forward();
    let here = field.field.described();
    let hidden = without.description.fields.iter().find(|other| other.name == field.name && !other.is_filler());
    let other_side = if is_sent { link.reader } else { link.writer };
    let (rule, there) = match hidden.map(|other| (other_side.openness(&other.gate), other)) {
        Some((Openness::Closed(property), _)) => (Rule::PresenceChanged, format!("not there: {property} is off")),
        Some((_, other)) => (Rule::PresenceChanged, format!("from version {} on", other.since)),
        None if with.is_nested && field.field.since > without.version => {
            (Rule::NestedVersion, "no such field; the version is not on the wire".to_owned())
        }
        None if is_new => (Rule::FieldAdded, "no such field".to_owned()),
        None => (Rule::FieldRemoved, "no such field".to_owned()),
    };
    let question = link.presence_question(field);
    let severity = if question.is_some() { Severity::Risk } else { Severity::Break };
    let texts = if is_sent { (here, there) } else { (there, here) };
    link.report(&place, rule, severity, texts, question);
}
