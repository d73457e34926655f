//! Queues of a virtio device.
//!
//! | octets | what | there |
//! |---|---|---|
//! | 4 | size of the ring | |
//! | 4 | alignment, for rings of the legacy layout | in memory |
//! | 8 | guest address of the descriptors | |
//! | 2 | index up to which the device has looked | |
//! | 2 | vector, `ffff` for none | PCI with MSI-X |
//!
//! Only the queues before the first one of size 0 are there. Tables of 1024 elements, used or not, are in the
//! subsections.
//!
//! Source: `docs/spec/virtio-state.md` section 1.4.

use std::fmt;

use vmstate::schema::Kind;
use vmstate::{Input, LoadError, Reason, Refused, SaveError, Sink, Wire};

use super::body::{QUEUES_MAX, read};
use super::transport::Transport;

/// A queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    /// Entries of its rings.
    pub size: u32,
    /// Alignment of the rings in octets; there if and only if the transport is memory.
    pub align: Option<u32>,
    /// Guest address of the descriptor table; 0 if the driver has not set it.
    pub desc: u64,
    /// Index up to which the device has taken available entries; 0 without an address.
    pub last_avail_idx: u16,
    /// Vector of its interrupt or [`super::NO_VECTOR`]; there if and only if the transport has MSI-X.
    pub vector: Option<u16>,
}

impl Queue {
    pub(super) fn write_to(&self, transport: &Transport, sink: &mut dyn Sink) -> Result<(), SaveError> {
        let refuse = |name: &str, text: &'static str| Err(SaveError::new(Refused::new(text)).within(name));
        if self.align.is_some() != transport.is_mmio() {
            return refuse("align", "is of queues in memory, and all of these have it");
        }
        if self.vector.is_some() != transport.vectors().is_some() {
            return refuse("vector", "is of queues with MSI-X, and all of these have it");
        }
        if self.desc == 0 && self.last_avail_idx != 0 {
            return refuse("last_avail_idx", NO_ADDRESS);
        }
        self.size.write_to(sink)?;
        if let Some(align) = self.align {
            align.write_to(sink)?;
        }
        self.desc.write_to(sink)?;
        self.last_avail_idx.write_to(sink)?;
        if let Some(vector) = self.vector {
            transport.check_vector(vector).map_err(|refused| SaveError::new(refused).within("vector"))?;
            vector.write_to(sink)?;
        }
        Ok(())
    }

    pub(super) fn read_from(transport: &Transport, input: &mut Input<'_>) -> Result<Self, LoadError> {
        let mut queue = Self::default();
        read(&mut queue.size, "size", input)?;
        if transport.is_mmio() {
            read(queue.align.insert(0), "align", input)?;
        }
        read(&mut queue.desc, "desc", input)?;
        let at = input.offset();
        read(&mut queue.last_avail_idx, "last_avail_idx", input)?;
        if queue.desc == 0 && queue.last_avail_idx != 0 {
            let reason =
                Reason::Refused(Refused::new(format!("{} in a queue without an address", queue.last_avail_idx)));
            return Err(LoadError::new(at, reason).within("last_avail_idx"));
        }
        if transport.vectors().is_some() {
            queue.vector = Some(transport.read_vector("vector", input)?);
        }
        Ok(queue)
    }
}

const NO_ADDRESS: &str = "is not 0 in a queue without an address, which no loader takes";

/// An element for each of the 1024 queues that a device may have, whether it has them or not.
#[derive(Clone, PartialEq, Eq)]
pub struct PerQueue<T>(
    /// [`QUEUES_MAX`] of them.
    Box<[T]>,
);

impl<T> PerQueue<T> {
    /// A table of what `element` makes of each queue's number.
    pub fn from_fn(element: impl FnMut(usize) -> T) -> Self {
        Self((0..QUEUES_MAX).map(element).collect())
    }

    /// The element of queue `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.0.get(index)
    }

    /// The element of queue `index`.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.0.get_mut(index)
    }

    /// All of them, in the order of the queues.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<'a, T> IntoIterator for &'a PerQueue<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: Default> Default for PerQueue<T> {
    fn default() -> Self {
        Self::from_fn(|_| T::default())
    }
}

/// Those that are not as by default, by number.
impl<T: Default + PartialEq + fmt::Debug> fmt::Debug for PerQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vacant = T::default();
        f.debug_map().entries(self.iter().enumerate().filter(|(_, element)| **element != vacant)).finish()
    }
}

impl<T: Wire> Wire for PerQueue<T> {
    const KIND: Kind = <[T; QUEUES_MAX] as Wire>::KIND;

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        T::write_all_to(&self.0, sink)
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        T::read_all_from(&mut self.0, input)
    }
}
