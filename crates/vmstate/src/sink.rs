//! Where encoders write.

use std::ops::Range;

use crate::schema::Schema;

/// A receiver of encoded octets, and of the events that describe them.
///
/// The events have empty defaults: a plain byte sink ignores them, the describing sink builds the description that
/// trails a stream (`docs/spec/vmdesc.md` A) from them. They nest as the image does:
///
/// ```text
/// image        = *(fields put / begin_field *element end_field) *subsection
/// element      = next_element (put* / null_element put) / begin_image image end_image
///                                                          ; next_element only for codecs of their own and pointers
/// subsection   = begin_subsection put(header) image end_subsection
/// ```
pub trait Sink {
    /// Takes octets of the wire.
    fn put(&mut self, octets: &[u8]);

    /// The octets of `schema.fields[range]`, each of fixed width, follow in one [`Sink::put`].
    fn fields(&mut self, _schema: &'static Schema, _range: Range<usize>) {}

    /// The octets of `schema.fields[index]` follow, up to [`Sink::end_field`]: so many elements.
    fn begin_field(&mut self, _schema: &'static Schema, _index: usize, _elements: usize) {}

    /// The field ends.
    fn end_field(&mut self) {}

    /// An element with a codec of its own follows.
    fn next_element(&mut self) {}

    /// The element that was announced is the marker of one that is absent.
    fn null_element(&mut self) {}

    /// A nested image follows, as an element of the current field.
    fn begin_image(&mut self, _schema: &'static Schema) {}

    /// The nested image ends, its subsections included.
    fn end_image(&mut self, _schema: &'static Schema) {}

    /// A subsection follows, with its header.
    fn begin_subsection(&mut self, _schema: &'static Schema) {}

    /// The subsection ends, its own subsections included.
    fn end_subsection(&mut self, _schema: &'static Schema) {}
}

impl Sink for Vec<u8> {
    fn put(&mut self, octets: &[u8]) {
        self.extend_from_slice(octets);
    }
}
