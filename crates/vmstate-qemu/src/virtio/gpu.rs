//! The display.
//!
//! The section has two fields, `virtio` without a device part and `virtio-gpu`:
//!
//! | octets | what |
//! |---|---|
//! | | of each resource: |
//! | 4, 4, 4, 4 | number, not 0; width, height, format |
//! | 4, k × (8, 4) | k; guest address and octets of each piece of memory behind it |
//! | height × width × 4 | pixels |
//! | 4 | 0 |
//! | 4, 4 | outputs that are on, a bit for each; number of outputs |
//! | 40 or 64 | of each output: [`Scanout`] |
//!
//! | subsection, version | what | sent |
//! |---|---|---|
//! | `virtio-gpu/blob` 1 | of each: number not 0, octets, k, k × (8, 4); then 0 | there are resources without pixels of their own |
//!
//! `virtio-vga` has a second section of that name, version 2, with the field `vga`, [`VirtioVgaImage`].
//!
//! Outputs have 24 octets more from machine type 9.0 on, says the design. In QEMU 10.0 and 11.1 that holds of output 0
//! only: whether a further output has them is a matter of chance, with any machine type, and a loader expects them by
//! its own chance. So such a device with several outputs moves within a release if at all, and not from 7.2 to 10.0 or
//! back (`Missing section footer`). A load finds out which outputs have them ([`Scanout::frame_buffer`]).
//!
//! Source: `docs/spec/virtio-state.md` section 4.7; streams of QEMU 5.2 to 11.1, with up to 16 outputs and with
//! resources.

use vmstate::schema::Kind;
use vmstate::{Input, LoadError, Reason, Refused, SaveError, Sink, VmState, Wire};

use super::Virtio;
use super::body::{read, read_count, write_count};
use crate::display::VgaImage;

/// Most outputs.
pub const OUTPUTS_MAX: usize = 16;
/// Most resources.
pub const RESOURCES_MAX: usize = 1 << 16;
/// Most pieces of memory behind a resource.
pub const PIECES_MAX: usize = 1 << 14;
/// Most octets of pixels of a resource: QEMU's devices have 256 MiB for all of them unless they are told otherwise.
pub const PIXELS_MAX: u64 = 1 << 30;

/// The section.
#[derive(VmState, Debug, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-gpu", version = 1)]
pub struct VirtioGpuImage {
    /// The device as one of virtio.
    pub virtio: Virtio<()>,
    /// The display.
    #[vmstate(name = "virtio-gpu")]
    pub gpu: GpuState,
    /// Resources without pixels of their own.
    #[vmstate(subsection)]
    pub blob: Option<BlobImage>,
}

/// The second section of a display that is a VGA card too.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-vga", version = 2)]
pub struct VirtioVgaImage {
    /// The card.
    pub vga: VgaImage,
}

/// Resources and outputs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GpuState {
    /// Resources with pixels; up to [`RESOURCES_MAX`].
    pub resources: Vec<Resource>,
    /// Outputs that are on, a bit for each.
    pub enabled_outputs: i32,
    /// The outputs; up to [`OUTPUTS_MAX`].
    pub scanouts: Vec<Scanout>,
}

/// A resource with pixels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resource {
    /// Its number, not 0.
    pub id: u32,
    /// Pixels of a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// How colours are in a pixel.
    pub format: u32,
    /// Guest memory behind it; up to [`PIECES_MAX`].
    pub pieces: Vec<Piece>,
    /// The pixels, row by row, 4 octets each; up to [`PIXELS_MAX`].
    pub pixels: Vec<u8>,
}

/// A resource without pixels of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blob {
    /// Its number, not 0.
    pub id: u32,
    /// Octets.
    pub octets: u32,
    /// Guest memory behind it; up to [`PIECES_MAX`].
    pub pieces: Vec<Piece>,
}

/// A piece of guest memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Piece {
    /// Guest address.
    pub address: u64,
    /// Octets.
    pub octets: u32,
}

