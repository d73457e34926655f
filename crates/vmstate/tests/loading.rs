//! The rules of loading and saving that go beyond single fields (`docs/spec/vmstate.md` sections 3, 6 and 7).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use std::sync::{Arc, Mutex};

use vmstate::{Input, LoadError, Migrate, Place, Properties, Reason, Refused, Registry, Versions, VmState};

fn encode<I: VmState<Props = ()>>(image: &I) -> Vec<u8> {
    let mut octets = Vec::new();
    image.encode(&(), &mut octets).unwrap();
    octets
}

fn decode<I: VmState<Props = ()>>(mut template: I, octets: &[u8]) -> Result<(I, Vec<u8>), LoadError> {
    let mut input = Input::from_slice(octets, 0x100);
    template.decode(&(), I::SCHEMA.version, &mut input)?;
    Ok((template, input.buffered().to_vec()))
}

fn subsection(name: &str, version: u32, body: &[u8]) -> Vec<u8> {
    let mut octets = vec![5, u8::try_from(name.len()).unwrap()];
    octets.extend(name.as_bytes());
    octets.extend(version.to_be_bytes());
    octets.extend(body);
    octets
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "drive", version = 3)]
struct DriveImage {
    feature: u8,
    #[vmstate(subsection)]
    pio: Option<PioImage>,
    #[vmstate(subsection)]
    tray: Option<TrayImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "drive/pio_state", version = 2, min = 1)]
struct PioImage {
    #[vmstate(local)]
    buffer_len: i32,
    sectors: i32,
    #[vmstate(buffer, len = buffer_len, max = 1024)]
    buffer: Vec<u8>,
    #[vmstate(since = 2)]
    late: u8,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "drive.tray", version = 1)]
struct TrayImage {
    open: bool,
}

fn template() -> DriveImage {
    let pio = PioImage { buffer_len: 2, buffer: vec![0; 2], late: 9, ..Default::default() };
    DriveImage { pio: Some(pio), ..Default::default() }
}

#[test]
fn the_shape_comes_from_the_template_and_presence_from_the_stream() {
    let image = DriveImage {
        feature: 1,
        pio: Some(PioImage { buffer_len: 2, sectors: 3, buffer: vec![4, 5], late: 6 }),
        tray: Some(TrayImage { open: true }),
    };
    let octets = encode(&image);
    assert_eq!(octets.len(), 1 + 2 + 15 + 4 + (4 + 2 + 1) + 2 + 10 + 4 + 1);
    assert_eq!(decode(template(), &octets).unwrap(), (image, vec![]));
    assert_eq!(decode(template(), &[1]).unwrap().0, DriveImage { feature: 1, pio: None, tray: None });
}

#[test]
fn subsections_come_in_any_order_and_in_older_versions() {
    let mut octets = vec![7];
    octets.extend(subsection("drive.tray", 1, &[1]));
    octets.extend(subsection("drive/pio_state", 1, &[0, 0, 0, 1, 2, 3]));
    octets.extend([0x7e]);
    let (image, rest) = decode(template(), &octets).unwrap();
    assert_eq!(image.tray, Some(TrayImage { open: true }));
    assert_eq!(image.pio.unwrap(), PioImage { buffer_len: 2, sectors: 1, buffer: vec![2, 3], late: 9 });
    assert_eq!(rest, [0x7e]);
}

#[test]
fn a_subsection_that_needs_a_template_has_no_default() {
    let mut octets = vec![7];
    octets.extend(subsection("drive/pio_state", 1, &[0, 0, 0, 1, 2, 3]));
    let error = decode(DriveImage::default(), &octets).unwrap_err();
    assert!(matches!(error.reason(), Reason::NoTemplate), "{error}");
    assert_eq!(error.path(), "drive/pio_state");
}

#[test]
fn an_unknown_subsection_of_ours_is_refused_where_it_begins() {
    let mut octets = vec![7];
    octets.extend(subsection("driveway", 1, &[]));
    let error = decode(template(), &octets).unwrap_err();
    assert_eq!(error.to_string(), "at byte 0x101: subsection 'driveway' is not known to this release");
}

