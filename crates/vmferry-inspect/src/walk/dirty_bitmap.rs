//! The `dirty-bitmap` section: which bitmaps of block devices are moved, and how many of their bits are set.
//!
//! | flags | payload of a chunk |
//! |---|---|
//! | 0x01 EOS | none; ends the body |
//! | 0x10 START | u32 granularity, u8 flags (0x01 enabled, 0x02 persistent) |
//! | 0x40 BITS | u64 first sector, u32 sectors, u64 octets, the octets |
//! | 0x42 BITS, ZEROES | u64 first sector, u32 sectors |
//! | 0x20 COMPLETE | none |
//!
//! 0x08 puts a node's name before it, 0x04 a bitmap's; without them they are those of the chunk before, in the section
//! before as well. Source: `docs/spec/dirty-bitmaps.md` sections 2 and 7.

use crate::error::{Halt, Step, StreamFault};
use crate::limits::{BITMAP_CHUNK_BYTES_LIMIT, BITMAP_COUNT_LIMIT};
use crate::reader::StreamReader;
use crate::value::{Object, Scalar, Value};

const EOS: u8 = 0x01;
const ZEROES: u8 = 0x02;
const BITMAP_NAME: u8 = 0x04;
const DEVICE_NAME: u8 = 0x08;
const START: u8 = 0x10;
const COMPLETE: u8 = 0x20;
const BITS: u8 = 0x40;

const ENABLED: u8 = 0x01;
const PERSISTENT: u8 = 0x02;
const OBSOLETE: u8 = 0x04;

/// The bitmaps of a stream so far.
#[derive(Default)]
pub(crate) struct DirtyBitmaps {
    node: Option<String>,
    bitmap: Option<String>,
    bitmaps: Vec<Bitmap>,
    /// What is odd, with its place.
    pub(super) oddities: Vec<(u64, String)>,
}

struct Bitmap {
    node: String,
    name: String,
    granularity_bytes: u32,
    flags: u8,
    chunks: u64,
    set_bits: u64,
    is_complete: bool,
}

impl DirtyBitmaps {
    /// Walks one body to its end.
    pub(crate) fn body(&mut self, reader: &mut StreamReader<'_>) -> Step<()> {
        loop {
            let at = reader.position();
            let [flags] = reader.array()?;
            if flags & DEVICE_NAME != 0 {
                self.node = Some(name(reader)?);
                self.bitmap = self.bitmap.take().filter(|_| flags & BITMAP_NAME != 0);
            }
            if flags & BITMAP_NAME != 0 {
                self.bitmap = Some(name(reader)?);
            }
            match flags & !(DEVICE_NAME | BITMAP_NAME) {
                EOS => return Ok(()),
                START => self.start(at, reader)?,
                COMPLETE => self.complete(at),
                bits if bits & !ZEROES == BITS => self.bits(at, reader, bits & ZEROES != 0)?,
                _ => {
                    let accepted = "one of EOS (01), START (10), COMPLETE (20), BITS (40)";
                    return Err(Halt::malformed(at, StreamFault::RecordFlags { flags: u64::from(flags), accepted }));
                }
            }
        }
    }

    /// The place of the current bitmap among those that were started.
    fn current(&mut self) -> Option<&mut Bitmap> {
        let (node, name) = (self.node.as_ref()?, self.bitmap.as_ref()?);
        self.bitmaps.iter_mut().find(|bitmap| bitmap.node == *node && bitmap.name == *name)
    }

    fn note(&mut self, at: u64, text: &str) {
        // One a bitmap is enough to see that they are broken.
        if self.oddities.len() < BITMAP_COUNT_LIMIT {
            let bitmap = format!("bitmap {:?} of node {:?}", text_of(&self.bitmap), text_of(&self.node));
            self.oddities.push((at, format!("{bitmap} {text}")));
        }
    }