/// What an output shows. Octets: 4 for each number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scanout {
    /// The resource.
    pub resource: u32,
    /// Width, height, and the place in the resource: x, y.
    pub rectangle: [u32; 4],
    /// The cursor's resource.
    pub cursor_resource: u32,
    /// The pixel of the cursor that points: x, y.
    pub cursor_hot: [u32; 2],
    /// Place of the cursor: x, y.
    pub cursor_position: [u32; 2],
    /// Format, octets of a pixel, width, height, octets of a row, and offset of the frame buffer; all 0 if it is not
    /// set up.
    pub frame_buffer: Option<[u32; 6]>,
}

/// Octets of an output without a frame buffer.
const SCANOUT_OCTETS: usize = 40;
/// Octets of its frame buffer.
const FRAME_BUFFER_OCTETS: usize = 24;
/// Octets of one of their numbers.
const WORD_OCTETS: usize = 4;
/// The least format of a pixel.
const FORMAT_MIN: u32 = 1 << 24;
/// First octets of a subsection and of a section's footer.
const SUBSECTION_MARK: u8 = 0x05;
const FOOTER_MARK: u8 = 0x7e;
/// How the name of anything begins that a loader in front of the resources takes for its subsection.
const SUBSECTION_NAME: &[u8] = b"virtio";

impl Wire for GpuState {
    const KIND: Kind = Kind::Codec { name: "virtio-gpu", octets: None };

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        let Self { resources, enabled_outputs, scanouts } = self;
        for (index, resource) in resources.iter().enumerate() {
            let within = |error: SaveError| error.within(format!("[{index}]")).within("resources");
            resource.write_to(sink).map_err(within)?;
        }
        0_u32.write_to(sink)?;
        enabled_outputs.write_to(sink)?;
        write_count(scanouts.len(), OUTPUTS_MAX, sink).map_err(|error| error.within("scanouts"))?;
        let mut octets = Vec::new();
        scanouts.iter().try_for_each(|scanout| scanout.write_to(&mut octets))?;
        let told = frame_buffers(&words(&octets), scanouts.len());
        if told != Some(scanouts.iter().map(|scanout| scanout.frame_buffer.is_some()).collect()) {
            let text = "a frame buffer without format beside outputs without one: it cannot be told which have them";
            return Err(SaveError::new(Refused::new(text)).within("scanouts"));
        }
        sink.put(&octets);
        Ok(())
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        self.resources.clear();
        loop {
            let index = self.resources.len();
            let within = |error: LoadError| error.within(format!("[{index}]")).within("resources");
            match read_id(index, input).map_err(within)? {
                0 => break,
                id => self.resources.push(Resource::read_from(id, input).map_err(within)?),
            }
        }
        read(&mut self.enabled_outputs, "enabled_outputs", input)?;
        let outputs = read_count("scanouts", OUTPUTS_MAX, input)?;
        let octets = octets_ahead(outputs, input)?;
        let ahead = input.peek(octets)?;
        // Where the stream ends is found when they are read.
        let told = if ahead.len() < octets { Some(vec![true; outputs]) } else { frame_buffers(&words(ahead), outputs) };
        let has_frame_buffer = told.ok_or_else(|| {
            input.error(Reason::Refused(Refused::new("outputs with frame buffers that do not fit"))).within("scanouts")
        })?;
        self.scanouts.clear();
        for (index, has_frame_buffer) in has_frame_buffer.into_iter().enumerate() {
            let within = |error: LoadError| error.within(format!("[{index}]")).within("scanouts");
            self.scanouts.push(Scanout::read_from(has_frame_buffer, input).map_err(within)?);
        }
        Ok(())
    }
}

/// How many octets the outputs have: so many that an end follows. All of them have a frame buffer if none does.
fn octets_ahead(outputs: usize, input: &mut Input<'_>) -> Result<usize, LoadError> {
    for with in 0..outputs {
        let octets = outputs * SCANOUT_OCTETS + with * FRAME_BUFFER_OCTETS;
        if is_end(octets, input)? {
            return Ok(octets);
        }
    }
    Ok(outputs * (SCANOUT_OCTETS + FRAME_BUFFER_OCTETS))
}

