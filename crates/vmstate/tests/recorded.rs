//! Sections that QEMU 10.0.2 wrote (`-M pc-i440fx-10.0`, a precopy stream), read and written by declared images.
//!
//! The bodies are register values only; names, versions and types are those of the stream's own description.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use vmstate::{DescribeSink, Description, Input, VmState};

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "serial", version = 3, min = 2)]
struct IsaSerialImage {
    state: SerialImage,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "serial", version = 3, min = 2)]
struct SerialImage {
    #[vmstate(since = 2)]
    divider: u16,
    rbr: u8,
    ier: u8,
    iir: u8,
    lcr: u8,
    mcr: u8,
    lsr: u8,
    msr: u8,
    scr: u8,
    #[vmstate(since = 3)]
    fcr_vmstate: u8,
    #[vmstate(subsection)]
    thr_ipending: Option<ThrIpendingImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "serial/thr_ipending", version = 1)]
struct ThrIpendingImage {
    thr_ipending: i32,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "i8254", version = 3, min = 2)]
struct PitImage {
    #[vmstate(since = 3, name = "channels[0].irq_disabled")]
    irq_disabled: u32,
    #[vmstate(since = 2)]
    channels: [PitChannelImage; 3],
    #[vmstate(name = "channels[0].next_transition_time")]
    next_transition_time: i64,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "pit channel", version = 2)]
struct PitChannelImage {
    count: i32,
    latched_count: u16,
    count_latched: u8,
    status_latched: u8,
    status: u8,
    read_state: u8,
    write_state: u8,
    write_latch: u8,
    rw_mode: u8,
    mode: u8,
    bcd: u8,
    gate: u8,
    count_load_time: i64,
    next_transition_time: i64,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "pckbd", version = 3)]
struct I8042Image {
    kbd: KeyboardImage,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "pckbd", version = 3)]
struct KeyboardImage {
    write_cmd: u8,
    status: u8,
    mode: u8,
    pending_tmp: u8,
    #[vmstate(subsection)]
    outport: Option<OutportImage>,
    #[vmstate(subsection)]
    extended_state: Option<ExtendedStateImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "pckbd_outport", version = 1)]
struct OutportImage {
    outport: u8,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "pckbd/extended_state", version = 0)]
struct ExtendedStateImage {
    migration_flags: u32,
    obsrc: u32,
    obdata: u8,
    cbdata: u8,
}

fn is_version_1(_: &FwCfgImage, version: u32) -> bool {
    version == 1
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "fw_cfg", version = 2, min = 1)]
struct FwCfgImage {
    cur_entry: u16,
    #[vmstate(name = "cur_offset", when = is_version_1)]
    cur_offset_of_version_1: u32,
    #[vmstate(since = 2)]
    cur_offset: u32,
    #[vmstate(subsection)]
    dma: Option<FwCfgDmaImage>,
    #[vmstate(subsection)]
    acpi_mr: Option<FwCfgAcpiImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "fw_cfg/dma", version = 0)]
struct FwCfgDmaImage {
    dma_addr: u64,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "fw_cfg/acpi_mr", version = 1)]
struct FwCfgAcpiImage {
    table_mr_size: u64,
    linker_mr_size: u64,
    rsdp_mr_size: u64,
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Reads a recorded body with its footer and writes it again: the image and its description.
fn through<I: VmState<Props = ()> + Default>(hex: &str) -> (I, Description) {
    let body = octets(hex);
    let stream = [&body[..], &[0x7e, 0, 0, 0, 0x15]].concat();
    let mut input = Input::from_slice(&stream, 0);
    let mut image = I::default();
    image.decode(&(), I::SCHEMA.version, &mut input).unwrap();
    assert_eq!(input.buffered(), [0x7e, 0, 0, 0, 0x15], "the footer follows");
    let mut written = Vec::new();
    let mut sink = DescribeSink::new(I::SCHEMA, &mut written);
    image.encode(&(), &mut sink).unwrap();
    let description = sink.finish();
    assert_eq!(written, body);
    (image, description)
}

#[test]
fn serial() {
    let (image, description) = through::<IsaSerialImage>("0001000001030860b00000");
    let SerialImage { divider, iir, lcr, mcr, lsr, msr, .. } = image.state;
    assert_eq!((divider, iir, lcr, mcr, lsr, msr), (1, 1, 3, 8, 0x60, 0xb0));
    assert_eq!(image.state.thr_ipending, None);
    assert_eq!((&*description.fields[0].name, description.fields[0].size), ("state", 11));
}

#[test]
fn i8254() {
    let (image, description) = through::<PitImage>(
        "0000000000010000000000000003030003020001000000000d020d6d00000000a05455180001000000000000000000000003\
         0001000000000000000000000000000000000001000000000000000000000003000000000000000000000000000000000000\
         00000000a0545518",
    );
    assert_eq!(image.channels[0].count, 0x1_0000);
    assert_eq!(image.next_transition_time, image.channels[0].next_transition_time);
    let described: Vec<_> = description.fields.iter().map(|f| (&*f.name, &*f.type_name, f.size, f.octets())).collect();
    assert_eq!(
        described,
        [
            ("channels[0].irq_disabled", "uint32", 4, 4),
            ("channels", "struct", 32, 96),
            ("channels[0].next_transition_time", "int64", 8, 8)
        ]
    );
}

#[test]
fn pckbd() {
    let (image, description) =
        through::<I8042Image>("001c6100051470636b62642f657874656e6465645f7374617465000000000000000000000001fa00");
    assert_eq!(image.kbd.outport, None);
    let extended = image.kbd.extended_state.unwrap();
    assert_eq!((extended.obsrc, extended.obdata), (1, 0xfa));
    let nested = description.fields[0].nested.as_ref().unwrap();
    assert_eq!((&*nested.vmsd_name, description.fields[0].size), ("pckbd", 40));
    assert_eq!(nested.subsections[0].vmsd_name, "pckbd/extended_state");
}

#[test]
fn fw_cfg() {
    let (image, description) = through::<FwCfgImage>(
        "000e00000002050a66775f6366672f646d61000000000000000000000000050e66775f6366672f616370695f6d72000000010000000000020000\
         00000000000010000000000000000014",
    );
    assert_eq!((image.cur_entry, image.cur_offset), (14, 2));
    assert_eq!(image.acpi_mr.unwrap().rsdp_mr_size, 0x14);
    let names: Vec<_> = description.fields.iter().map(|field| &*field.name).collect();
    assert_eq!(names, ["cur_entry", "cur_offset[1]"]);
    let versions: Vec<_> = description.subsections.iter().map(|s| (&*s.vmsd_name, s.version)).collect();
    assert_eq!(versions, [("fw_cfg/dma", 0), ("fw_cfg/acpi_mr", 1)]);
}
