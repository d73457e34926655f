//! Decodes the body of a section with the help of its description.
//!
//! A field of the description tells its codec and the octets of one element, so the body is cut into exactly as many
//! octets as each entry has; a structure must use up its own. Where the sums disagree, the entry is one of the known
//! defects (`docs/spec/vmdesc.md` section A5): counts of pointer arrays are repaired (defects 3 and 4), and what cannot
//! be repaired is shown as octets with a warning that says where.

use vmferry_wire::description::{Contents, Field, TYPE_NULLPTR, Vmsd};
use vmferry_wire::section::SUBSECTION;

use crate::budget::{Budget, OverBudget};
use crate::collected::Collected;
use crate::limits::{VALUE_COUNT_LIMIT, WARNING_COUNT_LIMIT};
use crate::pointer_runs::repair_counts;
use crate::value::{Hex, Object, ScalarArray, ScalarCodec, Value};

/// Octet of a NULL element in an array of pointers.
const NULL_MARKER: u8 = 0x30;

/// Octet before an element of an array whose elements are all marked, since QEMU 11.
const PRESENT_MARKER: u8 = 0x31;

/// Codec of both markers, since QEMU 11.
pub(crate) const TYPE_PTR_MARKER: &str = "ptr-marker";

/// Codec of a counted string.
pub(crate) const TYPE_CAPABILITY: &str = "capability";

/// Name of the field that holds octets which could not be decoded.
pub(crate) const OCTETS_FIELD: &str = "data";

/// Something odd in a body: its offset in the body, the path of the field, and what it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Oddity {
    pub(crate) offset: u64,
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Why a description could not be followed.
enum Stop {
    /// The octets and the description disagree, here.
    Mismatch {
        offset: usize,
        path: String,
        text: String,
    },
    /// The description does not say what follows; everything before is sound.
    Undescribed {
        offset: usize,
        path: String,
    },
    OverBudget,
}

impl From<OverBudget> for Stop {
    fn from(_: OverBudget) -> Stop {
        Stop::OverBudget
    }
}

/// Decodes `body`, all of it.
pub(crate) fn decode(vmsd: &Vmsd, body: &[u8], budget: &mut Budget) -> (Object, Vec<Oddity>) {
    let mut decoder = Decoder { body, budget, path: Vec::new(), oddities: Vec::new() };
    let mut object = Object::default();
    if let Err(stop) = decoder.vmsd(vmsd, 0..body.len(), &mut object) {
        match &stop {
            Stop::Undescribed { offset, .. } => {
                let rest = body.get(*offset..).unwrap_or_default();
                object.fields.push((OCTETS_FIELD.to_owned(), Value::Octets(rest.into())));
            }
            Stop::Mismatch { .. } | Stop::OverBudget => object = undecoded(body),
        }
        decoder.path.clear();
        decoder.note_stop(stop);
    }
    (object, decoder.oddities)
}

/// The state of a section that cannot be decoded: its octets.
pub(crate) fn undecoded(body: &[u8]) -> Object {
    Object { fields: vec![(OCTETS_FIELD.to_owned(), Value::Octets(body.into()))], subsections: Vec::new() }
}

type Range = std::ops::Range<usize>;

/// Walks one body. Every step takes from the budget, so that no description makes it long.
struct Decoder<'a> {
    body: &'a [u8],
    budget: &'a mut Budget,
    path: Vec<&'a str>,
    oddities: Vec<Oddity>,
}

