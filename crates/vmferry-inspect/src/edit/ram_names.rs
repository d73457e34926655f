//! Where the name of a RAM block stands in a stream: the block list, page records, commands of postcopy.
//!
//! Elements are walked once more, by what the analysis found: device sections are stepped over, records of `ram` are
//! read one by one (`docs/spec/ram.md` part A), contents skipped. Only a rename needs it.

use std::collections::{HashMap, HashSet};

use vmferry_wire::Decoded;
use vmferry_wire::command::Command;
use vmferry_wire::configuration::Configuration;
use vmferry_wire::header::HEADER_BYTES;
use vmferry_wire::ram::block_list::{BlockEntry, BlockList, EntryLayout, PageSizeWord};
use vmferry_wire::ram::{BlockRef, RAM_IDSTR, Record, TargetPage};
use vmferry_wire::section::{Element, FOOTER_BYTES, SectionHeader};

use crate::analysis::Analysis;
use crate::dialect::Dialect;
use crate::diff::Stream;
use crate::edit::error::EditError;
use crate::error::{Halt, Step};
use crate::limits::NAME_PLACE_COUNT_LIMIT;
use crate::reader::{Input, StreamReader};
use crate::walk::bodies::DIRTY_BITMAP_IDSTR;
use crate::walk::dirty_bitmap::DirtyBitmaps;
use crate::walk::iterative::OwnFormat;

/// Octets of a page record before the name of its block.
const RECORD_WORD_BYTES: u64 = 8;

/// Octets of a discard command before the name: header and version.
const DISCARD_NAME_AT: u64 = 6;

/// Octets of a command for a bitmap before the name: header.
const BITMAP_NAME_AT: u64 = 5;

/// Where the name stands, each time from its octet of length on.
pub(super) fn places(stream: &mut Stream<'_>, block: &str, what: &str) -> Result<Vec<u64>, EditError> {
    let mut search =
        Search { wanted: block, places: Vec::new(), pages_end: 0, ram_ids: HashSet::new(), is_over: false };
    search.run(stream).map_err(|halt| not_walked(what, halt))?;
    if search.is_over {
        return Err(EditError::refused(what, format!("the name stands in more than {NAME_PLACE_COUNT_LIMIT} places")));
    }
    Ok(search.places)
}

/// Where the last page with a fixed place in the file ends.
pub(super) fn pages_end(stream: &mut Stream<'_>) -> Result<u64, EditError> {
    let mut search = Search { wanted: "", places: Vec::new(), pages_end: 0, ram_ids: HashSet::new(), is_over: false };
    search.run(stream).map_err(|halt| not_walked("the edits", halt))?;
    Ok(search.pages_end)
}

fn not_walked(what: &str, halt: Halt) -> EditError {
    match halt {
        Halt::Io { source, .. } | Halt::Extract { source, .. } => EditError::Read(source),
        _ => EditError::refused(what, "its RAM sections cannot be walked a second time"),
    }
}

struct Search<'a> {
    wanted: &'a str,
    places: Vec<u64>,
    pages_end: u64,
    ram_ids: HashSet<u32>,
    is_over: bool,
}

