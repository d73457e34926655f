//! Walks a stream from its first octet to its last.
//!
//! ```text
//!  file: find the description at the end ─┐
//!                                         v
//!  header ─ configuration ─ element ─ element ─ … ─ EOF ─ [description] ─ [other octets]
//!                             │
//!                             ├─ ram: records, pages counted and stored           (ram.rs)
//!                             │    where it waits: packets of other channels      (multifd.rs)
//!                             ├─ FULL: body cut and decoded by the description    (bodies.rs)
//!                             │    first FULL of a pipe: keep the rest, find the description in it
//!                             ├─ dirty-bitmap: bitmaps, their bits counted        (dirty_bitmap.rs)
//!                             ├─ block, s390-…: their own records                 (iterative.rs)
//!                             └─ command; a package's elements follow in place
//! ```
//!
//! Grammar: `docs/spec/stream.md` section 2.

mod blocks;
pub(crate) mod bodies;
mod contents;
mod dialects;
pub(crate) mod dirty_bitmap;
mod finish;
pub(crate) mod iterative;
mod mapped_ram;
mod multifd;
mod page_size;
mod preempt;
mod ram;

use std::collections::HashMap;

use vmferry_wire::Reason;
use vmferry_wire::command::Command;
use vmferry_wire::configuration::Configuration;
use vmferry_wire::description;
use vmferry_wire::end::Trailer;
use vmferry_wire::header::{Header, MAGIC, VERSION};
use vmferry_wire::limits::DESCRIPTION_BYTES_LIMIT;
use vmferry_wire::ram::TargetPage;
use vmferry_wire::section::{COMMAND, EOF, Element, Footer, SECTION_FULL, SECTION_START, SectionHeader, SectionIdent};

use crate::Options;
use crate::analysis::{Analysis, CommandReport, Warning};
use crate::budget::Budget;
use crate::channels::Inputs;
use crate::described::Described;
use crate::error::{AnalyzeError, Halt, Step, StreamFault};
use crate::limits::{COMMAND_COUNT_LIMIT, WARNING_COUNT_LIMIT};
use crate::locate::find_description;
use crate::reader::{Input, StreamReader};
use crate::source::{Progress, Source};
use crate::stream_map::SpanKind;
use dirty_bitmap::DirtyBitmaps;
use iterative::OwnFormat;
use multifd::Multifd;
use preempt::Preempt;
use ram::RamWalk;

/// What a section id is bound to.
struct Bound {
    ident: SectionIdent,
    format: Format,
    /// Place in the report; RAM has none.
    report: Option<usize>,
    /// Whether it came with START, so that PART and END may follow.
    is_started: bool,
}

/// How the bodies of a section are read.
#[derive(Clone, Copy)]
enum Format {
    Ram,
    DirtyBitmaps,
    Own(OwnFormat),
    Described,
}

/// The walk over one stream.
pub(crate) struct Walk<'a> {
    reader: StreamReader<'a>,
    options: &'a Options,
    analysis: Analysis,
    described: Option<Described>,
    /// Where the description's type octet stands, if it was found ahead of the walk.
    description_offset: Option<u64>,
    /// Whether the description was looked for, or cannot be there.
    is_description_settled: bool,
    bound: HashMap<u32, Bound>,
    ram: RamWalk,
    multifd: Multifd<'a>,
    preempt: Option<Preempt<'a>>,
    dirty_bitmaps: DirtyBitmaps,
    budget: Budget,
    /// Id string and instance of the section that is being read, for errors.
    section: Option<(String, u32)>,
    package_end: Option<u64>,
    seen: Seen,
}

/// What was met, for the dialects.
#[derive(Default)]
struct Seen {
    return_path: bool,
    advise: bool,
    dirty_bitmaps: bool,
    block_migration: bool,
    run: bool,
    commands_left_out: u64,
    warnings_left_out: u64,
}

