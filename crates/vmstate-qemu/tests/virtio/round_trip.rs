//! Any body that can be encoded comes back, and gives the same octets again.

use std::fmt::Debug;

use proptest::prelude::*;
use vmstate::{Input, Wire};
use vmstate_qemu::virtio::{DevicePart, Virtio};

use crate::bodies::{encode, load, mmio, pci};
use crate::{any, any_device};

fn comes_back<P: DevicePart + Default + Debug + PartialEq>(virtio: &Virtio<P>) -> Result<(), TestCaseError> {
    let octets = encode(virtio);
    let template = if virtio.transport.is_mmio() { mmio() } else { pci() };
    let back = load::<P>(template, &octets).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(&back, virtio);
    prop_assert_eq!(encode(&back), octets);
    Ok(())
}

/// A field, with a section's footer behind it.
fn field_comes_back<W: Wire + Default + Debug + PartialEq>(value: &W) -> Result<(), TestCaseError> {
    let octets = encode(value);
    let stream = [&octets[..], &[0x7e, 0, 0, 0, 9]].concat();
    let (mut back, mut input) = (W::default(), Input::from_slice(&stream, 0));
    back.read_from(&mut input).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(input.offset(), octets.len() as u64);
    prop_assert_eq!(&back, value);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn devices_without_a_part(virtio in any::virtio(any_device::none)) {
        comes_back(&virtio)?;
    }

    #[test]
    fn disks(virtio in any::virtio(any_device::blk)) {
        comes_back(&virtio)?;
    }

    #[test]
    fn consoles(virtio in any::virtio(any_device::console)) {
        comes_back(&virtio)?;
    }

    #[test]
    fn network_cards(virtio in any::virtio(any_device::net)) {
        comes_back(&virtio)?;
    }

    #[test]
    fn balloons(virtio in any::virtio(any_device::balloon)) {
        comes_back(&virtio)?;
    }

    #[test]
    fn balloons_of_qemu_5(virtio in any::virtio(any_device::balloon_5)) {
        comes_back(&virtio)?;
    }

    #[test]
    fn iommus(virtio in any::virtio(any_device::iommu)) {
        comes_back(&virtio)?;
    }

    #[test]
    fn memory(virtio in any::virtio(any_device::mem)) {
        comes_back(&virtio)?;
    }

    #[test]
    fn displays(gpu in any_device::gpu()) {
        field_comes_back(&gpu)?;
    }

    #[test]
    fn resources_without_pixels(blobs in any_device::blobs()) {
        field_comes_back(&blobs)?;
    }

    /// No octets make a decoder panic, and it reads no more than there are.
    #[test]
    fn noise_is_no_body(octets in prop::collection::vec(any::<u8>(), 0..600), is_mmio in any::<bool>()) {
        let mut virtio = Virtio::<vmstate_qemu::virtio::net::NetImage>::on(if is_mmio { mmio() } else { pci() });
        let mut input = Input::from_slice(&octets, 0);
        if let Err(error) = virtio.read_from(&mut input) {
            prop_assert!(error.offset() <= octets.len() as u64, "{}", error);
        }
    }
}
