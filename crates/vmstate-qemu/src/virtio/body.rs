//! The body of a virtio device's section.
//!
//! | octets | what | limit |
//! |---|---|---|
//! | … | [`Transport`] | |
//! | 1, 1 | status of the device, interrupts | |
//! | 2 | queue that the driver selected | below 1024 |
//! | 4 | features that the driver acknowledged, bits 0 to 31 | |
//! | 4, L | octets of the configuration, in the guest's order | 4096 |
//! | 4, … | number of queues, [`Queue`] each | 1024 |
//! | … | [`DevicePart`] | |
//! | … | [`VirtioSubsectionsImage`] | |
//!
//! Source: `docs/spec/virtio-state.md` sections 1 and 2.

use vmstate::schema::Kind;
use vmstate::{Input, LoadError, Reason, Refused, SaveError, Sink, VmState, Wire};

use super::part::{Around, DevicePart};
use super::queue::Queue;
use super::subsections::VirtioSubsectionsImage;
use super::transport::Transport;

/// Most queues that a device has.
pub const QUEUES_MAX: usize = 1024;
/// Most octets of a configuration that are accepted; those of QEMU's devices have less than 256.
pub const CONFIG_OCTETS_MAX: usize = 4096;

/// What the field `virtio` of a virtio device's section holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Virtio<P> {
    /// How it is reached. The template says which kind it is.
    pub transport: Transport,
    /// What all virtio devices have.
    pub common: Common,
    /// Queues before the first one of size 0; up to [`QUEUES_MAX`].
    pub queues: Vec<Queue>,
    /// What this kind of device has.
    pub device: P,
    /// What is not always sent.
    pub subsections: VirtioSubsectionsImage,
}

/// What all virtio devices have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Common {
    /// Status register.
    pub status: u8,
    /// Interrupt status register.
    pub isr: u8,
    /// Queue that the driver selected, below [`QUEUES_MAX`].
    pub queue_sel: u16,
    /// Features that the driver acknowledged, bits 0 to 31; see [`VirtioSubsectionsImage::features_64`].
    pub guest_features: u32,
    /// The configuration as it was last stored, in the guest's byte order; up to [`CONFIG_OCTETS_MAX`]. What a device
    /// computes when the guest reads it may be 0 here.
    pub config: Vec<u8>,
}

impl<P: Default> Virtio<P> {
    /// The template of a device that is reached in this way.
    #[must_use]
    pub fn on(transport: Transport) -> Self {
        Self {
            transport,
            common: Common::default(),
            queues: Vec::new(),
            device: P::default(),
            subsections: VirtioSubsectionsImage::default(),
        }
    }
}

impl<P> Virtio<P> {
    fn around(&self) -> Around {
        Around { features: self.common.guest_features, queues: self.queues.len() }
    }

    /// What the transport keeps in the subsections is of this transport.
    fn check_extra_state(&self) -> Result<(), Refused> {
        let Some(extra) = &self.subsections.extra_state else { return Ok(()) };
        let is_other = if self.transport.is_mmio() {
            extra.virtio_pci.modern_state.is_some()
        } else {
            extra.virtio_mmio.state.is_some()
        };
        if is_other { Err(Refused::new("state of a transport that the device does not have")) } else { Ok(()) }
    }
}

impl<P: DevicePart> Wire for Virtio<P> {
    const KIND: Kind = Kind::Codec { name: "virtio", octets: None };

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        let sink: &mut dyn Sink = &mut Undescribed(sink);
        let Self { transport, common, queues, device, subsections } = self;
        transport.write_to(sink).map_err(|error| error.within("transport"))?;
        common.write_to(sink)?;
        write_count(queues.len(), QUEUES_MAX, sink).map_err(|error| error.within("queues"))?;
        for (index, queue) in queues.iter().enumerate() {
            let within = |error: SaveError| error.within(format!("[{index}]")).within("queues");
            queue.write_to(transport, sink).map_err(within)?;
        }
        device.write_part(self.around(), sink).map_err(|error| error.within("device"))?;
        self.check_extra_state().map_err(|refused| SaveError::new(refused).within("virtio/extra_state"))?;
        subsections.encode(&(), sink)
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        self.transport.read_from(input).map_err(|error| error.within("transport"))?;
        self.common.read_from(input)?;
        let count = read_count("queues", QUEUES_MAX, input)?;
        self.queues.clear();
        for index in 0..count {
            let within = |error: LoadError| error.within(format!("[{index}]")).within("queues");
            self.queues.push(Queue::read_from(&self.transport, input).map_err(within)?);
        }
        let around = self.around();
        self.device.read_part(around, input).map_err(|error| error.within("device"))?;
        let at = input.offset();
        self.subsections.decode(&(), VirtioSubsectionsImage::SCHEMA.version, input)?;
        self.check_extra_state()
            .map_err(|refused| LoadError::new(at, Reason::Refused(refused)).within("virtio/extra_state"))
    }
}

impl Common {
    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        let Self { status, isr, queue_sel, guest_features, config } = self;
        status.write_to(sink)?;
        isr.write_to(sink)?;
        if usize::from(*queue_sel) >= QUEUES_MAX {
            let text = format!("{queue_sel} is not below {QUEUES_MAX}");
            return Err(SaveError::new(Refused::new(text)).within("queue_sel"));
        }
        queue_sel.write_to(sink)?;
        guest_features.write_to(sink)?;
        write_count(config.len(), CONFIG_OCTETS_MAX, sink).map_err(|error| error.within("config"))?;
        sink.put(config);
        Ok(())
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        read(&mut self.status, "status", input)?;
        read(&mut self.isr, "isr", input)?;
        let at = input.offset();
        read(&mut self.queue_sel, "queue_sel", input)?;
        if usize::from(self.queue_sel) >= QUEUES_MAX {
            let (found, limit) = (i64::from(self.queue_sel), QUEUES_MAX as i64 - 1);
            return Err(LoadError::new(at, Reason::OutOfBounds { found, limit }).within("queue_sel"));
        }
        read(&mut self.guest_features, "guest_features", input)?;
        let octets = read_count("config", CONFIG_OCTETS_MAX, input)?;
        self.config = vec![0; octets];
        input.read_exact(&mut self.config).map_err(|error| error.within("config"))
    }
}

/// Reads over a value that has this name.
pub(super) fn read<T: Wire>(value: &mut T, name: &'static str, input: &mut Input<'_>) -> Result<(), LoadError> {
    value.read_from(input).map_err(|error| error.within(name))
}

/// Writes a number of elements.
pub(super) fn write_count(count: usize, limit: usize, sink: &mut dyn Sink) -> Result<(), SaveError> {
    match u32::try_from(count) {
        Ok(number) if count <= limit => number.write_to(sink),
        _ => Err(SaveError::new(Refused::new(format!("{count} are over the limit of {limit}")))),
    }
}

/// Reads a number of elements.
pub(super) fn read_count(name: &'static str, limit: usize, input: &mut Input<'_>) -> Result<usize, LoadError> {
    let at = input.offset();
    let mut found = 0_u32;
    read(&mut found, name, input)?;
    match usize::try_from(found) {
        Ok(count) if count <= limit => Ok(count),
        _ => {
            let reason = Reason::CountOverLimit { found: found.into(), limit: limit as u64 };
            Err(LoadError::new(at, reason).within(name))
        }
    }
}

/// A sink that passes octets on and no events: to a description, all of this is one field.
struct Undescribed<'a>(&'a mut dyn Sink);

impl Sink for Undescribed<'_> {
    fn put(&mut self, octets: &[u8]) {
        self.0.put(octets);
    }
}