/// Whether a subsection of the section, a footer, or nothing follows so many octets ahead.
fn is_end(octets: usize, input: &mut Input<'_>) -> Result<bool, LoadError> {
    let ahead = input.peek(octets + 1)?;
    match ahead.get(octets) {
        None => return Ok(ahead.len() == octets),
        Some(&FOOTER_MARK) => return Ok(true),
        Some(&SUBSECTION_MARK) => {}
        Some(_) => return Ok(false),
    }
    let name = VirtioGpuImage::SCHEMA.name.as_bytes();
    let ahead = input.peek(octets + 2 + name.len())?;
    Ok(ahead.get(octets + 2..).is_some_and(|found| found == name))
}

fn words(octets: &[u8]) -> Vec<u32> {
    let chunks = octets.chunks_exact(WORD_OCTETS);
    chunks.map(|word| word.iter().fold(0, |word, octet| word << 8 | u32::from(*octet))).collect()
}

/// Which of the outputs in these words, all of them, have a frame buffer. Of two ways to read them the one in which an
/// earlier output has it.
///
/// A format has the number of bits of a pixel in its upper octet, so a word above 2^24 behind an output is one; a frame
/// buffer that is not set up has six zeros. The number of attempts is at most 2 to the power of the outputs.
fn frame_buffers(words: &[u32], outputs: usize) -> Option<Vec<bool>> {
    let Some(others) = outputs.checked_sub(1) else { return words.is_empty().then(Vec::new) };
    let behind = words.get(SCANOUT_OCTETS / WORD_OCTETS..)?;
    if let Some((frame_buffer, rest)) = behind.split_at_checked(FRAME_BUFFER_OCTETS / WORD_OCTETS) {
        let has_format = frame_buffer.first().is_some_and(|format| *format >= FORMAT_MIN);
        if has_format || frame_buffer.iter().all(|word| *word == 0) {
            let found = frame_buffers(rest, others).map(|mut found| {
                found.insert(0, true);
                found
            });
            if found.is_some() || has_format {
                return found;
            }
        }
    }
    let mut found = frame_buffers(behind, others)?;
    found.insert(0, false);
    Some(found)
}

/// Reads the number of a resource, or the 0 behind the last of them.
fn read_id(found: usize, input: &mut Input<'_>) -> Result<u32, LoadError> {
    let at = input.offset();
    let mut id = 0;
    read(&mut id, "id", input)?;
    if id != 0 && found == RESOURCES_MAX {
        let reason = Reason::CountOverLimit { found: found as u64 + 1, limit: RESOURCES_MAX as u64 };
        return Err(LoadError::new(at, reason));
    }
    Ok(id)
}

/// Refuses the number that ends the resources.
fn check_id(id: u32) -> Result<(), SaveError> {
    if id == 0 { Err(SaveError::new(Refused::new("0 ends the resources")).within("id")) } else { Ok(()) }
}

impl Resource {
    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        let Self { id, width, height, format, pieces, pixels } = self;
        check_id(*id)?;
        let octets = pixel_octets(*width, *height);
        if octets != pixels.len() as u64 || octets > PIXELS_MAX {
            let text = format!("{} octets for {width} × {height}, limit {PIXELS_MAX}", pixels.len());
            return Err(SaveError::new(Refused::new(text)).within("pixels"));
        }
        let mut head = Vec::with_capacity(8);
        head.extend_from_slice(&id.to_be_bytes());
        head.extend_from_slice(&width.to_be_bytes());
        if matches!(head.as_slice(), [SUBSECTION_MARK, _, name @ ..] if name == SUBSECTION_NAME) {
            let text = "number and width look like a subsection, and a destination would take them for one";
            return Err(SaveError::new(Refused::new(text)).within("id"));
        }
        sink.put(&head);
        height.write_to(sink)?;
        format.write_to(sink)?;
        write_pieces(pieces, sink)?;
        sink.put(pixels);
        Ok(())
    }

    fn read_from(id: u32, input: &mut Input<'_>) -> Result<Self, LoadError> {
        const STEP: usize = 64 << 10;
        let mut resource = Self { id, ..Self::default() };
        let at = input.offset();
        read(&mut resource.width, "width", input)?;
        read(&mut resource.height, "height", input)?;
        read(&mut resource.format, "format", input)?;
        let octets = pixel_octets(resource.width, resource.height);
        let count = usize::try_from(octets).ok().filter(|_| octets <= PIXELS_MAX).ok_or_else(|| {
            LoadError::new(at, Reason::CountOverLimit { found: octets, limit: PIXELS_MAX }).within("pixels")
        })?;
        resource.pieces = read_pieces(input)?;
        while resource.pixels.len() < count {
            let done = resource.pixels.len();
            resource.pixels.resize(count.min(done + STEP), 0);
            let part = resource.pixels.get_mut(done..).unwrap_or_default();
            input.read_exact(part).map_err(|error| error.within("pixels"))?;
        }
        Ok(resource)
    }
}

