//! The generated tests, on images that have every form between them; and proof that they find what they look for.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use vmstate::schema::{Field, Kind};
use vmstate::testkit::{self, Case};
use vmstate::{Input, LoadError, Migrate, Properties, Refused, SaveError, Schema, Sink, Versions, VmState};

#[derive(Properties, Debug, Clone)]
#[properties(device = "uart")]
struct UartProps {
    #[property(default = true)]
    migrate_fifo: bool,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "uart", version = 3, min = 1, props = UartProps)]
struct UartImage {
    #[vmstate(since = 2)]
    divider: u16,
    registers: [u8; 8],
    enabled: bool,
    #[vmstate(unused = 3)]
    gone: (),
    table: [[i16; 2]; 2],
    #[vmstate(gate = migrate_fifo)]
    level: u32,
    lines: [LineImage; 2],
    count: i32,
    #[vmstate(len = count, max = 6)]
    queue: Vec<u32>,
    text_count: u8,
    #[vmstate(buffer, len = text_count, max = 200)]
    text: Vec<u8>,
    #[vmstate(since = 3)]
    late: i64,
    #[vmstate(since = 3)]
    late_lines: [LineImage; 1],
    #[vmstate(subsection, gate = migrate_fifo)]
    fifo: Option<FifoImage>,
    #[vmstate(subsection)]
    timer: Option<TimerImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "line", version = 1)]
struct LineImage {
    level: bool,
    edges: u64,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "uart/fifo", version = 2, min = 1)]
struct FifoImage {
    #[vmstate(local)]
    depth: u16,
    #[vmstate(len = depth, max = 64)]
    entries: Vec<LineImage>,
    #[vmstate(subsection)]
    errors: Option<ErrorsImage>,
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "uart/fifo/errors", version = 1)]
struct ErrorsImage {
    #[vmstate(buffer)]
    flags: [u8; 16],
}

#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "uart/timer", version = 1)]
struct TimerImage {
    expires_ns: u64,
}

fn template() -> UartImage {
    let entries = vec![LineImage::default(); 3];
    UartImage { late: 77, fifo: Some(FifoImage { depth: 3, entries, errors: None }), ..Default::default() }
}

fn full() -> UartImage {
    let line = LineImage { level: true, edges: 9 };
    let entries = vec![line.clone(), LineImage::default(), line.clone()];
    UartImage {
        divider: 12,
        registers: *b"\x05\x05uart/t",
        enabled: true,
        gone: (),
        table: [[-1, 2], [3, -4]],
        level: 5,
        lines: [line.clone(), LineImage::default()],
        count: 2,
        queue: vec![7, 8],
        text_count: 3,
        text: b"abc".to_vec(),
        late: -5,
        late_lines: [line],
        fifo: Some(FifoImage { depth: 3, entries, errors: Some(ErrorsImage { flags: [3; 16] }) }),
        timer: Some(TimerImage { expires_ns: u64::MAX }),
    }
}

vmstate::vmstate_tests! {
    mod uart_image: UartImage {
        props: UartProps::default(),
        template: template(),
        samples: [UartImage { fifo: None, ..template() }, full()],
        schema: "tests/schemas/uart.schema",
    }
}

vmstate::vmstate_tests! {
    mod fifo_image: FifoImage {
        props: (),
        template: template().fifo.unwrap(),
        samples: [full().fifo.unwrap()],
        schema: "tests/schemas/fifo.schema",
    }
}

/// Whether a check of the test kit fails.
fn fails(check: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(check)).is_err()
}

#[test]
fn a_subsection_without_a_sample_is_noticed() {
    let case = Case { props: UartProps::default(), template: template(), samples: vec![UartImage::default()] };
    assert!(fails(|| testkit::samples_have_all_subsections(&case)));
}

#[test]
fn a_subsection_without_a_shape_is_noticed() {
    let case = Case { props: UartProps::default(), template: UartImage::default(), samples: vec![full()] };
    assert!(fails(|| testkit::samples_come_back(&case)));
}

/// An image whose decoder was written by hand and forgets things.
#[derive(Debug, Default, Clone, PartialEq)]
struct SloppyImage {
    first: u8,
    second: u8,
}