#[test]
fn what_is_not_ours_is_left_to_the_next_reader() {
    for rest in [
        subsection("drivf/x", 1, &[]),
        subsection("drive", 1, &[]),
        subsection("d", 1, &[]),
        b"\x05".to_vec(),
        b"\x05\x0fdrive/pio_stat".to_vec(),
        b"\x04\x0fdrive/pio_state".to_vec(),
        vec![],
    ] {
        let octets = [&[7][..], &rest].concat();
        let (image, left) = decode(template(), &octets).unwrap();
        assert_eq!((image.feature, left), (7, rest));
    }
}

#[test]
fn a_repeated_subsection_is_refused() {
    let octets = [&[7][..], &subsection("drive.tray", 1, &[1]), &subsection("drive.tray", 1, &[1])].concat();
    let error = decode(template(), &octets).unwrap_err();
    assert!(matches!(error.reason(), Reason::RepeatedSubsection { name } if name == "drive.tray"), "{error}");
    assert_eq!(error.offset(), 0x101 + 17);
}

#[test]
fn the_version_of_a_subsection_is_checked_in_full() {
    for (version, text) in [
        (0, "drive/pio_state at byte 0x112: version 0 is too old: this release loads from version 1 on"),
        (3, "drive/pio_state at byte 0x112: version 3 is too new: this release loads up to version 2"),
        (0x101, "drive/pio_state at byte 0x112: version 257 is too new: this release loads up to version 2"),
    ] {
        let octets = [&[7][..], &subsection("drive/pio_state", version, &[0; 16])].concat();
        assert_eq!(decode(template(), &octets).unwrap_err().to_string(), text);
    }
}

#[test]
fn errors_in_a_subsection_name_it_and_the_field() {
    let octets = [&[7][..], &subsection("drive/pio_state", 2, &[0, 0, 0, 1, 2])].concat();
    let error = decode(template(), &octets).unwrap_err();
    assert_eq!(error.to_string(), "drive/pio_state.buffer at byte 0x11a: stream ends: needs 2 bytes, 1 left");
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "counts", version = 1)]
struct CountsImage {
    signed: i32,
    #[vmstate(len = signed, max = 3)]
    words: Vec<u32>,
    unsigned: u32,
    #[vmstate(len = unsigned, max = LARGE)]
    flags: Vec<bool>,
}

const LARGE: usize = 100_000;

#[test]
fn counts_meet_their_limit_before_anything_is_sized() {
    let refused = |octets: &[u8]| decode(CountsImage::default(), octets).unwrap_err().to_string();
    assert_eq!(refused(&[0, 0, 0, 4]), "words at byte 0x104: count 4 is over the limit of 3");
    assert_eq!(refused(&[0xff; 4]), "words at byte 0x104: count -1 is negative");
    assert_eq!(refused(&[0, 0, 0, 1, 0, 0]), "words[0] at byte 0x104: stream ends: needs 4 bytes, 2 left");
    assert_eq!(
        refused(&[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]),
        "flags at byte 0x108: count 4294967295 is over the limit of 100000"
    );
    let mut octets = vec![0, 0, 0, 0, 0, 1, 0x86, 0xa0];
    octets.extend(vec![1; 3000]);
    assert_eq!(refused(&octets), "flags[3000] at byte 0xcc0: stream ends: needs 1 bytes, 0 left");
    octets[8 + 1999] = 7;
    assert_eq!(refused(&octets), "flags[1999] at byte 0x8d7: octet 0x07 is neither 0 nor 1, as a bool is");
    octets[8 + 1999] = 1;
    octets.extend(vec![0; 97_000]);
    assert_eq!(decode(CountsImage::default(), &octets).unwrap().0.flags.len(), LARGE);
}

#[test]
fn an_image_whose_count_is_wrong_is_not_written() {
    let refused = |image: CountsImage| image.encode(&(), &mut Vec::new()).unwrap_err().to_string();
    let image = CountsImage { signed: 2, words: vec![1], ..Default::default() };
    assert_eq!(refused(image), "words: holds 1 elements, but its count says 2");
    let image = CountsImage { signed: 4, words: vec![1; 4], ..Default::default() };
    assert_eq!(refused(image), "words: count 4 is over the limit of 3");
    let image = CountsImage { signed: -1, ..Default::default() };
    assert_eq!(refused(image), "words: count -1 is negative");
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "in", version = 1)]
struct InnerImage {
    value: u8,
    #[vmstate(subsection)]
    more: Option<InnerMoreImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "in/more", version = 1)]
