//! Our description of a section against that of QEMU.
//!
//! Both are compared element by element, each array expanded, since QEMU's own way to put elements together changed and
//! has defects (`docs/spec/vmdesc.md` A5). What is not compared:
//!
//! | defect | here |
//! |---|---|
//! | 2: the last element without `index`, or none with it | the place of an element is its index; one that is given must be that |
//! | 7, 8: contents of lists, trees and pinned images in the field | left out on their side; ours has none |
//! | 8: contents of a temporary structure in the field | in place of it: ours are fields of the image |
//! | no defect: a codec that its release calls by another name | [`same_type`] has them |
//! | no defect: a field that older releases call by another name | [`RENAMED`] has them |

use vmferry_wire::description::{Contents, Field, Vmsd};

/// Fields that have several names in the releases: name of the state, name here, name there.
const RENAMED: [(&str, &str, &str); 4] = [
    ("hpet", "num_timers_save", "num_timers"),
    ("pckbd", "pending_tmp", "pending"),
    ("ps2kbd", "parent_obj", "common"),
    ("ps2mouse", "parent_obj", "common"),
];

/// Says where the descriptions differ.
pub(crate) fn compare(ours: &Vmsd, theirs: &Vmsd) -> Result<(), String> {
    if (&ours.name, ours.version) != (&theirs.name, theirs.version) {
        return Err(format!("{} {}, theirs {} {}", ours.name, ours.version, theirs.name, theirs.version));
    }
    let within = |what: String| format!("{}.{what}", theirs.name);
    let (mine, others) = (elements(ours).map_err(within)?, elements(theirs).map_err(within)?);
    let others: Vec<_> = others.into_iter().map(|field| with_name_of_here(&theirs.name, field)).collect();
    for (index, theirs) in others.iter().enumerate() {
        let Some(ours) = mine.get(index) else { return Err(within(format!("{} is missing", theirs.name))) };
        compare_elements(ours, theirs).map_err(within)?;
    }
    if let Some(more) = mine.get(others.len()) {
        return Err(within(format!("{} is not there", more.name)));
    }
    if ours.subsections.len() != theirs.subsections.len() {
        return Err(within(format!("{} subsections, theirs {}", ours.subsections.len(), theirs.subsections.len())));
    }
    ours.subsections
        .iter()
        .zip(&theirs.subsections)
        .try_for_each(|(ours, theirs)| compare(ours, theirs))
        .map_err(within)
}

fn compare_elements(ours: &Field, theirs: &Field) -> Result<(), String> {
    let key = |field: &Field| format!("{}: {} of {}", field.name, field.type_name, field.size);
    let is_same = ours.name == theirs.name && same_type(&ours.type_name, &theirs.type_name) && ours.size == theirs.size;
    if !is_same {
        return Err(format!("{}, theirs {}", key(ours), key(theirs)));
    }
    match (&ours.contents, &theirs.contents) {
        (Contents::Struct(ours), Contents::Struct(theirs)) => compare(ours, theirs),
        (Contents::Plain, Contents::Plain | Contents::Flat(_)) => Ok(()),
        _ => Err(format!("{} has other contents", ours.name)),
    }
}

fn with_name_of_here(state: &str, field: Field) -> Field {
    match RENAMED.iter().find(|(of, _, there)| (*of, *there) == (state, field.name.as_str())) {
        Some((_, here, _)) => Field { name: (*here).to_owned(), ..field },
        None => field,
    }
}

/// QEMU 11 calls the marker in place of an element otherwise; QEMU 5.2 and 7.2 compare the ports of AHCI as signed
/// ones.
fn same_type(ours: &str, theirs: &str) -> bool {
    ours == theirs || [("nullptr", "ptr-marker"), ("uint32 equal", "int32 equal")].contains(&(ours, theirs))
}

/// A field for each element, with arrays expanded and temporary structures dissolved.
fn elements(vmsd: &Vmsd) -> Result<Vec<Field>, String> {
    let mut all: Vec<Field> = Vec::new();
    for field in &vmsd.fields {
        match (&field.contents, field.type_name.as_str()) {
            (Contents::Flat(parts), "tmp") => {
                for part in parts {
                    all.extend(elements(part)?);
                }
            }
            _ => {
                let place = all.iter().rev().take_while(|other| other.name == field.name).count() as u64;
                if let Some(index) = field.index
                    && index != place
                {
                    return Err(format!("{}: index {index} at place {place}", field.name));
                }
                let element = Field { array_len: None, index: None, ..field.clone() };
                all.extend((0..field.array_len.unwrap_or(1)).map(|_| element.clone()));
            }
        }
    }
    Ok(all)
}
