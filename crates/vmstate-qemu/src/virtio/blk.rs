//! The disk.
//!
//! Device part: requests that a failed disk has stopped, newest first.
//!
//! | octets | what | there |
//! |---|---|---|
//! | 1 | `01`: a request follows; `00`: none | |
//! | 4 | its queue | the device has more than one |
//! | 49 168 or 4 more | [`QueueElement`] | |
//!
//! Source: `docs/spec/virtio-state.md` section 4.1; streams of QEMU 5.2 to 11.1 with failed requests.

use vmstate::{Input, LoadError, Reason, Refused, SaveError, Sink, VmState, Wire};

use super::body::read;
use super::element::{QueueElement, read_mark, write_mark};
use super::{Around, DevicePart, Virtio};

/// Most requests that are accepted: what 64 queues of the largest size hold.
pub const REQUESTS_MAX: usize = 64 << 10;

/// The section.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-blk", version = 2)]
pub struct VirtioBlkImage {
    /// All of it.
    pub virtio: Virtio<BlkPart>,
}

/// The device part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlkPart {
    /// Requests that are to be tried again, newest first; up to [`REQUESTS_MAX`].
    pub requests: Vec<BlkRequest>,
}

/// A request that is to be tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlkRequest {
    /// The queue that it came from; 0 in a device with one queue.
    pub queue: u32,
    /// The request.
    pub element: QueueElement,
}

impl DevicePart for BlkPart {
    fn write_part(&self, around: Around, sink: &mut dyn Sink) -> Result<(), SaveError> {
        if self.requests.len() > REQUESTS_MAX {
            let text = format!("{} are over the limit of {REQUESTS_MAX}", self.requests.len());
            return Err(SaveError::new(Refused::new(text)).within("requests"));
        }
        for (index, request) in self.requests.iter().enumerate() {
            let within = |error: SaveError| error.within(format!("[{index}]")).within("requests");
            write_mark(true, sink)?;
            request.write_to(around, sink).map_err(within)?;
        }
        write_mark(false, sink)
    }

    fn read_part(&mut self, around: Around, input: &mut Input<'_>) -> Result<(), LoadError> {
        self.requests.clear();
        loop {
            let index = self.requests.len();
            let within = |error: LoadError| error.within(format!("[{index}]")).within("requests");
            let at = input.offset();
            if !read_mark(input).map_err(within)? {
                return Ok(());
            }
            if index == REQUESTS_MAX {
                let reason = Reason::CountOverLimit { found: index as u64 + 1, limit: REQUESTS_MAX as u64 };
                return Err(LoadError::new(at, reason).within("requests"));
            }
            self.requests.push(BlkRequest::read_from(around, input).map_err(within)?);
        }
    }
}

impl BlkRequest {
    fn write_to(&self, around: Around, sink: &mut dyn Sink) -> Result<(), SaveError> {
        if self.queue != 0 && self.queue as usize >= around.queues {
            let text = format!("{} of a device with {}", self.queue, around.queues);
            return Err(SaveError::new(Refused::new(text)).within("queue"));
        }
        if around.queues > 1 {
            self.queue.write_to(sink)?;
        }
        self.element.write_to(sink).map_err(|error| error.within("element"))
    }

    fn read_from(around: Around, input: &mut Input<'_>) -> Result<Self, LoadError> {
        let mut queue = 0;
        if around.queues > 1 {
            let at = input.offset();
            read(&mut queue, "queue", input)?;
            if queue as usize >= around.queues {
                let (found, limit) = (i64::from(queue), around.queues as i64 - 1);
                return Err(LoadError::new(at, Reason::OutOfBounds { found, limit }).within("queue"));
            }
        }
        let element = QueueElement::read_from(input).map_err(|error| error.within("element"))?;
        Ok(Self { queue, element })
    }
}
