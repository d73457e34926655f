//! The controller of consoles and serial ports.
//!
//! Device part:
//!
//! | octets | what | there |
//! |---|---|---|
//! | 2, 2, 4 | columns, rows, P, the most ports that there can be; each in the guest's byte order | |
//! | 4 × ⌈P / 32⌉ | which ports there are, a bit for each | |
//! | 4 | number of ports | |
//! | 4, 1, 1, 4 | of each: number, whether the guest has opened it, whether the host has, whether a buffer waits | |
//! | 4, 8, … | number of the buffer's part and octets of it that are done, [`QueueElement`] | a buffer waits |
//!
//! P is configuration, since the one on the wire is as the guest sees it. Nothing tells the byte order; a maximum above
//! 511 is not possible, so a number that is too large in one order is in the other.
//!
//! Source: `docs/spec/virtio-state.md` section 4.4; streams of QEMU 5.2 to 11.1.

use vmstate::{Input, LoadError, Reason, Refused, SaveError, Sink, VmState, Wire};

use super::body::{read, read_count, write_count};
use super::element::QueueElement;
use super::{Around, DevicePart, Virtio};

/// Most ports: each has two queues, and there are two more.
pub const PORTS_MAX: usize = 511;

/// The section.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-console", version = 3)]
pub struct VirtioConsoleImage {
    /// All of it.
    pub virtio: Virtio<ConsolePart>,
}

/// The device part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsolePart {
    /// Columns of the console, as on the wire.
    pub cols: u16,
    /// Rows of the console, as on the wire.
    pub rows: u16,
    /// Most ports that there can be, as on the wire: little-endian for modern drivers and most guests.
    pub max_nr_ports: u32,
    /// Which ports there are, bit 0 of word 0 first; a word for each 32 ports that there can be.
    pub ports_map: Vec<u32>,
    /// The ports; up to [`PORTS_MAX`].
    pub ports: Vec<PortImage>,
}

/// A port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortImage {
    /// Its number.
    pub id: u32,
    /// The guest has opened it.
    pub guest_connected: u8,
    /// The host has opened it.
    pub host_connected: u8,
    /// A buffer of the guest that was not written to its end.
    pub element: Option<WaitingBuffer>,
}

/// A buffer that waits until the other end of a port takes more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaitingBuffer {
    /// Which part of the buffer is being written.
    pub iov_idx: u32,
    /// Octets of that part that are done.
    pub iov_offset: u64,
    /// The buffer.
    pub element: QueueElement,
}

impl Default for ConsolePart {
    /// A controller with room for one port and without any.
    fn default() -> Self {
        Self { cols: 0, rows: 0, max_nr_ports: 1_u32.swap_bytes(), ports_map: vec![0], ports: Vec::new() }
    }
}

impl ConsolePart {
    /// How many ports there can be at most: the number on the wire in the order in which it is one.
    fn ports_limit(max_nr_ports: u32) -> Option<usize> {
        let orders = [max_nr_ports.swap_bytes(), max_nr_ports];
        orders.into_iter().map(|ports| ports as usize).find(|ports| (1..=PORTS_MAX).contains(ports))
    }
}

impl DevicePart for ConsolePart {
    fn write_part(&self, _: Around, sink: &mut dyn Sink) -> Result<(), SaveError> {
        let Self { cols, rows, max_nr_ports, ports_map, ports } = self;
        let refuse = |name: &str, text: String| Err(SaveError::new(Refused::new(text)).within(name));
        let Some(limit) = Self::ports_limit(*max_nr_ports) else {
            return refuse("max_nr_ports", format!("{max_nr_ports:#x} is in no byte order from 1 to {PORTS_MAX}"));
        };
        if ports_map.len() != limit.div_ceil(32) {
            return refuse("ports_map", format!("{} words for {limit} ports", ports_map.len()));
        }
        cols.write_to(sink)?;
        rows.write_to(sink)?;
        max_nr_ports.write_to(sink)?;
        u32::write_all_to(ports_map, sink)?;
        write_count(ports.len(), limit, sink).map_err(|error| error.within("ports"))?;
        for (index, port) in ports.iter().enumerate() {
            port.write_to(sink).map_err(|error| error.within(format!("[{index}]")).within("ports"))?;
        }
        Ok(())
    }

    fn read_part(&mut self, _: Around, input: &mut Input<'_>) -> Result<(), LoadError> {
        read(&mut self.cols, "cols", input)?;
        read(&mut self.rows, "rows", input)?;
        let at = input.offset();
        read(&mut self.max_nr_ports, "max_nr_ports", input)?;
        let Some(limit) = Self::ports_limit(self.max_nr_ports) else {
            let (found, limit) = (u64::from(self.max_nr_ports.swap_bytes()), PORTS_MAX as u64);
            return Err(LoadError::new(at, Reason::CountOverLimit { found, limit }).within("max_nr_ports"));
        };
        self.ports_map = vec![0; limit.div_ceil(32)];
        u32::read_all_from(&mut self.ports_map, input).map_err(|error| error.within("ports_map"))?;
        self.ports.clear();
        for index in 0..read_count("ports", limit, input)? {
            let within = |error: LoadError| error.within(format!("[{index}]")).within("ports");
            self.ports.push(PortImage::read_from(input).map_err(within)?);
        }
        Ok(())
    }
}

impl PortImage {
    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        let Self { id, guest_connected, host_connected, element } = self;
        id.write_to(sink)?;
        guest_connected.write_to(sink)?;
        host_connected.write_to(sink)?;
        u32::from(element.is_some()).write_to(sink)?;
        let Some(WaitingBuffer { iov_idx, iov_offset, element }) = element else { return Ok(()) };
        iov_idx.write_to(sink)?;
        iov_offset.write_to(sink)?;
        element.write_to(sink).map_err(|error| error.within("element"))
    }

    fn read_from(input: &mut Input<'_>) -> Result<Self, LoadError> {
        let mut port = Self::default();
        read(&mut port.id, "id", input)?;
        read(&mut port.guest_connected, "guest_connected", input)?;
        read(&mut port.host_connected, "host_connected", input)?;
        // Differs from QEMU: any number but 0 says so there.
        if read_count("elem_popped", 1, input)? == 0 {
            return Ok(port);
        }
        let waiting = port.element.insert(WaitingBuffer::default());
        read(&mut waiting.iov_idx, "iov_idx", input)?;
        read(&mut waiting.iov_offset, "iov_offset", input)?;
        waiting.element = QueueElement::read_from(input).map_err(|error| error.within("element"))?;
        Ok(port)
    }
}