impl Search<'_> {
    fn run(&mut self, stream: &mut Stream<'_>) -> Step<()> {
        let io = |source| Halt::Io { offset: 0, source };
        let len = stream.file.seek(std::io::SeekFrom::End(0)).map_err(io)?;
        stream.file.rewind().map_err(io)?;
        let mut progress = ();
        let input = Input::Seekable { file: Box::new(&mut stream.file), len };
        let mut reader = StreamReader::new(input, &mut progress);
        let analysis = &stream.analysis;
        reader.skip(u64::try_from(HEADER_BYTES).unwrap_or(u64::MAX))?;
        if analysis.configuration.is_some() {
            reader.decode(Configuration::decode)?;
        }
        let mut own: HashMap<u32, OwnFormat> = HashMap::new();
        let mut bitmaps = (HashSet::new(), DirtyBitmaps::default());
        loop {
            let at = reader.position();
            let header = match reader.decode(Element::decode)? {
                Element::Eof => return Ok(()),
                Element::Command(command) => {
                    self.command(at, &command);
                    continue;
                }
                Element::Section(header) => header,
            };
            let id = header.section_id();
            if let SectionHeader::Start { ident, .. } | SectionHeader::Full { ident, .. } = &header {
                self.ram_ids.remove(&id);
                own.remove(&id);
                bitmaps.0.remove(&id);
                if ident.idstr == RAM_IDSTR {
                    self.ram_ids.insert(id);
                } else if ident.idstr == DIRTY_BITMAP_IDSTR {
                    bitmaps.0.insert(id);
                } else if let Some(format) = OwnFormat::of(&ident.idstr) {
                    own.insert(id, format);
                }
            }
            if self.ram_ids.contains(&id) {
                self.ram(&mut reader, analysis)?;
            } else if bitmaps.0.contains(&id) {
                bitmaps.1.body(&mut reader)?;
            } else if let Some(format) = own.get(&id) {
                format.body(&mut reader)?;
            } else {
                reader.skip(body_bytes(analysis, at)?)?;
            }
            reader.skip(u64::try_from(FOOTER_BYTES).unwrap_or(u64::MAX))?;
        }
    }

    fn note(&mut self, name: &str, at: u64) {
        if name != self.wanted {
            return;
        }
        if self.places.len() >= NAME_PLACE_COUNT_LIMIT {
            self.is_over = true;
        } else {
            self.places.push(at);
        }
    }

    fn command(&mut self, at: u64, command: &Command) {
        match command {
            Command::PostcopyRamDiscard { block, .. } => self.note(block, at.saturating_add(DISCARD_NAME_AT)),
            Command::RecvBitmap { block } => self.note(block, at.saturating_add(BITMAP_NAME_AT)),
            _ => {}
        }
    }

    fn ram(&mut self, reader: &mut StreamReader<'_>, analysis: &Analysis) -> Step<()> {
        let page = TargetPage::from_bytes(analysis.ram.page_bytes).unwrap_or(TargetPage::KIB_4);
        loop {
            let at = reader.position();
            let (record, used) = match Record::decode(reader.buffered(), page) {
                Ok(Decoded::Complete { value, used }) => (value, used),
                Ok(Decoded::NeedMore { total }) => {
                    if !reader.fill(total)? {
                        return Err(reader.truncated());
                    }
                    continue;
                }
                Err(error) => return Err(Halt::wire(at, error)),
            };
            let mut contents = 0;
            let mut total = None;
            let mut is_end = false;
            match record {
                Record::Page(record) => {
                    if let BlockRef::Named(name) = record.block {
                        self.note(name, at.saturating_add(RECORD_WORD_BYTES));
                    }
                    contents = u64::from(record.contents_bytes);
                }
                Record::MemSize { total: octets } => total = Some(octets),
                Record::Eos => is_end = true,
                Record::MultifdFlush | Record::Hook => {}
            }
            reader.consume(used);
            reader.skip(contents)?;
            if let Some(total) = total {
                self.block_list(reader, analysis, page, total)?;
            }
            if is_end {
                return Ok(());
            }
        }
    }

    fn block_list(
        &mut self,
        reader: &mut StreamReader<'_>,
        analysis: &Analysis,
        page: TargetPage,
        total: u64,
    ) -> Step<()> {
        let has = |dialect| analysis.dialects.contains(&dialect);
        let layout = EntryLayout {
            page_size: if has(Dialect::PostcopyAdvised) { PageSizeWord::Detect } else { PageSizeWord::Absent },
            guest_address: has(Dialect::IgnoreShared),
            mapped_ram: has(Dialect::MappedRam),
        };
        let mut list = BlockList::announced(total);
        while !list.is_complete() {
            let at = reader.position();
            let entry = reader.decode(|octets| BlockEntry::decode(octets, layout, page))?;
            self.note(&entry.name, at);
            if let Some(header) = entry.mapped_ram {
                let end = header.pages_offset.saturating_add(entry.used_bytes);
                self.pages_end = end;
                reader.skip(end.saturating_sub(reader.position()))?;
            }
            list.push(entry).map_err(|error| Halt::wire(at, error))?;
        }
        Ok(())
    }
}

/// Octets of the body of the device section whose type octet is at `at`.
fn body_bytes(analysis: &Analysis, at: u64) -> Step<u64> {
    let section = analysis.sections.binary_search_by_key(&at, |section| section.offset);
    let section = section.ok().and_then(|index| analysis.sections.get(index)).filter(|section| section.parts.is_none());
    // A device that is sent in parts: their lengths are not kept.
    section.map(|section| section.body_bytes).ok_or(Halt::Truncated { offset: at })
}
