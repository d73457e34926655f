//! Streams that are made here: pages over several channels, at places of a file, and in hostile forms.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failed test may panic")]

use std::fs;
use std::path::Path;

use vmferry_inspect::{Analysis, AnalyzeError, Channel, Dialect, Inputs, Options, Source, StreamFault, analyze};
use vmferry_wire::Name;
use vmferry_wire::multifd::{Compression, Handshake, PacketPages, RamPacket};
use vmferry_wire::ram::TargetPage;

const PAGE: usize = 4096;
const EOS: &[u8] = b"\0\0\0\0\0\0\0\x10";
const FLUSH: &[u8] = b"\0\0\0\0\0\0\x02\0";
const START: &[u8] = b"\x01\0\0\0\x01\x03ram\0\0\0\0\0\0\0\x04";
const FOOTER: &[u8] = b"\x7e\0\0\0\x01";
const PART: &[u8] = b"\x02\0\0\0\x01";
const END: &[u8] = b"\x03\0\0\0\x01";
/// One block "b" of four pages.
const LIST: &[u8] = b"\0\0\0\0\0\0\x40\x04\x01b\0\0\0\0\0\0\x40\0";

/// Header and configuration, with one capability or none.
fn head(capability: &str) -> Vec<u8> {
    let mut head = b"QEVM\0\0\0\x03\x07\0\0\0\x04none".to_vec();
    if !capability.is_empty() {
        head.extend_from_slice(b"\x05\x1aconfiguration/capabilities\0\0\0\x01\0\0\0\x01");
        head.push(u8::try_from(capability.len()).unwrap());
        head.extend_from_slice(capability.as_bytes());
    }
    head
}

fn zero(page: u8) -> Vec<u8> {
    vec![0, 0, 0, 0, 0, 0, page << 4, 0x02, 1, b'b', 0]
}

fn normal(page: u8, fill: u8) -> Vec<u8> {
    [&[0, 0, 0, 0, 0, 0, page << 4, 0x08, 1, b'b'][..], &[fill; PAGE]].concat()
}

fn packet(packet_num: u64, is_sync: bool, normal: &[(u64, u8)], zero: &[u64]) -> Vec<u8> {
    let pages = (!normal.is_empty() || !zero.is_empty()).then(|| PacketPages {
        block: Name::new("b", "RAM block").unwrap(),
        compression: Compression::None,
        payload_bytes: u32::try_from(normal.len() * PAGE).unwrap(),
        normal: normal.iter().map(|(page, _)| page * 4096).collect(),
        zero: zero.iter().map(|page| page * 4096).collect(),
    });
    let mut octets = Vec::new();
    RamPacket { is_sync, packet_num, pages }.encode(TargetPage::KIB_4, &mut octets);
    normal.iter().for_each(|(_, fill)| octets.extend_from_slice(&[*fill; PAGE]));
    octets
}

fn channel(id: u8, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut octets = Vec::new();
    Handshake { uuid: [0; 16], id }.encode(&mut octets);
    octets.extend(packets.concat());
    octets
}

fn run(main: &[u8], channels: &[&[u8]], options: &Options) -> Result<Analysis, AnalyzeError> {
    let channels = (0..).zip(channels).map(|(i, octets)| Channel::new(&format!("ch{i}"), *octets)).collect();
    analyze(Inputs { main: Source::from_octets(main), channels }, options, &mut ())
}

/// The analysis, and block "b" as it was extracted.
fn extracted(main: &[u8], channels: &[&[u8]]) -> (Analysis, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let analysis = run(main, channels, &extracting(folder.path())).unwrap();
    (analysis, fs::read(folder.path().join("b")).unwrap())
}

fn extracting(folder: &Path) -> Options {
    let mut options = Options::default();
    options.extract_ram = Some(folder.to_owned());
    options
}

/// The fill of each page.
fn fills(ram: &[u8]) -> Vec<u8> {
    ram.chunks(PAGE)
        .map(|page| {
            assert!(page.iter().all(|octet| *octet == page[0]));
            page[0]
        })
        .collect()
}

