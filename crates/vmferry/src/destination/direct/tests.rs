//! Streams of all kinds of records, in pieces of any size: what is read past the window is the same, to the octet, as
//! what is read through it.

#![expect(clippy::cast_possible_truncation, reason = "small numbers")]

use std::io::Write as _;
use std::os::unix::net::UnixStream;

use vmferry_wire::Name;
use vmferry_wire::ram::Record;
use vmferry_wire::ram::block_list::{BlockEntry, BlockList};

use super::*;
use crate::channel::Interrupt;
use crate::destination::ram::{Pages, RamLoader};
use crate::destination::reader;
use crate::memory::MappedBlock;

const PAGES: u64 = 400;
const NAMES: [&str; 2] = ["ram", "other"];

/// The same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn blocks() -> Vec<Arc<dyn RamBlock>> {
    let block = |name| Arc::new(MappedBlock::new(name, PAGES as usize * TARGET_PAGE).unwrap()) as Arc<dyn RamBlock>;
    NAMES.map(block).to_vec()
}

/// Bodies of the RAM section, each with its end.
struct Stream {
    octets: Vec<u8>,
    sections: usize,
    block: Option<usize>,
}

impl Stream {
    fn new() -> Self {
        let entry = |name| BlockEntry {
            name: Name::new(name, "a block").unwrap(),
            used_bytes: PAGES * TARGET_PAGE_BYTES,
            page_bytes: None,
            guest_address: None,
            mapped_ram: None,
        };
        let mut octets = Vec::new();
        BlockList::encode(&NAMES.map(entry), &mut octets);
        let mut stream = Self { octets, sections: 0, block: None };
        stream.end_section();
        stream
    }

    fn end_section(&mut self) {
        Record::encode_eos(&mut self.octets);
        self.sections += 1;
    }

    fn name(&mut self, block: usize) -> Option<Name> {
        (self.block.replace(block) != Some(block)).then(|| Name::new(NAMES[block], "a block").unwrap())
    }

    fn page(&mut self, block: usize, page: u64, random: &mut Random) {
        let name = self.name(block);
        Record::encode_normal_page(&mut self.octets, page * TARGET_PAGE_BYTES, name.as_ref());
        let seed = random.below(1 << 30) as u32;
        self.octets.extend(
            (0..TARGET_PAGE as u32 / 4).flat_map(|word| (seed ^ word.wrapping_mul(0x9e37_79b1) | 1).to_le_bytes()),
        );
    }

    fn zero(&mut self, block: usize, page: u64) {
        let name = self.name(block);
        Record::encode_zero_page(&mut self.octets, page * TARGET_PAGE_BYTES, name.as_ref());
    }

    /// Rows of pages with all that can come between them.
    fn random(seed: u64) -> Self {
        let mut random = Random(seed);
        let mut stream = Self::new();
        let (mut block, mut page) = (0, 0);
        for _ in 0..random.below(60) + 5 {
            match random.below(8) {
                0 => (block, page) = (random.below(2) as usize, random.below(PAGES)),
                1 => page = random.below(PAGES),
                2 => {
                    for _ in 0..random.below(4) + 1 {
                        stream.zero(block, random.below(PAGES));
                    }
                }
                3 => stream.end_section(),
                _ => {
                    for _ in 0..random.below(100).min(PAGES - page) {
                        stream.page(block, page, &mut random);
                        page += 1;
                    }
                    page %= PAGES;
                }
            }
        }
        stream.end_section();
        stream
    }
}

/// What a load came to.
#[derive(PartialEq, Eq)]
struct Outcome {
    error: Option<String>,
    offset: u64,
    memory: Vec<Vec<u8>>,
    pages: (u64, u64),
    /// Pages that went past the window.
    directly: bool,
}

/// Loads `octets`, which come in pieces of up to `piece`.
fn load(octets: &[u8], sections: usize, piece: usize, directly: bool) -> Outcome {
    let (mut theirs, ours) = UnixStream::pair().unwrap();
    let channel = Arc::new(Channel::from_fd(ours.into(), Interrupt::new().unwrap()).unwrap());
    let blocks = blocks();
    let mut loader = RamLoader::new(&blocks, Arc::new(Held::default()), Pages::Stream(Arc::clone(&channel)));
    if !directly {
        loader.read_nothing_directly();
    }
    let mut input = reader::open(channel, Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Ends early where the load does.
            let _ = octets.chunks(piece).try_for_each(|piece| theirs.write_all(piece));
        });
        let error = (0..sections).find_map(|_| loader.load(&mut input).err()).map(|error| error.to_string());
        let content = |block: &Arc<dyn RamBlock>| {
            let mut content = vec![0; PAGES as usize * TARGET_PAGE];
            block.read(0, &mut content).unwrap();
            content
        };
        let offset = input.offset();
        drop(input);
        let pages = (loader.normal_pages, loader.zero_pages);
        let directly = loader.pages_read_directly() > 0;
        drop(loader);
        Outcome { error, offset, memory: blocks.iter().map(content).collect(), pages, directly }
    })
}

