//! Which image is for which section. Each group of devices has its list.

mod arm;
mod boards;
mod pc;
mod riscv;
mod storage;
mod virtio;
mod x86;

use vmferry_wire::description::{Contents, Field, Vmsd};

use crate::round_trip::Entry;

/// Every image, in the order of the table.
pub(crate) fn all() -> Vec<Entry> {
    let mut all = boards::entries();
    all.extend(riscv::entries());
    all.extend(arm::entries());
    all.extend(storage::entries());
    all.extend(virtio::entries());
    all.extend(x86::entries());
    all.extend(pc::entries());
    all
}

/// The entries of a field: one, or one for each element. A number behind the name tells equal names apart.
fn fields<'a>(vmsd: &'a Vmsd, name: &str) -> impl Iterator<Item = &'a Field> {
    vmsd.fields.iter().filter(move |field| field.name == name)
}

/// How many elements the field has; 0 if it is not there.
fn elements(vmsd: &Vmsd, name: &str) -> u32 {
    let elements: u64 = fields(vmsd, name).map(|field| field.array_len.unwrap_or(1)).sum();
    u32::try_from(elements).unwrap()
}

/// How many octets the field's first element has; 0 if it is not there.
fn octets(vmsd: &Vmsd, name: &str) -> u32 {
    fields(vmsd, name).next().map_or(0, |field| u32::try_from(field.size).unwrap())
}

/// The description of the field's first element.
fn nested<'a>(vmsd: &'a Vmsd, name: &str) -> Option<&'a Vmsd> {
    fields(vmsd, name).find_map(|field| match &field.contents {
        Contents::Struct(nested) => Some(&**nested),
        _ => None,
    })
}

/// The subsection's description.
fn subsection<'a>(vmsd: &'a Vmsd, name: &str) -> Option<&'a Vmsd> {
    vmsd.subsections.iter().find(|subsection| subsection.name == name)
}

/// Whether there is a field of this name.
fn has(vmsd: &Vmsd, name: &str) -> bool {
    fields(vmsd, name).next().is_some()
}

/// The template of the PCI part that a device has in the field `name`.
fn pci_device(vmsd: &Vmsd, name: &str) -> vmstate_qemu::pci::PciDeviceImage {
    use vmstate_qemu::pci::PciDeviceImage;
    let is_express = nested(vmsd, name).is_some_and(|device| has(device, "config[1]"));
    if is_express { PciDeviceImage::express() } else { PciDeviceImage::conventional() }
}