impl<'a> Decoder<'a> {
    fn octets(&self, range: Range) -> &'a [u8] {
        self.body.get(range).unwrap_or_default()
    }

    fn note(&mut self, offset: usize, path: String, text: String) {
        if self.oddities.len() < WARNING_COUNT_LIMIT {
            let offset = u64::try_from(offset).unwrap_or(u64::MAX);
            self.oddities.push(Oddity { offset, path, text });
        }
    }

    fn note_stop(&mut self, stop: Stop) {
        match stop {
            Stop::Mismatch { offset, path, text } => self.note(offset, path, text),
            Stop::Undescribed { offset, path } => {
                let text = "the description does not say what the elements are; the rest is shown as octets".to_owned();
                self.note(offset, path, text);
            }
            Stop::OverBudget => {
                // Said even where the number of oddities is at its limit: it explains what is missing.
                let text = format!("more than {VALUE_COUNT_LIMIT} values in the stream; shown as octets");
                self.oddities.push(Oddity { offset: 0, path: String::new(), text });
            }
        }
    }

    fn mismatch<T>(&self, offset: usize, text: String) -> Result<T, Stop> {
        Err(Stop::Mismatch { offset, path: self.path.join("."), text })
    }

    /// Decodes a description that takes exactly `range`, with repaired counts if those that are told do not fit.
    fn vmsd(&mut self, vmsd: &'a Vmsd, range: Range, object: &mut Object) -> Result<(), Stop> {
        let (depth, start) = (self.path.len(), range.start);
        let told = self.vmsd_with_counts(vmsd, None, range.clone(), object);
        let Err(Stop::Mismatch { .. }) = told else { return told };
        self.budget.take_values(count(vmsd.fields.len()))?;
        let Some(counts) = repair_counts(&vmsd.fields) else { return told };
        self.path.truncate(depth);
        *object = Object::default();
        match self.vmsd_with_counts(vmsd, Some(&counts), range, object) {
            Err(Stop::Mismatch { .. }) => told,
            repaired => {
                let text = "known defects 3 and 4 of descriptions: counts of an array of pointers are wrong; repaired";
                let path = self.path.get(..depth).unwrap_or_default().join(".");
                self.note(start, path, text.to_owned());
                repaired
            }
        }
    }

    fn vmsd_with_counts(
        &mut self,
        vmsd: &'a Vmsd,
        counts: Option<&[Option<u64>]>,
        range: Range,
        object: &mut Object,
    ) -> Result<(), Stop> {
        let mut at = range.start;
        let mut values = Collected::default();
        for (i, field) in vmsd.fields.iter().enumerate() {
            self.path.push(&field.name);
            let array_len = counts.map_or(field.array_len, |counts| counts.get(i).copied().flatten());
            match self.field(field, array_len, at..range.end, &mut values) {
                Ok(next) => at = next,
                Err(stop) => {
                    object.fields = values.into_entries();
                    return Err(stop);
                }
            }
            self.path.pop();
        }
        object.fields = values.into_entries();
        for subsection in &vmsd.subsections {
            self.path.push(&subsection.name);
            at = self.subsection(subsection, at..range.end, &mut object.subsections)?;
            self.path.pop();
        }
        if at != range.end {
            let told = at.saturating_sub(range.start);
            return self.mismatch(at, format!("the description accounts for {told} of {} octets", range.len()));
        }
        Ok(())
    }

    /// Decodes a field at the start of `range`; returns where it ends.
    fn field(
        &mut self,
        field: &'a Field,
        array_len: Option<u64>,
        range: Range,
        values: &mut Collected<'a>,
    ) -> Result<usize, Stop> {
        self.budget.take_values(1)?;
        if field.type_name == TYPE_CAPABILITY {
            return self.capabilities(field, array_len, range, values);
        }
        let elements = array_len.unwrap_or(1);
        let wanted = field.size.checked_mul(elements).and_then(|octets| usize::try_from(octets).ok());
        let Some(wanted) = wanted.filter(|wanted| *wanted <= range.len()) else {
            let text = format!("{elements} × {} octets are described, {} are left", field.size, range.len());
            return self.mismatch(range.start, text);
        };
        let end = range.start.saturating_add(wanted);
        self.note_defects(field, range.start);
        let is_element = array_len.is_some() || field.index.is_some();
        if let Some(codec) = ScalarCodec::of_type(&field.type_name, field.size) {
            let octets = self.octets(range.start..end);
            let value = match array_len {
                Some(_) => Value::Scalars(ScalarArray::new(codec, octets)),
                None => Value::scalar(codec, octets),
            };
            values.push(&field.name, value, is_element, self.budget)?;
            return Ok(end);
        }
        // No element of a real description is empty but a buffer of no octets, which is no array.
        let mut at = range.start;
        let size = wanted.checked_div(usize::try_from(elements).unwrap_or(usize::MAX)).unwrap_or(0);
        for _ in 0..elements {
            self.budget.take_values(1)?;
            let next = at.saturating_add(size);
            if let Some(value) = self.element(field, at..next)? {
                values.push(&field.name, value, is_element, self.budget)?;
            }
            at = next;
        }
        Ok(end)
    }

    /// Says which known defects an entry has that are worked around without changing what is read.
    fn note_defects(&mut self, field: &Field, at: usize) {
        if field.type_name == TYPE_NULLPTR && field.name.ends_with("[-1]") {
            let text =
                "known defect 5 of descriptions: NULL elements are called by a rank of -1; shown under that name";
            self.note(at, self.path.join("."), text.to_owned());
        }
        let is_null = self.octets(at..at.saturating_add(1)) == [NULL_MARKER];
        if matches!(field.contents, Contents::EmptyStruct) && field.size == 1 && is_null {
            let text = "known defect 6 of descriptions: an array of pointers is described by its first, which is NULL";
            self.note(at, self.path.join("."), text.to_owned());
        }
    }

    /// Decodes one element that is not a scalar. A marker that an element follows is no value.
    fn element(&mut self, field: &'a Field, range: Range) -> Result<Option<Value>, Stop> {
        let octets = self.octets(range.clone());
        let is_marker = field.type_name == TYPE_NULLPTR || field.type_name == TYPE_PTR_MARKER;
        match &field.contents {
            Contents::Struct(vmsd) => {
                let depth = self.path.len();
                let mut object = Object::default();
                match self.vmsd(vmsd, range, &mut object) {
                    Ok(()) => Ok(Some(Value::Object(object))),
                    Err(Stop::OverBudget) => Err(Stop::OverBudget),
                    // The structure's own size is what was written, so what follows it is sound.
                    Err(stop) => {
                        self.path.truncate(depth);
                        self.note_stop(stop);
                        Ok(Some(Value::Octets(octets.into())))
                    }
                }
            }
            Contents::EmptyStruct if octets == [NULL_MARKER] => Ok(Some(Value::Null)),
            Contents::EmptyStruct => Err(Stop::Undescribed { offset: range.start, path: self.path.join(".") }),
            Contents::Plain if is_marker => match octets {
                [NULL_MARKER] => Ok(Some(Value::Null)),
                [PRESENT_MARKER] if field.type_name == TYPE_PTR_MARKER => Ok(None),
                _ => {
                    let text = format!("a marker for NULL is 0x{}, only 0x30 is accepted", Hex(octets));
                    self.mismatch(range.start, text)
                }
            },
            Contents::Plain | Contents::Flat(_) => Ok(Some(Value::Octets(octets.into()))),
        }
    }

    /// Names of capabilities tell their own lengths; the described size is the first one's (defect 1).
    fn capabilities(
        &mut self,
        field: &'a Field,
        array_len: Option<u64>,
        range: Range,
        values: &mut Collected<'a>,
    ) -> Result<usize, Stop> {
        let mut at = range.start;
        for _ in 0..array_len.unwrap_or(1) {
            self.budget.take_values(1)?;
            let text = self
                .octets(at..range.end)
                .split_first()
                .and_then(|(length, rest)| std::str::from_utf8(rest.get(..usize::from(*length))?).ok());
            let Some(text) = text else {
                return self.mismatch(at, "the name of a capability passes the end of the section".to_owned());
            };
            at = at.saturating_add(text.len()).saturating_add(1);
            let is_element = array_len.is_some() || field.index.is_some();
            values.push(&field.name, Value::Text(text.to_owned()), is_element, self.budget)?;
        }
        let told = field.encoded_bytes().and_then(|told| usize::try_from(told).ok());
        if told != Some(at.saturating_sub(range.start)) {
            let text = "known defect 1 of descriptions: names of different lengths are described as the first; their own are used";
            self.note(range.start, self.path.join("."), text.to_owned());
        }
        Ok(at)
    }

    /// Decodes a subsection at the start of `range`; returns where it ends.
    fn subsection(&mut self, vmsd: &'a Vmsd, range: Range, sent: &mut Vec<(String, Object)>) -> Result<usize, Stop> {
        let told = self.described_bytes(vmsd)?;
        let head = self.octets(range.clone()).split_at_checked(vmsd.name.len().saturating_add(6));
        let is_head = |head: &[u8]| match head {
            [SUBSECTION, length, rest @ ..] => {
                usize::from(*length) == vmsd.name.len() && rest.starts_with(vmsd.name.as_bytes())
            }
            _ => false,
        };
        let Some((head, body)) = head.filter(|(head, _)| is_head(head)) else {
            return self.mismatch(range.start, "the described subsection is not here".to_owned());
        };
        let Some(size) = told.and_then(|told| usize::try_from(told).ok()).filter(|size| *size <= body.len()) else {
            let text = format!("the description passes the {} octets that are left", body.len());
            return self.mismatch(range.start, text);
        };
        let start = range.start.saturating_add(head.len());
        let end = start.saturating_add(size);
        let depth = self.path.len();
        let mut object = Object::default();
        match self.vmsd(vmsd, start..end, &mut object) {
            Ok(()) => {}
            Err(Stop::OverBudget) => return Err(Stop::OverBudget),
            Err(stop) => {
                self.path.truncate(depth);
                self.note_stop(stop);
                object = undecoded(self.octets(start..end));
            }
        }
        sent.push((vmsd.name.clone(), object));
        Ok(end)
    }

    /// [`Vmsd::encoded_bytes`], charged to the budget: it walks a whole list for what may be a short run of octets.
    fn described_bytes(&mut self, vmsd: &Vmsd) -> Result<Option<u64>, Stop> {
        fn entries(vmsd: &Vmsd) -> u64 {
            vmsd.subsections.iter().map(entries).fold(count(vmsd.fields.len()), u64::saturating_add).saturating_add(1)
        }
        self.budget.take_values(entries(vmsd))?;
        Ok(vmsd.encoded_bytes())
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pointer_runs::repaired_bytes;

    fn field(name: &str, type_name: &str, size: u64) -> Field {
        Field::scalar(name, type_name, size)
    }

    fn array(array_len: u64, field: Field) -> Field {
        Field { array_len: Some(array_len), ..field }
    }

    fn vmsd(name: &str, fields: Vec<Field>) -> Vmsd {
        Vmsd { name: name.into(), version: 1, fields, subsections: Vec::new() }
    }

    fn structure(name: &str, size: u64) -> Field {
        let inner = vmsd("i", vec![field("v", "int32", 4)]);
        Field { contents: Contents::Struct(Box::new(inner)), ..field(name, "struct", size) }
    }

    fn json(vmsd: &Vmsd, body: &[u8]) -> (String, Vec<Oddity>) {
        let (object, oddities) = decode(vmsd, body, &mut Budget::new());
        (serde_json::to_string(&object).unwrap(), oddities)
    }

    #[test]
    fn fields_are_shown_by_their_codecs() {
        let vmsd = vmsd(
            "d",
            vec![
                field("flag", "bool", 1),
                field("small", "int16", 2),
                array(2, field("regs", "uint8", 1)),
                field("when", "timer", 8),
                field("none", "buffer", 0),
                array(2, field("keys", "capability", 3)),
            ],
        );
        let body = b"\x01\xff\xfe\x05\x06\0\0\0\0\0\0\0\x2a\x02ab\x03cde";
        let expected =
            r#"{"flag":true,"small":-2,"regs":[5,6],"when":"000000000000002a","none":"","keys":["ab","cde"]}"#;
        let (text, oddities) = json(&vmsd, body);
        assert_eq!((text.as_str(), defects(&oddities)), (expected, vec![(13, "keys", "defect 1")]));
        let equal = json(&vmsd, b"\x01\xff\xfe\x05\x06\0\0\0\0\0\0\0\x2a\x02ab\x02cd");
        assert_eq!(equal.1, [], "names of one length are described rightly");
    }

    /// Place, path and number of each known defect.
    fn defects(oddities: &[Oddity]) -> Vec<(u64, &str, &str)> {
        let number = |text: &str| {
            ["defect 1", "defects 3 and 4", "defect 5", "defect 6"].into_iter().find(|number| text.contains(number))
        };
        let known = oddities.iter().filter_map(|oddity| {
            let Oddity { offset, path, text } = oddity;
            Some((*offset, path.as_str(), number(text)?))
        });
        known.collect()
    }

    #[test]
    fn equal_names_become_a_list_and_subsections_have_their_key() {
        let mut device = vmsd("d", vec![Field { index: Some(0), ..structure("s", 4) }, structure("s", 4)]);
        device.subsections.push(vmsd("d/x", vec![field("y", "uint8", 1)]));
        let body = b"\0\0\0\x01\xff\xff\xff\xff\x05\x03d/x\0\0\0\x01\x07";
        let expected = r#"{"s":[{"v":1},{"v":-1}],"subsections":{"d/x":{"y":7}}}"#;
        assert_eq!(json(&device, body), (expected.to_owned(), Vec::new()));
    }

    #[test]
    fn a_first_run_with_the_count_of_the_whole_array_is_repaired() {
        // docs/spec/vmdesc.md section A5, defect 3: v N v N N v.
        let null = || field("ar", "nullptr", 1);
        let device = vmsd(
            "d",
            vec![
                array(6, structure("ar", 4)),
                null(),
                structure("ar", 4),
                array(2, null()),
                structure("ar", 4),
                field("after", "uint8", 1),
            ],
        );
        let body = b"\0\0\0\x01\x30\0\0\0\x02\x30\x30\0\0\0\x03\x09";
        assert_eq!(repaired_bytes(&device), Some(16));
        let expected = r#"{"ar":[{"v":1},null,{"v":2},null,null,{"v":3}],"after":9}"#;
        let (text, oddities) = json(&device, body);
        assert_eq!((text.as_str(), defects(&oddities)), (expected, vec![(0, "", "defects 3 and 4")]));
    }

    #[test]
    fn null_entries_one_by_one_are_repaired() {
        // Defect 4: one entry for each NULL, with a count above 1 except for the last of the array.
        let null = |n| array(n, field("ar", "nullptr", 1));
        let device = vmsd("d", vec![null(3), null(2), field("ar", "nullptr", 1)]);
        assert_eq!(repaired_bytes(&device), Some(3));
        let (text, oddities) = json(&device, b"000");
        assert_eq!(text, r#"{"ar":[null,null,null]}"#);
        assert_eq!(defects(&oddities), [(0, "", "defects 3 and 4")]);
        let indexed = Field { index: Some(1), ..structure("ar", 4) };
        let device = vmsd("d", vec![null(3), indexed, field("ar", "nullptr", 1)]);
        assert_eq!(json(&device, b"0\0\0\0\x05\x30").0, r#"{"ar":[null,{"v":5},null]}"#);
    }

    #[test]
    fn what_the_description_does_not_tell_is_shown_as_octets_from_there_on() {
        let css = array(3, Field { contents: Contents::EmptyStruct, ..field("css", "struct", 1) });
        let device = vmsd("d", vec![field("a", "uint8", 1), css]);
        let (text, oddities) = json(&device, b"\x01000");
        assert_eq!(text, r#"{"a":1,"css":[null,null,null]}"#);
        assert_eq!(defects(&oddities), [(1, "css", "defect 6")]);
        let (text, oddities) = json(&device, b"\x010\x99\x98\x970");
        assert_eq!(text, r#"{"a":1,"css":[null],"data":"99989730"}"#);
        assert_eq!((oddities[1].offset, oddities[1].path.as_str()), (2, "css"));
    }

    #[test]
    fn a_null_element_with_a_rank_of_minus_one_is_shown_under_that_name() {
        let null = field("ar[-1]", "nullptr", 1);
        let device = vmsd("d", vec![null, structure("ar[1]", 4)]);
        let (text, oddities) = json(&device, b"0\0\0\0\x01");
        assert_eq!(text, r#"{"ar[-1]":null,"ar[1]":{"v":1}}"#);
        assert_eq!(defects(&oddities), [(0, "ar[-1]", "defect 5")]);
    }

    #[test]
    fn a_structure_that_does_not_fit_is_shown_as_octets_and_the_rest_decoded() {
        let device = vmsd("d", vec![structure("s", 5), field("after", "uint8", 1)]);
        let (text, oddities) = json(&device, b"\0\0\0\x01\x02\x07");
        assert_eq!(text, r#"{"s":"0000000102","after":7}"#);
        assert_eq!((oddities[0].offset, oddities[0].path.as_str()), (4, "s"));
    }

    #[test]
    fn a_body_of_another_length_is_shown_as_octets() {
        let device = vmsd("d", vec![field("a", "uint16", 2)]);
        for body in [&b"\x01"[..], b"\x01\x02\x03"] {
            let (text, oddities) = json(&device, body);
            assert_eq!(text, format!(r#"{{"data":"{}"}}"#, Hex(body)));
            assert_eq!(oddities.len(), 1);
        }
    }

    #[test]
    fn counts_without_octets_are_bounded() {
        let device = vmsd("d", vec![array(u64::MAX, structure("s", 0)), array(u64::MAX, field("b", "buffer", 0))]);
        let (text, oddities) = json(&device, b"");
        assert_eq!(text, r#"{"data":""}"#);
        assert!(oddities.last().unwrap().text.contains("values"));
    }

    #[test]
    fn nested_mismatches_do_not_multiply() {
        // Each level fails after its inner one, so that each pass over a level could start two over the next.
        let mut inner = vmsd("leaf", vec![field("x", "uint8", 1)]);
        for _ in 0..30 {
            let null = || array(2, field("n", "nullptr", 1));
            let contents = Contents::Struct(Box::new(inner));
            inner = vmsd("level", vec![Field { contents, ..field("s", "struct", 1) }, null(), null()]);
        }
        let (_, oddities) = json(&inner, b"\x01\x02");
        assert!(!oddities.is_empty());
    }
}
