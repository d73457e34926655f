//! The part that each kind of virtio device has for itself.

use vmstate::{Input, LoadError, SaveError, Sink};

/// What stands before the part and shapes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Around {
    /// Features that the driver acknowledged, bits 0 to 31.
    pub features: u32,
    /// How many queues there are.
    pub queues: usize,
}

/// The device part of a virtio body; `()` is that of devices without one.
pub trait DevicePart: Sized {
    /// Writes the part.
    ///
    /// # Errors
    ///
    /// It contradicts its form, or what stands before it.
    fn write_part(&self, around: Around, sink: &mut dyn Sink) -> Result<(), SaveError>;

    /// Reads over the part.
    ///
    /// # Errors
    ///
    /// The stream ends or holds no such part.
    fn read_part(&mut self, around: Around, input: &mut Input<'_>) -> Result<(), LoadError>;
}

impl DevicePart for () {
    fn write_part(&self, _: Around, _: &mut dyn Sink) -> Result<(), SaveError> {
        Ok(())
    }

    fn read_part(&mut self, _: Around, _: &mut Input<'_>) -> Result<(), LoadError> {
        Ok(())
    }
}

/// Makes an image the part of a device, whatever stands before it.
macro_rules! image_is_part {
    ($($image:ty),+) => {$(
        impl $crate::virtio::DevicePart for $image {
            fn write_part(
                &self,
                _: $crate::virtio::Around,
                sink: &mut dyn vmstate::Sink,
            ) -> Result<(), vmstate::SaveError> {
                vmstate::VmState::encode(self, &(), sink)
            }

            fn read_part(
                &mut self,
                _: $crate::virtio::Around,
                input: &mut vmstate::Input<'_>,
            ) -> Result<(), vmstate::LoadError> {
                vmstate::VmState::decode(self, &(), <$image as vmstate::VmState>::SCHEMA.version, input)
            }
        }
    )+};
}

pub(super) use image_is_part;