/// Analyzes a stream; see [`crate::analyze`].
pub(crate) fn walk(
    inputs: Inputs<'_>,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Analysis, AnalyzeError> {
    let Inputs { main, channels } = inputs;
    let io = |source| AnalyzeError::Io { offset: 0, source };
    let (input, located) = match main {
        Source::Pipe(pipe) => (Input::Pipe(pipe), None),
        Source::Seekable(mut file) => {
            let located = find_description(&mut *file).map_err(io)?;
            let len = file.seek(std::io::SeekFrom::End(0)).map_err(io)?;
            file.rewind().map_err(io)?;
            (Input::Seekable { file, len }, located)
        }
    };
    let is_seekable = matches!(input, Input::Seekable { .. });
    let mut walk = Walk {
        reader: StreamReader::new(input, progress),
        options,
        analysis: Analysis::default(),
        described: None,
        description_offset: None,
        is_description_settled: is_seekable,
        bound: HashMap::new(),
        ram: RamWalk::new(options),
        multifd: Multifd::default(),
        preempt: None,
        dirty_bitmaps: DirtyBitmaps::default(),
        budget: Budget::new(),
        section: None,
        package_end: None,
        seen: Seen::default(),
    };
    if let Some(located) = located {
        walk.description_offset = Some(located.offset);
        walk.described = Some(Described::new(located.description));
    }
    let outcome = walk.take_channels(channels).and_then(|()| walk.stream());
    walk.finish(outcome)
}

