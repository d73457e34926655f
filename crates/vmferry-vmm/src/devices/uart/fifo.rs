//! A ring of 16 bytes.

/// Bytes that fit.
pub(super) const FIFO_BYTES: usize = 16;

/// A first-in first-out buffer as the chip has two of.
#[derive(Debug, Clone, Default)]
pub(super) struct Fifo {
    data: [u8; FIFO_BYTES],
    /// Where the oldest byte is.
    head: usize,
    len: usize,
}

impl Fifo {
    /// Appends a byte; `false`, with nothing changed, if there is no room.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        if self.is_full() {
            return false;
        }
        if let Some(slot) = self.data.get_mut((self.head + self.len) % FIFO_BYTES) {
            *slot = byte;
            self.len += 1;
        }
        true
    }

    /// Takes the oldest byte.
    pub(super) fn pop(&mut self) -> Option<u8> {
        if self.len == 0 {
            return None;
        }
        let byte = self.data.get(self.head).copied();
        self.head = (self.head + 1) % FIFO_BYTES;
        self.len -= 1;
        byte
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) const fn is_full(&self) -> bool {
        self.len == FIFO_BYTES
    }

    /// All of it, for an image: bytes, head, length.
    pub(super) const fn parts(&self) -> ([u8; FIFO_BYTES], usize, usize) {
        (self.data, self.head, self.len)
    }

    /// From an image; `None` if head or length lie outside.
    pub(super) fn from_parts(data: [u8; FIFO_BYTES], head: usize, len: usize) -> Option<Self> {
        (head < FIFO_BYTES && len <= FIFO_BYTES).then_some(Self { data, head, len })
    }
}
