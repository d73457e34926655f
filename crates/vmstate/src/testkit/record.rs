//! Where the parts of an image went: a sink that notes them beside the octets.

use std::ops::Range;

use super::Case;
use crate::image::VmState;
use crate::schema::{Field, Schema};
use crate::sink::Sink;

/// Where a field of the outermost image went.
pub(super) struct Span {
    pub(super) index: usize,
    pub(super) field: &'static Field,
    pub(super) octets: Range<usize>,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn encode_with_spans<I: VmState>(case: &Case<I>, image: &I) -> (Vec<u8>, Vec<Span>) {
    let recorded = record(case, image);
    let spans = recorded.fields.into_iter().map(|(index, field, octets)| {
        let bytes = recorded.octets.get(octets.clone()).unwrap_or_default().to_vec();
        Span { index, field, octets, bytes }
    });
    (recorded.octets.clone(), spans.collect())
}

/// A sink that records where fields and subsections of the outermost image go.
#[derive(Default)]
pub(super) struct Record {
    pub(super) octets: Vec<u8>,
    pub(super) fields: Vec<(usize, &'static Field, Range<usize>)>,
    pub(super) subsections: Vec<(&'static str, Range<usize>)>,
    depth: usize,
}

pub(super) fn record<I: VmState>(case: &Case<I>, image: &I) -> Record {
    let mut record = Record::default();
    image.encode(&case.props, &mut record).expect("a sample is encoded");
    record
}

impl Sink for Record {
    fn put(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    fn fields(&mut self, schema: &'static Schema, range: Range<usize>) {
        let mut at = self.octets.len();
        for index in range.filter(|_| self.depth == 0) {
            let Some(field) = schema.fields.get(index) else { continue };
            let end = at + field.kind.octets().unwrap_or(0);
            self.fields.push((index, field, at..end));
            at = end;
        }
    }

    fn begin_field(&mut self, schema: &'static Schema, index: usize, _elements: usize) {
        if self.depth == 0
            && let Some(field) = schema.fields.get(index)
        {
            self.fields.push((index, field, self.octets.len()..self.octets.len()));
        }
        self.depth += 1;
    }

    fn end_field(&mut self) {
        self.depth -= 1;
        if self.depth == 0
            && let Some((_, _, octets)) = self.fields.last_mut()
        {
            octets.end = self.octets.len();
        }
    }

    fn begin_subsection(&mut self, schema: &'static Schema) {
        if self.depth == 0 {
            self.subsections.push((schema.name, self.octets.len()..self.octets.len()));
        }
        self.depth += 1;
    }

    fn end_subsection(&mut self, _schema: &'static Schema) {
        self.depth -= 1;
        if self.depth == 0
            && let Some((_, octets)) = self.subsections.last_mut()
        {
            octets.end = self.octets.len();
        }
    }
}
