//! Counts of pointer arrays in descriptions, as they must have been meant.
//!
//! QEMU describes an array of pointers by its runs of NULL and other elements. `docs/spec/vmdesc.md` section A5 lists
//! how the counts of the runs are wrong: a first run of elements has the length of the whole array (defect 3), and NULL
//! elements described one by one have counts above 1 (defect 4).

use vmferry_wire::description::{Field, TYPE_NULLPTR, Vmsd};

/// Octets of `vmsd` in the stream once its counts of pointer arrays are repaired, if that changes any.
pub(crate) fn repaired_bytes(vmsd: &Vmsd) -> Option<u64> {
    let counts = repair_counts(&vmsd.fields)?;
    let fields = vmsd
        .fields
        .iter()
        .zip(counts)
        .try_fold(0_u64, |sum, (field, count)| sum.checked_add(field.size.checked_mul(count.unwrap_or(1))?))?;
    let told = vmsd.fields.iter().try_fold(0_u64, |sum, field| sum.checked_add(field.encoded_bytes()?))?;
    vmsd.encoded_bytes()?.checked_sub(told)?.checked_add(fields)
}

/// `array_len` of each field as it must have been meant, if that differs for any (defects 3 and 4): in the entries of
/// one array of pointers, two NULL entries in a row, or elements described one by one, mean that each NULL entry stands
/// for one element; else a first entry of elements has the length of the whole array instead of its own.
pub(crate) fn repair_counts(fields: &[Field]) -> Option<Vec<Option<u64>>> {
    let is_null = |field: &Field| field.type_name == TYPE_NULLPTR;
    let mut counts = Vec::with_capacity(fields.len());
    let mut is_changed = false;
    for group in fields.chunk_by(|a, b| a.name == b.name) {
        let at = counts.len();
        counts.extend(group.iter().map(|field| field.array_len));
        let Some((first, others)) = group.split_first() else { continue };
        if others.is_empty() || !group.iter().any(is_null) {
            continue;
        }
        let is_one_by_one =
            group.iter().any(|field| field.index.is_some()) || group.windows(2).any(|pair| pair.iter().all(is_null));
        let places = counts.get_mut(at..).unwrap_or_default();
        if is_one_by_one {
            for (place, field) in places.iter_mut().zip(group) {
                if is_null(field) && place.is_some() {
                    *place = None;
                    is_changed = true;
                }
            }
        } else if !is_null(first)
            && let Some(whole) = first.array_len
            && let Some(own) = others
                .iter()
                .try_fold(whole, |left, field| left.checked_sub(field.array_len.unwrap_or(1)))
                .filter(|own| *own > 0)
            && let Some(place) = places.first_mut()
        {
            *place = Some(own);
            is_changed = true;
        }
    }
    is_changed.then_some(counts)
}
