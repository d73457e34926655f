//! The table of interrupts of a device with MSI-X.
//!
//! | octets | what |
//! |---|---|
//! | 16 for each vector | address low, address high, data, control; each little-endian; bit 0 of control: masked |
//! | 1 for each 8 vectors begun | which are pending |
//!
//! Most devices have it as a part of their own, `msix` 0 ([`MsixImage`]). A device without MSI-X has none of it. How
//! many vectors there are is configuration, so the template says it; whether all are enabled or masked is in the
//! configuration space. Source: `docs/spec/virtio-state.md` section 6.

use vmstate::schema::Kind;
use vmstate::{Input, LoadError, SaveError, Sink, VmState, Wire};

/// Most vectors that the specification of PCI allows.
pub const VECTORS_MAX: usize = 2048;
/// Octets of a vector in the table.
const VECTOR_OCTETS: usize = 16;

/// The table as a part of a device that is described.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "msix", version = 0)]
pub struct MsixImage {
    /// The table.
    pub msix: MsixState,
}

impl MsixImage {
    /// The template of a device with so many vectors, at most [`VECTORS_MAX`].
    #[must_use]
    pub fn with_vectors(vectors: usize) -> Self {
        Self { msix: MsixState::with_vectors(vectors) }
    }
}

/// Table and pending bits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MsixState {
    /// The vectors, as the guest sees them.
    pub table: Vec<[u8; VECTOR_OCTETS]>,
    /// A bit for each.
    pub pending: Vec<u8>,
}

impl MsixState {
    /// The template of a device with so many vectors, at most [`VECTORS_MAX`].
    #[must_use]
    pub fn with_vectors(vectors: usize) -> Self {
        let vectors = vectors.min(VECTORS_MAX);
        Self { table: vec![[0; VECTOR_OCTETS]; vectors], pending: vec![0; vectors.div_ceil(8)] }
    }
}

impl Wire for MsixState {
    const KIND: Kind = Kind::Codec { name: "msix state", octets: None };

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        sink.put(self.table.as_flattened());
        sink.put(&self.pending);
        Ok(())
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        input.read_exact(self.table.as_flattened_mut())?;
        input.read_exact(&mut self.pending)
    }
}
