//! The in-stream description of images with every form (`docs/spec/vmdesc.md` A2 to A4).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail by panicking")]

use vmstate::describe::{DescribeSink, Description, Repeat};
use vmstate::{Input, LoadError, SaveError, Sink, VmState, Wire};

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "point", version = 2)]
struct PointImage {
    x: u16,
    y: u8,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "text", version = 1)]
struct TextImage {
    length: u8,
    #[vmstate(buffer, len = length, max = 16)]
    octets: Vec<u8>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "port", version = 1)]
struct PortImage {
    value: u8,
    #[vmstate(subsection)]
    extra: Option<PortExtraImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "port/extra", version = 5)]
struct PortExtraImage {
    points: [PointImage; 2],
}

/// A string with its length before it.
#[derive(Debug, Default, Clone, PartialEq)]
struct Word(String);

impl Wire for Word {
    const KIND: vmstate::schema::Kind = vmstate::schema::Kind::Codec { name: "capability", octets: None };

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        sink.put(&[u8::try_from(self.0.len()).unwrap()]);
        sink.put(self.0.as_bytes());
        Ok(())
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        let [length] = input.array()?;
        let mut octets = vec![0; usize::from(length)];
        input.read_exact(&mut octets)?;
        self.0 = String::from_utf8(octets).unwrap();
        Ok(())
    }
}

fn always(_: &AllImage, _: u32) -> bool {
    true
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "all", version = 3, min = 1)]
struct AllImage {
    flag: bool,
    #[vmstate(unused = 3)]
    gone: (),
    pair: [u32; 2],
    single: [u32; 1],
    none: [u32; 0],
    #[vmstate(buffer)]
    raw: [u8; 5],
    #[vmstate(since = 2, name = "config")]
    early_config: u32,
    #[vmstate(when = always, name = "config")]
    late_config: [u16; 2],
    points: [PointImage; 3],
    one_point: PointImage,
    texts: [TextImage; 2],
    ports: [PortImage; 2],
    words: [Word; 2],
    count: u32,
    #[vmstate(len = count, max = 8)]
    counted: Vec<u16>,
    #[vmstate(unused = 2)]
    gone_too: (),
    #[vmstate(subsection)]
    sub: Option<AllSubImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "all/sub", version = 1)]
struct AllSubImage {
    value: u64,
}

fn all() -> AllImage {
    let point = PointImage { x: 1, y: 2 };
    AllImage {
        flag: true,
        raw: *b"12345",
        late_config: [3, 4],
        points: [point.clone(), point.clone(), point.clone()],
        texts: [TextImage { length: 1, octets: b"a".to_vec() }, TextImage { length: 3, octets: b"abc".to_vec() }],
        ports: [PortImage::default(), PortImage { value: 3, extra: Some(PortExtraImage::default()) }],
        words: [Word("mapped-ram".to_owned()), Word("x".to_owned())],
        count: 3,
        counted: vec![7, 8, 9],
        sub: Some(AllSubImage { value: 1 }),
        ..Default::default()
    }
}

fn describe(image: &AllImage) -> (Vec<u8>, Description) {
    let mut octets = Vec::new();
    let mut sink = DescribeSink::new(AllImage::SCHEMA, &mut octets);
    image.encode(&(), &mut sink).unwrap();
    let description = sink.finish();
    (octets, description)
}

fn lines(description: &Description, indent: usize, out: &mut String) {
    use std::fmt::Write;
    let pad = " ".repeat(indent);
    writeln!(out, "{pad}{} v{}", description.vmsd_name, description.version).unwrap();
    for field in &description.fields {
        let repeat = match field.repeat {
            Repeat::Single => String::new(),
            Repeat::Array(len) => format!(" array_len {len}"),
            Repeat::Element(index) => format!(" index {index}"),
        };
        writeln!(out, "{pad}  {}{repeat} {} size {}", field.name, field.type_name, field.size).unwrap();
        if let Some(nested) = &field.nested {
            lines(nested, indent + 4, out);
        }
    }
    for subsection in &description.subsections {
        writeln!(out, "{pad}  subsection").unwrap();
        lines(subsection, indent + 4, out);
    }
}

#[test]
fn every_form_is_described_as_the_specification_says() {
    let (_, description) = describe(&all());
    let mut text = String::new();
    lines(&description, 0, &mut text);
    let expected = "\
all v3
  flag bool size 1
  unused[0] unused_buffer size 3
  pair array_len 2 uint32 size 4
  single uint32 size 4
  raw buffer size 5
  config[0] uint32 size 4
  config[1] index 0 uint16 size 2
  config[1] index 1 uint16 size 2
  points array_len 3 struct size 3
    point v2
      x uint16 size 2
      y uint8 size 1
  one_point struct size 3
    point v2
      x uint16 size 2
      y uint8 size 1
  texts index 0 struct size 2
    text v1
      length uint8 size 1
      octets buffer size 1
  texts index 1 struct size 4
    text v1
      length uint8 size 1
      octets buffer size 3
  ports index 0 struct size 1
    port v1
      value uint8 size 1
  ports index 1 struct size 23
    port v1
      value uint8 size 1
      subsection
        port/extra v5
          points array_len 2 struct size 3
            point v2
              x uint16 size 2
              y uint8 size 1
  words index 0 capability size 11
  words index 1 capability size 2
  count uint32 size 4
  counted array_len 3 uint16 size 2
  unused[1] unused_buffer size 2
  subsection
    all/sub v1
      value uint64 size 8
";
    assert_eq!(text, expected);
}

#[test]
fn described_sizes_add_up_to_the_octets_written() {
    let mut image = all();
    for count in 0..=8_u16 {
        image.count = u32::from(count);
        image.counted = (0..count).collect();
        image.texts[0] = TextImage { length: u8::try_from(count).unwrap(), octets: vec![1; usize::from(count)] };
        if count % 2 == 0 {
            image.sub = None;
        }
        let (octets, description) = describe(&image);
        assert_eq!(description.octets(), octets.len() as u64, "count {count}");
        let mut plain = Vec::new();
        image.encode(&(), &mut plain).unwrap();
        assert_eq!(plain, octets, "describing changes no octet");
    }
}

#[test]
fn an_image_of_every_form_comes_back() {
    let (octets, _) = describe(&all());
    let mut back = AllImage::default();
    back.decode(&(), 3, &mut Input::from_slice(&octets, 0)).unwrap();
    assert_eq!(back, all());
}