/// Octets of the pixels; each has 4 in all formats of the device.
fn pixel_octets(width: u32, height: u32) -> u64 {
    (u64::from(width) * u64::from(height)).saturating_mul(4)
}

fn write_pieces(pieces: &[Piece], sink: &mut dyn Sink) -> Result<(), SaveError> {
    write_count(pieces.len(), PIECES_MAX, sink).map_err(|error| error.within("pieces"))?;
    pieces.iter().try_for_each(|Piece { address, octets }| {
        address.write_to(sink)?;
        octets.write_to(sink)
    })
}

fn read_pieces(input: &mut Input<'_>) -> Result<Vec<Piece>, LoadError> {
    let mut pieces = Vec::new();
    for index in 0..read_count("pieces", PIECES_MAX, input)? {
        let within = |error: LoadError| error.within(format!("[{index}]")).within("pieces");
        let mut piece = Piece::default();
        read(&mut piece.address, "address", input).map_err(within)?;
        read(&mut piece.octets, "octets", input).map_err(within)?;
        pieces.push(piece);
    }
    Ok(pieces)
}

impl Scanout {
    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        let Self { resource, rectangle, cursor_resource, cursor_hot, cursor_position, frame_buffer } = self;
        resource.write_to(sink)?;
        rectangle.write_to(sink)?;
        cursor_resource.write_to(sink)?;
        cursor_hot.write_to(sink)?;
        cursor_position.write_to(sink)?;
        frame_buffer.map_or(Ok(()), |frame_buffer| frame_buffer.write_to(sink))
    }

    fn read_from(has_frame_buffer: bool, input: &mut Input<'_>) -> Result<Self, LoadError> {
        let mut scanout = Self::default();
        read(&mut scanout.resource, "resource", input)?;
        read(&mut scanout.rectangle, "rectangle", input)?;
        read(&mut scanout.cursor_resource, "cursor_resource", input)?;
        read(&mut scanout.cursor_hot, "cursor_hot", input)?;
        read(&mut scanout.cursor_position, "cursor_position", input)?;
        if has_frame_buffer {
            read(scanout.frame_buffer.insert([0; 6]), "frame_buffer", input)?;
        }
        Ok(scanout)
    }
}

/// Resources without pixels of their own.
#[derive(VmState, Debug, Default, Clone, PartialEq, Eq)]
#[vmstate(name = "virtio-gpu/blob", version = 1)]
pub struct BlobImage {
    /// All of them.
    #[vmstate(name = "virtio-gpu/blob")]
    pub blobs: Blobs,
}

/// A list of [`Blob`], up to [`RESOURCES_MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blobs(pub Vec<Blob>);

impl Wire for Blobs {
    const KIND: Kind = Kind::Codec { name: "virtio-gpu/blob", octets: None };

    fn write_to(&self, sink: &mut dyn Sink) -> Result<(), SaveError> {
        for (index, Blob { id, octets, pieces }) in self.0.iter().enumerate() {
            let within = |error: SaveError| error.within(format!("[{index}]"));
            check_id(*id).map_err(within)?;
            id.write_to(sink)?;
            octets.write_to(sink)?;
            write_pieces(pieces, sink).map_err(within)?;
        }
        0_u32.write_to(sink)
    }

    fn read_from(&mut self, input: &mut Input<'_>) -> Result<(), LoadError> {
        self.0.clear();
        loop {
            let index = self.0.len();
            let within = |error: LoadError| error.within(format!("[{index}]"));
            let mut blob = Blob { id: read_id(index, input).map_err(within)?, ..Blob::default() };
            if blob.id == 0 {
                return Ok(());
            }
            read(&mut blob.octets, "octets", input).map_err(within)?;
            blob.pieces = read_pieces(input).map_err(within)?;
            self.0.push(blob);
        }
    }
}