fn compare(octets: &[u8], sections: usize, piece: usize, what: impl std::fmt::Display) -> bool {
    let (direct, general) = (load(octets, sections, piece, true), load(octets, sections, 1 << 20, false));
    assert_eq!(direct.error, general.error, "{what}");
    assert_eq!((direct.offset, direct.pages), (general.offset, general.pages), "{what}");
    // Where the stream ends inside a page the load fails, and the page is what came of it, or not.
    if general.error.is_none() {
        assert!(direct.memory == general.memory, "{what}: memory differs");
    }
    direct.directly
}

#[test]
fn any_records_in_any_pieces_fill_memory_alike() {
    let mut direct = 0;
    for seed in 0..60 {
        let stream = Stream::random(seed);
        let mut random = Random(!seed);
        let piece = [1 << 20, 300 + random.below(3000) as usize, 1 + random.below(20_000) as usize][seed as usize % 3];
        direct += usize::from(compare(
            &stream.octets,
            stream.sections,
            piece,
            format_args!("seed {seed}, pieces of {piece}"),
        ));
    }
    assert!(direct > 20, "{direct} of 60 streams had pages that were read past the window");
}

#[test]
fn a_record_that_is_not_the_expected_one_leaves_nothing_where_it_was_read_to() {
    // A row that is longer than the window, then pages elsewhere.
    let (mut stream, mut random) = (Stream::new(), Random(7));
    (0..120).for_each(|page| stream.page(0, page, &mut random));
    stream.page(0, 200, &mut random);
    stream.page(1, 3, &mut random);
    stream.end_section();
    let outcome = load(&stream.octets, stream.sections, 1 << 20, true);
    assert!(outcome.error.is_none() && outcome.directly);
    let zero = |block: usize, pages: std::ops::Range<usize>| {
        outcome.memory[block][pages.start * TARGET_PAGE..pages.end * TARGET_PAGE].iter().all(|octet| *octet == 0)
    };
    assert!(zero(0, 120..200) && zero(0, 201..400) && zero(1, 0..3) && zero(1, 4..400));
    assert!(!zero(0, 119..120) && !zero(0, 200..201) && !zero(1, 3..4));
    assert!(compare(&stream.octets, stream.sections, 1 << 20, "the same through the window"));
}

#[test]
fn a_row_ends_at_the_end_of_its_block() {
    let (mut stream, mut random) = (Stream::new(), Random(8));
    (PAGES - 120..PAGES).for_each(|page| stream.page(0, page, &mut random));
    let header = page_header(PageKind::Normal, PAGES * TARGET_PAGE_BYTES, true);
    stream.octets.extend_from_slice(&header.to_be_bytes());
    stream.octets.extend_from_slice(&[1; TARGET_PAGE]);
    stream.end_section();
    let outcome = load(&stream.octets, stream.sections, 1 << 20, true);
    assert!(outcome.directly && outcome.error.as_ref().unwrap().contains("below its length"), "{:?}", outcome.error);
    compare(&stream.octets, stream.sections, 4104, "a page behind the end");
}

#[test]
fn pages_that_hold_something_are_not_filled_before_their_headers_are_known() {
    let (mut stream, mut random) = (Stream::new(), Random(9));
    (0..120).for_each(|page| stream.page(0, page, &mut random));
    // The same once more, but for one.
    (0..80).chain(81..120).for_each(|page| stream.page(0, page, &mut random));
    stream.end_section();
    assert!(compare(&stream.octets, stream.sections, 1 << 20, "pages that come twice"));
}

#[test]
fn a_stream_that_ends_or_is_damaged_anywhere_is_refused_alike() {
    let (mut stream, mut random) = (Stream::new(), Random(10));
    (0..120).for_each(|page| stream.page(0, page, &mut random));
    stream.end_section();
    // The first page names its block; the rest do not.
    let first = stream.octets.len() - 8 - 120 * RECORD_OCTETS;
    for record in [70, 85, 119] {
        let start = first + record * RECORD_OCTETS;
        for cut in [start, start + 3, start + 8, start + 9, start + 4103] {
            compare(&stream.octets[..cut], stream.sections, 3000, format_args!("cut at {cut}"));
        }
        for octet in 0..HEADER_OCTETS {
            let mut damaged = stream.octets.clone();
            damaged[start + octet] ^= 0x41;
            compare(&damaged, stream.sections, 1 << 20, format_args!("octet {octet} of the header at {start}"));
        }
    }
}