impl VmState for SloppyImage {
    const SCHEMA: &'static Schema = &Schema::new("sloppy", 2).minimum(1);
    type Props = ();
    type Shape = vmstate::image::FromDefault;

    fn encode_part(&self, _props: &(), sink: &mut dyn Sink) -> Result<(), SaveError> {
        sink.put(&[self.first, self.second]);
        Ok(())
    }

    fn decode(&mut self, _props: &(), _version: u32, input: &mut Input<'_>) -> Result<(), LoadError> {
        // Neither the version, nor the end of the input, nor the second octet, nor subsections are looked at.
        if let [first, _] = *input.peek(2)? {
            self.first = first;
            input.consume(1);
        }
        Ok(())
    }
}

#[test]
fn a_decoder_that_forgets_is_noticed_by_each_check() {
    let samples = vec![SloppyImage { first: 0x7e, second: 1 }];
    let case = Case { props: (), template: SloppyImage::default(), samples };
    assert!(fails(|| testkit::samples_come_back(&case)));
    assert!(fails(|| testkit::every_truncation_is_noticed(&case)));
    assert!(fails(|| testkit::every_version_loads_and_others_are_refused(&case)));
    assert!(fails(|| testkit::subsections_follow_the_rules(&case)));
    assert!(fails(|| testkit::described_sizes_add_up(&case)));
}

/// An image whose decoder was written by hand and takes every value for one that is accepted.
#[derive(Debug, Default, Clone, PartialEq)]
struct TrustingImage {
    limit: [u8; 4],
}

impl VmState for TrustingImage {
    const SCHEMA: &'static Schema = &Schema::new("trusting", 1).fields(&[Field::new("limit", Kind::Le)]);
    type Props = ();
    type Shape = vmstate::image::FromDefault;

    fn encode_part(&self, _props: &(), sink: &mut dyn Sink) -> Result<(), SaveError> {
        sink.begin_field(Self::SCHEMA, 0, 1);
        sink.put(&self.limit);
        sink.end_field();
        Ok(())
    }

    fn decode(&mut self, _props: &(), _version: u32, input: &mut Input<'_>) -> Result<(), LoadError> {
        self.limit = input.array()?;
        Ok(())
    }
}

#[test]
fn a_bound_that_is_not_kept_is_noticed() {
    let template = TrustingImage { limit: [0, 0, 0, 9] };
    let case = Case { props: (), template: template.clone(), samples: vec![template] };
    testkit::samples_come_back(&case);
    assert!(fails(|| testkit::bounds_are_kept(&case)));
}

/// A device that checks late.
#[derive(Debug, Clone)]
struct HastyDevice {
    checks_first: bool,
    state: LineImage,
}

impl Migrate for HastyDevice {
    type Image = LineImage;
    type Props = ();

    fn props(&self) {}

    fn snapshot(&self) -> Result<LineImage, Refused> {
        Ok(self.state.clone())
    }

    fn template(&self) -> Result<LineImage, Refused> {
        Ok(self.state.clone())
    }

    fn restore(&mut self, image: LineImage, _: &Versions) -> Result<(), Refused> {
        let LineImage { level, edges } = image;
        if !self.checks_first {
            self.state.level = level;
        }
        if edges > 100 {
            return Err(Refused::new("more than 100 edges"));
        }
        self.state = LineImage { level, edges };
        Ok(())
    }
}

#[test]
fn a_device_that_changes_before_it_refuses_is_noticed() {
    let refuse = |checks_first| {
        let mut device = HastyDevice { checks_first, state: LineImage::default() };
        let refused = testkit::refuses_untouched(&mut device, LineImage { level: true, edges: 101 });
        assert_eq!(refused, Refused::new("more than 100 edges"));
    };
    refuse(true);
    assert!(fails(|| refuse(false)));
}

vmstate::vmstate_tests!(FootnoteImage);

/// An image that has every form whose octets the description tells, and one test.
#[derive(VmState, Debug, Default, Clone, PartialEq)]
#[vmstate(name = "footnote", version = 2, min = 1)]
struct FootnoteImage {
    kind: u8,
    #[vmstate(when = has_text)]
    text: [u8; 3],
    #[vmstate(since = 2)]
    late: u16,
}

fn has_text(image: &FootnoteImage, _version: u32) -> bool {
    image.kind != 0
}