struct InnerMoreImage {
    value: u8,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "outer", version = 1)]
struct OuterImage {
    inner: [InnerImage; 2],
    #[vmstate(buffer)]
    guest: [u8; 8],
}

#[test]
fn octets_that_a_loader_would_take_for_a_subsection_are_refused() {
    let image = |guest: &[u8; 8]| OuterImage { guest: *guest, ..Default::default() };
    for harmless in [b"\x05\x02in....", b"\x05\x03im....", b"\x04\x03in....", b"\0\x05\x03in..."] {
        let octets = encode(&image(harmless));
        assert_eq!(decode(OuterImage::default(), &octets).unwrap().0, image(harmless));
    }
    for taken in [b"\x05\x03in1...", b"\x05\x06in/xyz", b"\x05\xffin...."] {
        let error = image(taken).encode(&(), &mut Vec::new()).unwrap_err();
        assert!(error.to_string().starts_with("the data behind a nested 'in' look like a subsection"), "{error}");
    }
    // A first element that looks like a header: its value is what the loader peeks at behind the element before.
    let mut split = image(b"in......");
    split.inner[0].value = 9;
    split.inner[1].value = 5;
    encode(&split);
}

#[test]
fn subsections_of_a_nested_image_stand_inside_the_parent() {
    let mut image = OuterImage::default();
    image.inner[0].more = Some(InnerMoreImage { value: 3 });
    let octets = encode(&image);
    assert_eq!(octets, b"\0\x05\x07in/more\0\0\0\x01\x03\0\0\0\0\0\0\0\0\0");
    assert_eq!(decode(OuterImage::default(), &octets).unwrap().0, image);
    let error = decode(OuterImage::default(), &octets[..14]).unwrap_err();
    assert_eq!(error.to_string(), "inner[0].in/more.value at byte 0x10e: stream ends: needs 1 bytes, 0 left");
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "checked", version = 1)]
struct CheckedImage {
    #[vmstate(equal, hint = "use the same number of slots")]
    slots: u16,
    used: u8,
    #[vmstate(check = fits)]
    fits: (),
    rest: u8,
}

fn fits(image: &CheckedImage) -> Result<(), Refused> {
    if u16::from(image.used) <= image.slots { Ok(()) } else { Err(Refused::new("more slots used than there are")) }
}

#[test]
fn equal_and_check_refuse_at_their_place() {
    let template = CheckedImage { slots: 4, ..Default::default() };
    let (image, _) = decode(template.clone(), &[0, 4, 3, 9]).unwrap();
    assert_eq!(image, CheckedImage { slots: 4, used: 3, fits: (), rest: 9 });
    assert_eq!(
        decode(template.clone(), &[0, 5, 3, 9]).unwrap_err().to_string(),
        "slots at byte 0x100: value 0x5 does not equal 0x4 here (use the same number of slots)"
    );
    assert_eq!(
        decode(template.clone(), &[0, 4, 5, 9]).unwrap_err().to_string(),
        "fits at byte 0x103: more slots used than there are"
    );
    let error = CheckedImage { slots: 1, used: 2, ..template }.encode(&(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "fits: more slots used than there are");
}

#[derive(Properties, Debug, Clone)]
#[properties(device = "bus")]
struct BusProps {
    #[property(default = true)]
    migrate_bus: bool,
    #[property(flatten)]
    port: PortProps,
}

#[derive(Properties, Debug, Clone)]
#[properties(device = "port")]
struct PortProps {
    #[property(default = false)]
    wide: bool,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "bus", version = 1, props = BusProps, gate = migrate_bus)]
struct BusImage {
    #[vmstate(props = port)]
    port: PortImage,
    #[vmstate(subsection, props = port)]
    spare: Option<SparePortImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "port", version = 1, props = PortProps)]
struct PortImage {
    value: u8,
    #[vmstate(gate = wide)]
    high: u8,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "bus/spare", version = 1, props = PortProps)]
struct SparePortImage {
    #[vmstate(gate = wide)]
    high: u8,
}

#[derive(Debug, Clone)]
struct Bus {
    props: BusProps,
    state: BusImage,
    received: Option<Versions>,
    refuses: bool,
}

impl Migrate for Bus {
    type Image = BusImage;
    type Props = BusProps;

    fn props(&self) -> BusProps {
        self.props.clone()
    }

