//! Bodies put together octet by octet, to be damaged.

use vmstate::{Input, LoadError, VmState, Wire};
use vmstate_qemu::virtio::{DevicePart, MmioTransport, PciTransport, Transport, Virtio};

/// A body in memory, in parts.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    /// Features 0 to 31.
    pub(crate) features: u32,
    pub(crate) queue_sel: u16,
    /// The number before the configuration, and its octets.
    pub(crate) config: (u32, Vec<u8>),
    /// The number before the queues, and their octets.
    pub(crate) queues: (u32, Vec<u8>),
    pub(crate) device: Vec<u8>,
    pub(crate) subsections: Vec<u8>,
}

impl Default for Body {
    fn default() -> Self {
        Self {
            features: 0,
            queue_sel: 0,
            config: (0, Vec::new()),
            queues: (1, mmio_queue(8, 0x1000, 3)),
            device: Vec::new(),
            subsections: Vec::new(),
        }
    }
}

pub(crate) fn mmio_queue(size: u32, desc: u64, index: u16) -> Vec<u8> {
    [&size.to_be_bytes()[..], &4096_u32.to_be_bytes(), &desc.to_be_bytes(), &index.to_be_bytes()].concat()
}

pub(crate) fn subsection(name: &str, version: u32, body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    [&[5, length], name.as_bytes(), &version.to_be_bytes(), body].concat()
}

/// Where the parts of [`Body`] begin.
pub(crate) const QUEUE_SEL: u64 = 12 + 1 + 1;
pub(crate) const CONFIG: u64 = QUEUE_SEL + 2 + 4;
pub(crate) const QUEUES: u64 = CONFIG + 4;
pub(crate) const DEVICE: u64 = QUEUES + 4 + 18;

impl Body {
    pub(crate) fn octets(&self) -> Vec<u8> {
        [
            &[0; 12][..],
            &[0, 0],
            &self.queue_sel.to_be_bytes(),
            &self.features.to_be_bytes(),
            &self.config.0.to_be_bytes(),
            &self.config.1,
            &self.queues.0.to_be_bytes(),
            &self.queues.1,
            &self.device,
            &self.subsections,
        ]
        .concat()
    }

    /// What becomes of it, as the body of a device with this part.
    pub(crate) fn load<P: DevicePart + Default>(&self) -> Result<Virtio<P>, LoadError> {
        load(mmio(), &self.octets())
    }

    /// Loads it and says where and why it was refused.
    pub(crate) fn refusal<P: DevicePart + Default>(&self) -> (String, u64, String) {
        let error = self.load::<P>().map(|_| ()).unwrap_err();
        (error.path(), error.offset(), error.reason().to_string())
    }
}

pub(crate) fn mmio() -> Transport {
    Transport::Mmio(MmioTransport::default())
}

pub(crate) fn pci() -> Transport {
    Transport::Pci(PciTransport::default())
}

/// Loads a body with a footer behind it.
pub(crate) fn load<P: DevicePart + Default>(transport: Transport, octets: &[u8]) -> Result<Virtio<P>, LoadError> {
    let mut virtio = Virtio::on(transport);
    let stream = [octets, &[0x7e, 0, 0, 0, 9]].concat();
    let mut input = Input::from_slice(&stream, 0);
    virtio.read_from(&mut input)?;
    assert_eq!(input.offset(), octets.len() as u64, "ends before or behind the footer");
    Ok(virtio)
}

pub(crate) fn encode(value: &impl Wire) -> Vec<u8> {
    let mut octets = Vec::new();
    value.write_to(&mut octets).unwrap();
    octets
}

/// Loads octets into an image over its default, which must be refused.
pub(crate) fn image_refusal<I: VmState<Props = ()> + Default>(octets: &[u8]) -> (String, u64, String) {
    let error = I::default().decode(&(), I::SCHEMA.version, &mut Input::from_slice(octets, 0)).unwrap_err();
    (error.path(), error.offset(), error.reason().to_string())
}