    fn start(&mut self, at: u64, reader: &mut StreamReader<'_>) -> Step<()> {
        let granularity_bytes = u32::from_be_bytes(reader.array()?);
        let [flags] = reader.array()?;
        if flags & !(ENABLED | PERSISTENT | OBSOLETE) != 0 {
            let accepted = "enabled (01), persistent (02), obsolete (04) of a bitmap";
            return Err(Halt::malformed(at, StreamFault::RecordFlags { flags: u64::from(flags), accepted }));
        }
        if !granularity_bytes.is_power_of_two() || !(512..=1 << 31).contains(&granularity_bytes) {
            self.note(at, "has no granularity that can be: a QEMU that loads it dies");
        }
        if self.current().is_some() {
            self.note(at, "is started twice");
            return Ok(());
        }
        if self.bitmaps.len() >= BITMAP_COUNT_LIMIT {
            let max = u64::try_from(BITMAP_COUNT_LIMIT).unwrap_or(u64::MAX);
            let found = max.saturating_add(1);
            return Err(Halt::malformed(at, StreamFault::TooLong { what: "the list of dirty bitmaps", found, max }));
        }
        let (node, name) = (text_of(&self.node), text_of(&self.bitmap));
        let (chunks, set_bits, is_complete) = (0, 0, false);
        self.bitmaps.push(Bitmap { node, name, granularity_bytes, flags, chunks, set_bits, is_complete });
        Ok(())
    }

    fn complete(&mut self, at: u64) {
        match self.current() {
            Some(bitmap) if !bitmap.is_complete => bitmap.is_complete = true,
            Some(_) => self.note(at, "is completed twice"),
            None => self.note(at, "is completed and was not started"),
        }
    }

    fn bits(&mut self, at: u64, reader: &mut StreamReader<'_>, is_zeroes: bool) -> Step<()> {
        reader.skip(12)?;
        let mut set_bits = 0_u64;
        if !is_zeroes {
            let octets = u64::from_be_bytes(reader.array()?);
            let max = BITMAP_CHUNK_BYTES_LIMIT;
            if octets > max {
                let what = "a chunk of a dirty bitmap";
                return Err(Halt::malformed(at, StreamFault::TooLong { what, found: octets, max }));
            }
            let octets = usize::try_from(octets).unwrap_or(usize::MAX);
            if !reader.fill(octets)? {
                return Err(reader.truncated());
            }
            let ahead = reader.buffered().get(..octets).unwrap_or_default();
            set_bits = ahead.iter().fold(0, |sum, octet| sum.saturating_add(u64::from(octet.count_ones())));
            reader.consume(octets);
        }
        match self.current() {
            Some(bitmap) => {
                bitmap.chunks = bitmap.chunks.saturating_add(1);
                bitmap.set_bits = bitmap.set_bits.saturating_add(set_bits);
                if bitmap.is_complete {
                    self.note(at, "has bits behind its end");
                }
            }
            None => self.note(at, "has bits and was not started"),
        }
        Ok(())
    }

    /// The report: a list `bitmaps`. `at` is where the stream ends, if that is its end.
    pub(super) fn state(&mut self, end: Option<u64>) -> Object {
        if let Some(end) = end {
            let unfinished: Vec<_> = self.bitmaps.iter().filter(|bitmap| !bitmap.is_complete).collect();
            let names: Vec<_> = unfinished.iter().map(|bitmap| format!("{:?}", bitmap.name)).collect();
            if !names.is_empty() {
                self.oddities.push((end, format!("dirty bitmaps that are not complete: {}", names.join(", "))));
            }
        }
        let bitmaps = self.bitmaps.iter().map(Bitmap::value).collect();
        Object { fields: vec![("bitmaps".to_owned(), Value::List(bitmaps))], subsections: Vec::new() }
    }
}

impl Bitmap {
    fn value(&self) -> Value {
        let Bitmap { node, name, granularity_bytes, flags, chunks, set_bits, is_complete } = self;
        let number = |value: u64| Value::Scalar(Scalar::Unsigned(value));
        let fields = [
            ("node", Value::Text(node.clone())),
            ("bitmap", Value::Text(name.clone())),
            ("granularity", number(u64::from(*granularity_bytes))),
            ("enabled", Value::Scalar(Scalar::Bool(flags & ENABLED != 0))),
            ("persistent", Value::Scalar(Scalar::Bool(flags & PERSISTENT != 0))),
            ("chunks", number(*chunks)),
            ("set_bits", number(*set_bits)),
            ("complete", Value::Scalar(Scalar::Bool(*is_complete))),
        ];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Value::Object(Object { fields, subsections: Vec::new() })
    }
}

