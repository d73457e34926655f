//! The description while its stream is walked: which entry belongs to which section.

use std::collections::{HashMap, VecDeque};

use vmferry_wire::description::{Description, Device, DeviceBody};

use crate::pointer_runs::repaired_bytes;

/// A description with its devices by name.
#[derive(Debug)]
pub(crate) struct Described {
    description: Description,
    /// Entries not used yet, by id string and instance id: the same section may be sent, and described, several times.
    unused: HashMap<(String, u32), VecDeque<usize>>,
}

impl Described {
    pub(crate) fn new(description: Description) -> Described {
        let mut unused: HashMap<_, VecDeque<usize>> = HashMap::new();
        for (i, device) in description.devices.iter().enumerate() {
            unused.entry((device.idstr.clone(), device.instance_id)).or_default().push_back(i);
        }
        Described { description, unused }
    }

    pub(crate) fn page_bytes(&self) -> Option<u64> {
        self.description.page_bytes
    }

    /// The next entry for this section, used up.
    pub(crate) fn take(&mut self, idstr: &str, instance_id: u32) -> Option<usize> {
        self.unused.get_mut(&(idstr.to_owned(), instance_id))?.pop_front()
    }

    pub(crate) fn device(&self, index: usize) -> Option<&Device> {
        self.description.devices.get(index)
    }

    /// Octets that the body may have: as told, and with the counts of pointer arrays repaired.
    pub(crate) fn body_bytes(&self, index: usize) -> [Option<u64>; 2] {
        let Some(device) = self.device(index) else { return [None, None] };
        let repaired = match &device.body {
            DeviceBody::Vmsd(vmsd) => repaired_bytes(vmsd),
            DeviceBody::Opaque(_) => None,
        };
        [device.encoded_bytes(), repaired]
    }

    /// Devices that no section was met for.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &Device> {
        let mut left: Vec<_> = self.unused.values().flatten().copied().collect();
        left.sort_unstable();
        left.into_iter().filter_map(|index| self.device(index))
    }
}