impl Walk<'_> {
    fn stream(&mut self) -> Step<()> {
        self.head()?;
        self.configuration()?;
        self.map_up_to_here(SpanKind::Head);
        loop {
            self.section = None;
            self.leave_package()?;
            let offset = self.reader.position();
            match self.reader.decode(Element::decode)? {
                Element::Section(header) => {
                    let section_id = header.section_id();
                    self.section(offset, header)?;
                    let kind = self.span_kind(section_id);
                    self.map_up_to_here(kind);
                }
                Element::Command(command) => {
                    self.command(offset, &command)?;
                    self.map_up_to_here(SpanKind::Command);
                }
                Element::Eof => break,
            }
        }
        self.map_up_to_here(SpanKind::End);
        if self.package_end.is_some() {
            let offset = self.reader.position().saturating_sub(1);
            return Err(Halt::malformed(offset, StreamFault::EndInPackage));
        }
        self.analysis.end.eof = true;
        self.multifd.finish(&mut self.ram)?;
        self.read_preempt()?;
        self.trailer()
    }

    /// What was read since the last span is one of this kind.
    fn map_up_to_here(&mut self, kind: SpanKind) {
        self.analysis.map.push(kind, self.reader.position());
    }

    fn span_kind(&self, section_id: u32) -> SpanKind {
        match self.bound.get(&section_id) {
            Some(Bound { format: Format::Ram, .. }) | None => SpanKind::Ram,
            Some(Bound { ident, .. }) => SpanKind::Section(ident.idstr.to_string(), ident.instance_id),
        }
    }

    fn head(&mut self) -> Step<()> {
        if !self.reader.fill(4)? {
            // A few octets that are not the magic's are no stream cut short.
            let octets = self.reader.buffered();
            if !MAGIC.to_be_bytes().starts_with(octets) {
                let found = octets.iter().fold(0_u32, |word, octet| word << 8 | u32::from(*octet));
                return Err(Halt::malformed(0, StreamFault::Wire(Reason::NotAMigrationStream { found })));
            }
        }
        self.reader.decode(Header::decode)?;
        self.analysis.version = Some(VERSION);
        Ok(())
    }

    /// Machine types before 2.4 send no configuration; what starts an element instead is taken as one.
    fn configuration(&mut self) -> Step<()> {
        let offset = self.reader.position();
        if !self.reader.fill(1)? {
            return Err(self.reader.truncated());
        }
        let first = self.reader.buffered().first().copied();
        if matches!(first, Some(EOF | SECTION_START | SECTION_FULL | COMMAND)) {
            self.warn(offset, "the stream has no configuration section: its machine type is not known".to_owned());
        } else {
            self.analysis.configuration = Some(self.reader.decode(Configuration::decode)?);
        }
        let configured = self.analysis.configuration.as_ref().and_then(|configuration| configuration.target_page);
        let described = self.described.as_ref().and_then(|described| described.page_bytes());
        self.ram.page = match (configured, described) {
            (Some(page), _) => page,
            (None, Some(bytes)) => TargetPage::from_bytes(bytes).unwrap_or_else(|reason| {
                self.warn(offset, format!("in the description: {reason}; 4096 is taken"));
                TargetPage::KIB_4
            }),
            (None, None) => {
                self.ram.is_page_assumed = true;
                TargetPage::KIB_4
            }
        };
        self.ram.is_mapped = self.has_capability("mapped-ram");
        self.ram.has_guest_addresses = self.has_capability("x-ignore-shared");
        Ok(())
    }

    fn has_capability(&self, name: &str) -> bool {
        let listed = self.analysis.configuration.as_ref().and_then(|configuration| configuration.capabilities.as_ref());
        listed.is_some_and(|names| names.iter().any(|listed| *listed == name))
    }

    fn command(&mut self, offset: u64, command: &Command) -> Step<()> {
        let header = u64::try_from(vmferry_wire::command::COMMAND_HEADER_BYTES).unwrap_or(0);
        let payload_bytes = self.reader.position().saturating_sub(offset).saturating_sub(header);
        let mut package_bytes = None;
        match command {
            Command::OpenReturnPath => self.seen.return_path = true,
            Command::PostcopyAdvise(Some(_)) => {
                self.seen.advise = true;
                self.ram.is_postcopy_advised = true;
            }
            Command::PostcopyAdvise(None) => self.seen.dirty_bitmaps = true,
            Command::PostcopyRun => {
                self.seen.run = true;
                self.multifd.is_over = true;
            }
            Command::PostcopyRamDiscard { block, ranges } => {
                let ranges = ranges.iter().map(|range| (range.start, range.length));
                self.ram.discard(offset, block, ranges)?;
            }
            Command::Packaged { length } => {
                if self.package_end.is_some() {
                    return Err(Halt::malformed(offset, StreamFault::NestedPackage));
                }
                package_bytes = Some(*length);
                self.package_end = Some(self.reader.position().saturating_add(u64::from(*length)));
            }
            _ => {}
        }
        if self.analysis.commands.len() < COMMAND_COUNT_LIMIT {
            let name = command.name();
            self.analysis.commands.push(CommandReport { name, offset, payload_bytes, package_bytes });
        } else {
            self.seen.commands_left_out = self.seen.commands_left_out.saturating_add(1);
        }
        Ok(())
    }

    /// At the end of a package its elements are over; past it, an element was too long.
    fn leave_package(&mut self) -> Step<()> {
        let Some(end) = self.package_end else { return Ok(()) };
        let position = self.reader.position();
        if position > end {
            return Err(Halt::malformed(position, StreamFault::PackageOverrun { end }));
        }
        if position == end {
            self.package_end = None;
            if !self.seen.run {
                self.warn(position, "the package ends without postcopy-run: its reader fails".to_owned());
            }
        }
        Ok(())
    }

    fn footer(&mut self, section_id: u32) -> Step<()> {
        self.reader.decode(|octets| Footer::decode(octets, section_id)).map(|_| ())
    }

    /// What follows the end never makes a stream incomplete.
    fn trailer(&mut self) -> Step<()> {
        let offset = self.reader.position();
        self.analysis.trailer_offset = Some(offset);
        let is_used = !self.analysis.sections.is_empty();
        if let Some(found) = self.description_offset.filter(|found| *found != offset && is_used) {
            self.warn(found, format!("a description stands here, but the stream ended at 0x{offset:x}"));
        }
        if !self.reader.fill(1)? {
            return Ok(());
        }
        match self.reader.decode(Trailer::decode) {
            Ok(Trailer::Description { length }) => self.description(offset, length)?,
            Ok(Trailer::Other { .. }) => {
                let octets = self.reader.drain()?.saturating_add(1);
                self.map_up_to_here(SpanKind::Ignored);
                self.warn(offset, format!("{octets} octets behind the end of the stream are ignored"));
                return Ok(());
            }
            Err(Halt::Truncated { offset }) => self.warn(offset, "the description is cut short".to_owned()),
            Err(halt) => return Err(halt),
        }
        self.map_up_to_here(SpanKind::Description);
        let offset = self.reader.position();
        let octets = self.reader.drain()?;
        self.map_up_to_here(SpanKind::Ignored);
        if octets > 0 {
            self.warn(offset, format!("{octets} octets behind the description are ignored"));
        }
        Ok(())
    }

    fn description(&mut self, offset: u64, length: u32) -> Step<()> {
        if length > DESCRIPTION_BYTES_LIMIT {
            let text = format!("the description has {length} octets, up to {DESCRIPTION_BYTES_LIMIT} are read");
            self.warn(offset, text);
            return Ok(());
        }
        let start = self.reader.position();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !self.reader.fill(length)? {
            self.warn(start, "the description is cut short".to_owned());
            return Ok(());
        }
        if self.description_offset == Some(offset) {
            self.analysis.end.vmdesc = true;
        } else {
            match description::read(self.reader.buffered().get(..length).unwrap_or_default()) {
                Ok(description) => {
                    self.analysis.end.vmdesc = true;
                    self.described = Some(Described::new(description));
                    self.decode_late();
                }
                Err(error) => {
                    let error = error.at(start);
                    self.warn(error.offset(), error.reason().to_string());
                }
            }
        }
        self.reader.consume(length);
        self.warn_unmet(offset);
        let described = self.described.as_ref().and_then(Described::page_bytes);
        if let Some(bytes) = described.filter(|bytes| *bytes != self.ram.page.bytes()) {
            let text =
                format!("in the description pages have {bytes} octets, the stream has {}", self.ram.page.bytes());
            self.warn(offset, text);
        }
        Ok(())
    }

    /// Devices that the description has and the stream does not.
    fn warn_unmet(&mut self, offset: u64) {
        let unmet: Vec<_> = self.described.iter().flat_map(Described::unused).collect();
        let texts: Vec<_> = unmet
            .iter()
            .map(|device| {
                let (idstr, instance_id) = (&device.idstr, device.instance_id);
                format!("the description has a device {idstr:?} instance {instance_id}, the stream has not")
            })
            .collect();
        for text in texts {
            self.warn(offset, text);
        }
    }

    fn warn(&mut self, offset: u64, text: String) {
        if self.analysis.warnings.len() < WARNING_COUNT_LIMIT {
            self.analysis.warnings.push(Warning { offset, text });
        } else {
            self.seen.warnings_left_out = self.seen.warnings_left_out.saturating_add(1);
        }
    }

    fn section(&mut self, offset: u64, header: SectionHeader) -> Step<()> {
        let section_id = header.section_id();
        match header {
            SectionHeader::Start { ident, .. } => {
                self.bind(offset, section_id, ident, true)?;
            }
            SectionHeader::Full { ident, .. } => {
                self.bind(offset, section_id, ident, false)?;
            }
            SectionHeader::Part { .. } | SectionHeader::End { .. } => {
                let known = self.bound.len();
                let Some(bound) = self.bound.get(&section_id) else {
                    return Err(Halt::malformed(offset, StreamFault::UnknownSectionId { section_id, known }));
                };
                self.section = Some((bound.ident.idstr.to_string(), bound.ident.instance_id));
                if matches!(header, SectionHeader::End { .. }) && matches!(bound.format, Format::Ram) {
                    self.ram.is_ended = true;
                }
            }
        }
        self.body(section_id)
    }
}
