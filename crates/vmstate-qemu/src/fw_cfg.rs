//! `fw_cfg`, through which firmware reads its configuration.
//!
//! | field | there | |
//! |---|---|---|
//! | `cur_entry` u16 | always | |
//! | `cur_offset` 2 octets | in version 1 only, which nobody writes any more | codec `int32_as_uint16` |
//! | `cur_offset` u32 | since 2 | |
//!
//! | subsection, version | fields | sent |
//! |---|---|---|
//! | `fw_cfg/dma` 0 | `dma_addr` u64 | the device has its DMA interface |
//! | `fw_cfg/acpi_mr` 1 | `table_mr_size` u64, `linker_mr_size` u64, `rsdp_mr_size` u64 | ACPI tables are in it |
//!
//! Source: streams and schema dumps of QEMU 5.2 (not on `virt` of riscv64), 7.2, 10.0 and 11.1;
//! `docs/spec/virtio-state.md` section 8 for version 1, of which no stream was seen.

use vmstate::schema::Kind;
use vmstate::{Input, LoadError, Refused, SaveError, Sink, VmState, Wire};

/// The device, in memory or on I/O ports.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "fw_cfg", version = 2, min = 1)]
pub struct FwCfgImage {
    /// The entry that was selected.
    pub cur_entry: u16,
    /// Octets of the entry that were read, in version 1.
    #[vmstate(name = "cur_offset", when = is_version_1)]
    pub cur_offset_of_version_1: Int32AsUint16,
    /// Octets of the entry that were read.
    #[vmstate(since = 2)]
    pub cur_offset: u32,
    /// The DMA interface.
    #[vmstate(subsection)]
    pub dma: Option<DmaImage>,
    /// Sizes of the ACPI tables.
    #[vmstate(subsection)]
    pub acpi_mr: Option<AcpiMrImage>,
}

fn is_version_1(_: &FwCfgImage, version: u32) -> bool {
    version == 1
}

/// A number of 32 bits that is on the wire with 16.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Int32AsUint16(pub u32);

impl Wire for Int32AsUint16 {
    const KIND: Kind = Kind::Codec { name: "int32_as_uint16", octets: Some(2) };

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        let Ok(value) = u16::try_from(self.0) else {
            return Err(SaveError::new(Refused::new(format!("{} has more than 16 bits", self.0))));
        };
        value.write_to(sink)
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        self.0 = input.array().map(u16::from_be_bytes)?.into();
        Ok(())
    }
}

/// The DMA interface.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "fw_cfg/dma", version = 0)]
pub struct DmaImage {
    /// Address of the request, whose upper half may be written alone.
    pub dma_addr: u64,
}

/// Sizes of the blocks that hold ACPI tables, in octets.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "fw_cfg/acpi_mr", version = 1)]
pub struct AcpiMrImage {
    /// `etc/acpi/tables`.
    pub table_mr_size: u64,
    /// `etc/table-loader`.
    pub linker_mr_size: u64,
    /// `etc/acpi/rsdp`.
    pub rsdp_mr_size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> FwCfgImage {
        FwCfgImage {
            cur_entry: 0x8000,
            cur_offset: 4,
            dma: Some(DmaImage { dma_addr: 0x1_0000_0000 }),
            acpi_mr: Some(AcpiMrImage { table_mr_size: 0x2_0000, linker_mr_size: 0x1000, rsdp_mr_size: 0x14 }),
            ..FwCfgImage::default()
        }
    }

    vmstate::vmstate_tests! {
        mod fw_cfg_image: FwCfgImage {
            props: (),
            template: FwCfgImage::default(),
            samples: [sample()],
        }
    }

    #[test]
    fn version_1_has_an_offset_of_two_octets() {
        let mut image = FwCfgImage::default();
        let mut input = Input::from_slice(&[0, 3, 0, 9], 0);
        assert!(image.decode(&(), 1, &mut input).is_ok());
        assert_eq!((image.cur_entry, image.cur_offset_of_version_1.0, image.cur_offset, input.offset()), (3, 9, 0, 4));
    }
}