fn text_of(name: &Option<String>) -> String {
    name.clone().unwrap_or_default()
}

fn name(reader: &mut StreamReader<'_>) -> Step<String> {
    let [length] = reader.array()?;
    let length = usize::from(length);
    if !reader.fill(length)? {
        return Err(reader.truncated());
    }
    let name = String::from_utf8_lossy(reader.buffered().get(..length).unwrap_or_default()).into_owned();
    reader.consume(length);
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bitmaps after a body, and the octets that it took.
    fn walk(bitmaps: &mut DirtyBitmaps, octets: &[u8]) -> Step<u64> {
        let mut reader = StreamReader::further(Box::new(octets));
        bitmaps.body(&mut reader).map(|()| reader.position())
    }

    fn json(bitmaps: &mut DirtyBitmaps, end: Option<u64>) -> String {
        serde_json::to_string(&bitmaps.state(end)).unwrap()
    }

    #[test]
    fn the_verified_sections_are_read() {
        // docs/spec/dirty-bitmaps.md section 3, the chunks shortened.
        let mut bitmaps = DirtyBitmaps::default();
        let start = b"\x1c\x02n0\x03bm1\0\x01\0\0\0\x14\x03bm0\0\0\x10\0\x01\x01";
        assert_eq!(walk(&mut bitmaps, start).unwrap(), start.len() as u64);
        let end = [
            &b"\x46\x03bm1\0\0\0\0\0\0\0\0\0\x06\x40\0\x44\x03bm0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\x20\x09\0\xff\xff"[..],
            &[0; 28],
            b"\x24\x03bm1\x24\x03bm0\x01",
        ]
        .concat();
        assert_eq!(walk(&mut bitmaps, &end).unwrap(), end.len() as u64);
        assert_eq!(
            json(&mut bitmaps, Some(0)),
            concat!(
                r#"{"bitmaps":[{"node":"n0","bitmap":"bm1","granularity":65536,"enabled":false,"persistent":false,"#,
                r#""chunks":1,"set_bits":0,"complete":true},"#,
                r#"{"node":"n0","bitmap":"bm0","granularity":4096,"enabled":true,"persistent":false,"#,
                r#""chunks":1,"set_bits":18,"complete":true}]}"#
            )
        );
        assert_eq!(bitmaps.oddities, []);
    }

    #[test]
    fn what_a_loader_would_die_of_or_lose_is_odd() {
        for (octets, expected) in [
            (&b"\x1c\x01n\x01b\0\0\0\x03\0\x01"[..], "no granularity"),
            (b"\x1c\x01n\x01b\0\0\x10\0\0\x10\0\0\x10\0\0\x01", "started twice"),
            (b"\x2c\x01n\x01b\x01", "was not started"),
            (b"\x4e\x01n\x01b\0\0\0\0\0\0\0\0\0\0\0\0\x01", "has bits and was not started"),
            (b"\x1c\x01n\x01b\0\0\x10\0\0\x01", "not complete: \"b\""),
        ] {
            let mut bitmaps = DirtyBitmaps::default();
            walk(&mut bitmaps, octets).unwrap();
            bitmaps.state(Some(0));
            let texts: Vec<_> = bitmaps.oddities.iter().map(|(_, text)| text.as_str()).collect();
            assert!(texts.iter().any(|text| text.contains(expected)), "{texts:?}");
        }
    }

    #[test]
    fn flags_and_sizes_that_no_reader_takes_are_refused() {
        for octets in [&b"\0"[..], b"\x30", b"\x80", b"\x41", b"\x1c\x01n\x01b\0\0\x10\0\x08"] {
            assert!(matches!(walk(&mut DirtyBitmaps::default(), octets), Err(Halt::Malformed { .. })), "{octets:?}");
        }
        let long = [&b"\x40"[..], &[0; 12], &10241_u64.to_be_bytes()].concat();
        assert!(matches!(walk(&mut DirtyBitmaps::default(), &long), Err(Halt::Malformed { offset: 0, .. })));
    }
}
