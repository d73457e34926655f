//! The derive's decoders against any octets, on an image that has every form.
//!
//! Oracles: no panic; memory within libFuzzer's limit, however large the counts; the same result whether the input
//! comes whole or one octet at a time; an error is within the input; what was decoded can be written, and comes back
//! equal; described sizes add up to the octets written.
//!
//! Input: one octet of choices, then the stream; or, by a choice, changes to an encoded image (two octets of position
//! and one of value each), so that mutations reach deep without having to find names and counts first.

#![no_main]

use std::collections::BTreeMap;
use std::error::Error;

use libfuzzer_sys::fuzz_target;
use vmstate::codecs::{Float64Bits, GuestUlong, TimerExpiry};
use vmstate::input::Refill;
use vmstate::parts::Fifo8Image;
use vmstate::{DescribeSink, Input, LoadError, Properties, Refused, VmState};

#[derive(Properties, Debug, Clone)]
#[properties(device = "uart")]
struct UartProps {
    #[property(default = true)]
    migrate_fifo: bool,
    #[property(flatten)]
    line: LineProps,
}

#[derive(Properties, Debug, Clone)]
#[properties(device = "line")]
struct LineProps {
    #[property(default = true)]
    wide: bool,
}

fn wants_extra(image: &UartImage, version: u32) -> bool {
    version > 1 && image.enabled
}

fn fits(image: &UartImage) -> Result<(), Refused> {
    if image.text_count < 250 { Ok(()) } else { Err(Refused::new("text of 250 octets or more")) }
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "uart", version = 3, min = 1, props = UartProps)]
struct UartImage {
    #[vmstate(since = 2)]
    divider: u16,
    registers: [u8; 8],
    enabled: bool,
    flags: [bool; 3],
    #[vmstate(equal, hint = "same model")]
    model: u16,
    #[vmstate(unused = 3)]
    gone: (),
    table: [[i16; 2]; 2],
    #[vmstate(unused = 300, when = wants_extra)]
    gone_too: (),
    #[vmstate(gate = migrate_fifo)]
    level: u32,
    #[vmstate(buffer, when = wants_extra)]
    extra: [u8; 9],
    #[vmstate(props = line)]
    first: GatedLineImage,
    lines: [LineImage; 2],
    count: i32,
    #[vmstate(len = count, max = 1_000_000)]
    queue: Vec<u32>,
    line_count: u16,
    #[vmstate(len = line_count, max = 60_000)]
    many: Vec<LineImage>,
    text_count: u8,
    #[vmstate(check = fits)]
    fits: (),
    #[vmstate(buffer, len = text_count, max = 255)]
    text: Vec<u8>,
    large_count: u32,
    #[vmstate(buffer, len = large_count, max = 1 << 24)]
    large: Vec<u8>,
    #[vmstate(le)]
    ports: i32,
    #[vmstate(len = ports, scale = 3, max = 100)]
    lanes: Vec<u16>,
    #[vmstate(unused = 7, len = text_count, max = 255)]
    no_text: (),
    #[vmstate(bitmap, len = large_count, max = 1 << 24)]
    bits: Vec<u64>,
    #[vmstate(list, max = 300)]
    requests: Vec<LineImage>,
    #[vmstate(tree, max = 300)]
    by_id: BTreeMap<KeyImage, LineImage>,
    #[vmstate(tree, max = 300)]
    by_address: BTreeMap<u64, KeyImage>,
    #[vmstate(pinned = 1)]
    old: LineNameImage,
    pointers: [Option<LineImage>; 3],
    expiry: TimerExpiry,
    float: Float64Bits,
    wide: GuestUlong<u64>,
    ring: Fifo8Image,
    #[vmstate(since = 3)]
    late: i64,
    #[vmstate(subsection, gate = migrate_fifo)]
    fifo: Option<FifoImage>,
    #[vmstate(subsection)]
    timer: Option<TimerImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "gated", version = 1, props = LineProps)]
struct GatedLineImage {
    level: u8,
    #[vmstate(gate = wide)]
    high: u32,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "ln", version = 1)]
struct LineImage {
    level: bool,
    edges: u64,
    #[vmstate(subsection)]
    name: Option<LineNameImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "ln.n", version = 2, min = 0)]
struct LineNameImage {
    first: u8,
    #[vmstate(since = 1)]
    second: u8,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "uart/fifo", version = 2, min = 1)]
struct FifoImage {
    #[vmstate(local)]
    depth: u16,
    #[vmstate(len = depth, max = 64)]
    entries: Vec<u64>,
    #[vmstate(since = 2)]
    overruns: u32,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "uart_timer", version = 1)]