fn refused(outcome: Result<Analysis, AnalyzeError>) -> (Option<String>, u64, StreamFault) {
    match outcome {
        Err(AnalyzeError::Malformed(fault)) => (fault.channel.clone(), fault.offset, fault.reason.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_page_is_what_was_sent_of_it_last() {
    let records = [normal(0, 1), normal(1, 2), zero(0), normal(1, 3), zero(2), normal(3, 0)].concat();
    let main = [&head("")[..], START, LIST, EOS, FOOTER, PART, &records, EOS, FOOTER, END, EOS, FOOTER, b"\0"].concat();
    let (analysis, ram) = extracted(&main, &[]);
    assert_eq!(fills(&ram), [0, 3, 0, 0]);
    assert_eq!((analysis.ram.blocks[0].normal_pages, analysis.ram.blocks[0].distinct_pages), (4, 4));
}

/// A main channel with a flush where `flush` says, and two rounds.
fn multifd_main(flush: &[u8]) -> Vec<u8> {
    let part = [PART, flush, EOS, FOOTER].concat();
    [&head("")[..], START, LIST, flush, EOS, FOOTER, &part, &part, END, flush, EOS, FOOTER, b"\0"].concat()
}

#[test]
fn packets_are_taken_in_the_order_of_their_numbers_between_two_flushes() {
    for flush in [FLUSH, b""] {
        let sync = |num| packet(num, true, &[], &[]);
        let first = [sync(0), packet(3, false, &[(0, 9)], &[]), sync(5), packet(6, false, &[], &[1]), sync(8), sync(9)];
        let second = [sync(1), packet(2, false, &[(0, 1), (1, 7)], &[2, 3]), sync(4), sync(7), sync(10)];
        let (analysis, ram) = extracted(&multifd_main(flush), &[&channel(1, &second), &channel(0, &first)]);
        assert_eq!(fills(&ram), [9, 0, 0, 0], "page 0 of packet 3, page 1 of the later round");
        assert_eq!(analysis.warnings, []);
        assert_eq!(analysis.dialects, [Dialect::Precopy, Dialect::Multifd]);
        let block = &analysis.ram.blocks[0];
        assert_eq!((block.normal_pages, block.zero_pages, block.distinct_pages), (3, 3, 4));
    }
}

#[test]
fn a_sync_of_old_sources_rides_on_pages() {
    let packets = [
        packet(0, true, &[], &[]),
        packet(1, true, &[(0, 1), (1, 2)], &[]),
        packet(1, false, &[], &[]),
        packet(2, true, &[(2, 3), (3, 4)], &[]),
        packet(3, true, &[(0, 5)], &[]),
    ];
    let (analysis, ram) = extracted(&multifd_main(b""), &[&channel(0, &packets)]);
    assert_eq!(fills(&ram), [5, 2, 3, 4]);
    assert_eq!(analysis.warnings, []);
}

#[test]
fn a_bad_packet_is_reported_with_its_channel_and_place() {
    let sync = packet(0, true, &[], &[]);
    let main = multifd_main(FLUSH);
    let mut foreign = packet(1, false, &[(0, 1)], &[]);
    foreign[64] = b'x';
    let octets = channel(0, &[sync.clone(), foreign]);
    let (name, offset, reason) = refused(run(&main, &[&octets], &Options::default()));
    assert_eq!((name.as_deref(), offset), (Some("ch0"), 64 + 1344));
    assert_eq!(reason, StreamFault::UnknownBlock { name: "x".to_owned() });
    let outside = channel(0, &[sync.clone(), packet(1, false, &[(4, 1)], &[])]);
    let (_, offset, reason) = refused(run(&main, &[&outside], &Options::default()));
    assert_eq!(offset, 64 + 1344);
    assert!(matches!(reason, StreamFault::PageOutsideBlock { page_offset: 0x4000, .. }));
    let twice = channel(0, &[]);
    let (name, _, reason) = refused(run(&main, &[&twice, &twice], &Options::default()));
    assert_eq!((name.as_deref(), reason), (Some("ch1"), StreamFault::ChannelRepeated { id: 0 }));
    let (name, offset, reason) = refused(run(&main, &[&twice[..40]], &Options::default()));
    assert_eq!((name.as_deref(), offset, reason), (Some("ch0"), 0, StreamFault::ChannelTooShort));
    let (_, _, reason) = refused(run(&main, &[&main], &Options::default()));
    assert_eq!(reason, StreamFault::SecondMainChannel);
}

#[test]
fn pages_behind_the_last_flush_are_taken_and_reported() {
    let syncs: Vec<_> = (0..4).map(|num| packet(num, true, &[], &[])).collect();
    let packets = [&syncs[..], &[packet(9, false, &[(0, 6)], &[])]].concat();
    let (analysis, ram) = extracted(&multifd_main(FLUSH), &[&channel(0, &packets)]);
    assert_eq!(fills(&ram), [6, 0, 0, 0]);
    assert!(analysis.warnings.iter().any(|warning| warning.text.contains("1 pages are on channels behind")));
}

#[test]
fn every_cut_of_a_channel_is_survived() {
    let packets: Vec<_> = (0..4).map(|num| packet(num, true, &[(num, 1)], &[])).collect();
    let octets = channel(0, &packets);
    let main = multifd_main(b"");
    for cut in (64..octets.len()).step_by(61) {
        let analysis = run(&main, &[&octets[..cut]], &Options::default()).unwrap();
        assert!(analysis.is_truncated() && analysis.dialects.contains(&Dialect::Truncated), "{cut}");
        assert!(analysis.warnings.last().unwrap().text.contains("channel ch0 is cut short"), "{cut}");
    }
}

/// Precopy of four pages; then page 1 and 2 are discarded, and page 1 comes again.
fn postcopy_main() -> Vec<u8> {
    let pages = [normal(0, 1), normal(1, 2), normal(2, 3), normal(3, 4)].concat();
    let advise = b"\x08\0\x03\0\x10\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x10\0";
    let discard = b"\x08\0\x06\0\x14\0\x01b\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x20\0";
    let package = b"\x08\0\x07\0\x04\0\0\0\x0a\x08\0\x04\0\0\x08\0\x05\0\0";
    let again = normal(1, 7);
    [
        &head("")[..],
        advise,
        START,
        LIST,
        EOS,
        FOOTER,
        PART,
        &pages,
        EOS,
        FOOTER,
        discard,
        package,
        PART,
        &again,
        EOS,
        FOOTER,
        END,
        EOS,
        FOOTER,
        b"\0",
    ]
    .concat()
}

#[test]
fn discarded_pages_come_again_on_either_channel() {
    let (analysis, ram) = extracted(&postcopy_main(), &[&normal(2, 8)]);
    assert_eq!(fills(&ram), [1, 7, 8, 4]);
    assert!(analysis.dialects.contains(&Dialect::Preempt) && analysis.dialects.contains(&Dialect::Postcopy));
    assert!(analysis.warnings.is_empty(), "{:?}", analysis.warnings);
    // QEMU 7.2 ends the channel.
    let ended = [&normal(2, 8)[..], EOS].concat();
    assert_eq!(fills(&extracted(&postcopy_main(), &[&ended]).1), [1, 7, 8, 4]);
    let (analysis, ram) = extracted(&postcopy_main(), &[]);
    assert_eq!(fills(&ram), [1, 7, 0, 4], "what was discarded is not kept");
    let texts: Vec<_> = analysis.warnings.iter().map(|warning| warning.text.as_str()).collect();
    assert_eq!(texts, ["1 pages that were discarded for postcopy were not sent again: is there a preempt channel?"]);
}

#[test]
fn a_preempt_channel_has_pages_only() {
    let with_list = [&normal(2, 8)[..], LIST].concat();
    let (name, offset, reason) = refused(run(&postcopy_main(), &[&with_list], &Options::default()));
    assert_eq!((name.as_deref(), offset), (Some("ch0"), normal(2, 8).len() as u64));
    assert_eq!(reason, StreamFault::PreemptRecord);
    let analysis = run(&postcopy_main(), &[&normal(2, 8)[..100]], &Options::default()).unwrap();
    assert!(analysis.is_truncated());
}

/// A mapped-ram file of block "b", with pages 0 and 2, whose entry is at 0x53.
fn mapped(bitmap_offset: u64, pages_offset: u64, bitmap: &[u8; 8]) -> Vec<u8> {
    let mut main = [&head("mapped-ram")[..], START, LIST].concat();
    main.extend_from_slice(b"\0\0\0\x01\0\0\0\0\0\0\x10\0");
    main.extend_from_slice(&bitmap_offset.to_be_bytes());
    main.extend_from_slice(&pages_offset.to_be_bytes());
    main.extend_from_slice(bitmap);
    main.resize(0x10_0000, 0);
    for fill in [1, 2, 3, 4] {
        main.extend_from_slice(&[fill; PAGE]);
    }
    main.extend([EOS, FOOTER, END, EOS, FOOTER, b"\0"].concat());
    main
}

fn entry_end() -> u64 {
    (head("mapped-ram").len() + START.len() + LIST.len() + 28) as u64
}

#[test]
fn pages_of_mapped_ram_are_those_with_a_bit() {
    let main = mapped(entry_end(), 0x10_0000, &[5, 0, 0, 0, 0, 0, 0, 0]);
    let (analysis, ram) = extracted(&main, &[]);
    assert_eq!(fills(&ram), [1, 0, 3, 0], "octets of pages without a bit are left over");
    let block = &analysis.ram.blocks[0];
    assert_eq!((block.normal_pages, block.zero_pages, block.distinct_pages), (2, 2, 4));
    assert_eq!(analysis.warnings, []);
    // The same through a pipe, and behind other octets of its file.
    let folder = tempfile::tempdir().unwrap();
    let piped = analyze(Source::pipe(&main[..]), &extracting(folder.path()), &mut ()).unwrap();
    assert_eq!(piped.to_json().unwrap(), analysis.to_json().unwrap());
    assert_eq!(fs::read(folder.path().join("b")).unwrap(), ram);
    let shifted = mapped(entry_end() + 0x1000, 0x10_1000, &[5, 0, 0, 0, 0, 0, 0, 0]);
    let mut options = Options::default();
    options.stream_offset = 0x1000;
    let behind = analyze(Source::from_octets(&shifted), &options, &mut ()).unwrap();
    assert_eq!(behind.ram, analysis.ram);
}

#[test]
fn a_bitmap_of_a_big_endian_host_is_noticed_and_read_if_told() {
    let main = mapped(entry_end(), 0x10_0000, &[0, 0, 0, 0, 0, 0, 0, 5]);
    let analysis = run(&main, &[], &Options::default()).unwrap();
    assert!(analysis.warnings[0].text.contains("big-endian"), "{:?}", analysis.warnings);
    let mut options = Options::default();
    options.has_big_endian_bitmaps = true;
    let analysis = run(&main, &[], &options).unwrap();
    assert_eq!((analysis.ram.blocks[0].normal_pages, analysis.warnings.len()), (2, 0));
}

#[test]
fn places_of_mapped_ram_that_cannot_be_are_refused() {
    for (bitmap, pages) in [(0, 0x10_0000), (entry_end() - 1, 0x10_0000), (entry_end(), entry_end() + 7), (u64::MAX, 0)]
    {
        for extract in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let options = if extract { extracting(folder.path()) } else { Options::default() };
            let (_, offset, reason) = refused(run(&mapped(bitmap, pages, &[0; 8]), &[], &options));
            assert_eq!(offset, entry_end());
            assert!(matches!(reason, StreamFault::MappedRamOverlap { .. }), "{reason}");
        }
    }
    // Beyond the end of the file: cut short, and nothing was allocated for it.
    for (bitmap, pages) in [(entry_end(), u64::MAX - 5), (1 << 60, 1 << 61)] {
        let analysis = run(&mapped(bitmap, pages, &[0; 8]), &[], &Options::default()).unwrap();
        assert!(analysis.is_truncated());
    }
}