    fn snapshot(&self) -> Result<BusImage, Refused> {
        if self.refuses {
            return Err(Refused::new("not now"));
        }
        Ok(self.state.clone())
    }

    fn template(&self) -> Result<BusImage, Refused> {
        Ok(self.state.clone())
    }

    fn restore(&mut self, image: BusImage, received: &Versions) -> Result<(), Refused> {
        if image.port.value == 0xff {
            return Err(Refused::new("port value 0xff is reserved"));
        }
        self.state = image;
        self.received = Some(received.clone());
        Ok(())
    }
}

fn bus(wide: bool) -> Arc<Mutex<Bus>> {
    let mut props = BusProps::defaults();
    props.port.wide = wide;
    let state = BusImage { port: PortImage { value: 1, high: 2 }, spare: Some(SparePortImage { high: 3 }) };
    Arc::new(Mutex::new(Bus { props, state, received: None, refuses: false }))
}

#[test]
fn a_nested_image_gets_its_properties_from_those_of_its_parent() {
    for (wide, octets) in
        [(false, &b"\x01\x05\x09bus/spare\0\0\0\x01"[..]), (true, b"\x01\x02\x05\x09bus/spare\0\0\0\x01\x03")]
    {
        let device = bus(wide);
        let registry = Registry::new(0);
        registry.register(Place::default(), Arc::clone(&device)).unwrap();
        let entry = registry.find("bus", 0).unwrap();
        let mut out = Vec::new();
        entry.section().save().unwrap().unwrap().encode(&mut out).unwrap();
        assert_eq!(out, octets);

        let mut input = Input::from_slice(octets, 0);
        entry.section().load(1, &mut input).unwrap().commit().unwrap();
        let received = device.lock().unwrap().received.clone().unwrap();
        assert_eq!((received.section, received.subsection("bus/spare")), (1, Some(1)));
        assert_eq!(received.subsection("bus/other"), None);
    }
}

#[test]
fn a_section_with_a_closed_gate_is_not_saved() {
    let device = bus(false);
    device.lock().unwrap().props.migrate_bus = false;
    let registry = Registry::new(0);
    registry.register(Place::default(), Arc::clone(&device)).unwrap();
    assert!(registry.find("bus", 0).unwrap().section().save().unwrap().is_none());
    assert_eq!(BusImage::SCHEMA.gate, Some("migrate-bus"));
}

#[test]
fn a_refused_load_leaves_the_device_as_it_was() {
    let device = bus(false);
    let before = device.lock().unwrap().state.clone();
    let registry = Registry::new(0);
    registry.register(Place::default(), Arc::clone(&device)).unwrap();
    let entry = registry.find("bus", 0).unwrap();
    let section = entry.section();
    let error = section.load(1, &mut Input::from_slice(b"", 0)).err().unwrap();
    assert_eq!(error.to_string(), "bus.port.value at byte 0x0: stream ends: needs 1 bytes, 0 left");
    let loaded = section.load(1, &mut Input::from_slice(b"\xff\0", 0)).unwrap();
    assert!(loaded.commit().is_err());
    assert_eq!(device.lock().unwrap().state, before);
}

#[test]
fn an_error_of_saving_begins_with_the_name_of_the_image() {
    let device = bus(false);
    device.lock().unwrap().refuses = true;
    let registry = Registry::new(0);
    registry.register(Place::default(), Arc::clone(&device)).unwrap();
    let refused = registry.find("bus", 0).unwrap().section().save().err().unwrap();
    assert_eq!(refused, Refused::new("not now"), "the device's own objection stands alone");

    #[derive(Debug)]
    struct Miscounted;
    impl Migrate for Miscounted {
        type Image = CountsImage;
        type Props = ();
        fn props(&self) {}
        fn snapshot(&self) -> Result<CountsImage, Refused> {
            Ok(CountsImage { signed: 1, ..Default::default() })
        }
        fn template(&self) -> Result<CountsImage, Refused> {
            Ok(CountsImage::default())
        }
        fn restore(&mut self, _: CountsImage, _: &Versions) -> Result<(), Refused> {
            Ok(())
        }
    }
    registry.register(Place::default(), Miscounted).unwrap();
    let saved = registry.find("counts", 0).unwrap().section().save().unwrap().unwrap();
    let error = saved.encode(&mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "counts.words: holds 0 elements, but its count says 1");
}