struct TimerImage {
    expires_ns: u64,
}

#[derive(VmState, Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[vmstate(name = "key", version = 1)]
struct KeyImage {
    id: u16,
}

fn template() -> UartImage {
    let fifo = FifoImage { depth: 3, entries: vec![0; 3], overruns: 0 };
    UartImage {
        model: 7,
        // A load may bring fewer; what is loaded is loaded again, over the same template.
        ports: 4,
        lanes: vec![0; 12],
        pointers: [Some(LineImage::default()), None, Some(LineImage::default())],
        ring: Fifo8Image { capacity: 8, data: vec![0; 8], ..Fifo8Image::default() },
        fifo: Some(fifo),
        ..UartImage::default()
    }
}

fn sample() -> UartImage {
    let line = LineImage { level: true, edges: 9, name: Some(LineNameImage { first: 1, second: 2 }) };
    UartImage {
        enabled: true,
        count: 2,
        queue: vec![1, 2],
        line_count: 1,
        many: vec![line.clone()],
        lines: [line, LineImage::default()],
        text_count: 5,
        text: b"hello".to_vec(),
        ports: 1,
        lanes: vec![1, 2, 3],
        requests: vec![LineImage::default(), LineImage { level: true, edges: 3, name: None }],
        by_id: BTreeMap::from([(KeyImage { id: 4 }, LineImage::default())]),
        by_address: BTreeMap::from([(0x8000_0000, KeyImage { id: 4 })]),
        expiry: TimerExpiry(Some(12)),
        timer: Some(TimerImage { expires_ns: 1 }),
        ..template()
    }
}

/// A source that gives one octet at a time.
struct OneByOne<'a>(&'a [u8]);

impl Refill for OneByOne<'_> {
    fn refill(&mut self, buffer: &mut [u8]) -> Result<usize, Box<dyn Error + Send + Sync>> {
        let Some(((first, rest), place)) = self.0.split_first().zip(buffer.first_mut()) else { return Ok(0) };
        *place = *first;
        self.0 = rest;
        Ok(1)
    }
}

fn decode(props: &UartProps, version: u32, mut input: Input<'_>) -> Result<(UartImage, u64), LoadError> {
    let mut image = template();
    image.decode(props, version, &mut input)?;
    Ok((image, input.offset()))
}

fuzz_target!(|data: &[u8]| {
    let Some((&choices, rest)) = data.split_first() else { return };
    let mut props = UartProps::default();
    props.migrate_fifo = choices & 4 != 0;
    props.line.wide = choices & 8 != 0;
    let version = u32::from(choices & 3);
    let octets = if choices & 16 != 0 {
        let mut octets = Vec::new();
        sample().encode(&props, &mut octets).expect("the sample is consistent");
        for change in rest.chunks_exact(3) {
            let at = usize::from(u16::from_be_bytes([change[0], change[1]]));
            if let Some(octet) = octets.get_mut(at) {
                *octet = change[2];
            }
        }
        octets
    } else {
        rest.to_vec()
    };

    let whole = decode(&props, version, Input::from_slice(&octets, 0));
    let slow = decode(&props, version, Input::new(OneByOne(&octets), 0));
    let (image, consumed) = match (whole, slow) {
        (Ok(whole), Ok(slow)) => {
            assert_eq!(whole, slow);
            whole
        }
        (Err(whole), Err(slow)) => {
            assert_eq!(whole.to_string(), slow.to_string());
            assert!(whole.offset() <= octets.len() as u64, "{whole}");
            return;
        }
        (whole, slow) => panic!("whole {whole:?}, one by one {slow:?}"),
    };
    assert!(consumed <= octets.len() as u64);

    let mut written = Vec::new();
    let mut sink = DescribeSink::new(UartImage::SCHEMA, &mut written);
    if let Err(error) = image.encode(&props, &mut sink) {
        // Fields that an older sender lacks may stand behind a nested image, and look like what they must not.
        assert!(error.to_string().contains("look like a subsection"), "{error}");
        return;
    }
    let description = sink.finish();
    assert_eq!(description.octets(), written.len() as u64);
    let (back, end) = decode(&props, 3, Input::from_slice(&written, 0)).expect("what was written loads");
    assert_eq!(end, written.len() as u64);
    // What is not sent stays at the template, except that a subsection behind a closed gate was loaded all the same.
    if props.migrate_fifo {
        assert_eq!(back, image);
    }
});
