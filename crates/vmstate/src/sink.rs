//! Where encoders write.

use std::ops::Range;

use crate::schema::Schema;

/// A receiver of encoded octets, and of the events that describe them.
///
/// The events have empty defaults: a plain byte sink ignores them, the describing sink builds the description that
/// trails a stream (`docs/spec/vmdesc.md` A) from them.
pub trait Sink {
    /// Takes octets of the wire.
    fn put(&mut self, octets: &[u8]);

    /// The octets of `schema.fields[range]`, each of fixed width, follow in one [`Sink::put`].
    fn fields(&mut self, _schema: &'static Schema, _range: Range<usize>) {}
}

impl Sink for Vec<u8> {
    fn put(&mut self, octets: &[u8]) {
        self.extend_from_slice(octets);
    }
}
