//! The files that a stream came in, and where its RAM goes.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, anyhow};
use vmferry_inspect::qcow2::{self, Image, ImageError};
use vmferry_inspect::{Analysis, Channel, Inputs, Options, Source};

use super::Args;
use crate::exit::{Failure, OrExit as _};
use crate::output::printable;

/// `--shared-ram BLOCK=FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharedRam {
    pub(crate) block: String,
    pub(crate) file: PathBuf,
}

impl FromStr for SharedRam {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((block, file)) if !block.is_empty() && !file.is_empty() => {
                Ok(Self { block: block.to_owned(), file: file.into() })
            }
            _ => Err(format!("found '{text}', expected the name of a RAM block, '=' and a file")),
        }
    }
}

/// Where a stream is: a file of its own or standard input, a file from some place on, a snapshot in a qcow2 image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamFile<'a> {
    pub(crate) path: &'a Path,
    /// Octets of the file before it.
    pub(crate) offset: u64,
    /// Which, if the file is a qcow2 image that holds several; its name or id.
    pub(crate) snapshot: Option<&'a str>,
}

impl<'a> StreamFile<'a> {
    /// The stream that begins where the file does, or the only one in an image.
    pub(crate) fn whole(path: &'a Path) -> Self {
        Self { path, offset: 0, snapshot: None }
    }

    /// Opens it.
    pub(crate) fn open(self) -> Result<Source<'static>, Failure> {
        open_main(self).map_err(|mut failure| {
            failure.error = failure.error.context(format!("cannot open {}", name(self.path)));
            failure
        })
    }

    /// Opens it and the further channels that were captured beside it.
    pub(crate) fn open_with(self, channels: impl IntoIterator<Item = &'a PathBuf>) -> Result<Inputs<'static>, Failure> {
        Ok(Inputs { main: self.open()?, channels: open_channels(channels)? })
    }
}

/// Opens channels that were captured beside a main one.
pub(crate) fn open_channels<'a>(
    paths: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<Vec<Channel<'static>>, Failure> {
    let open = |path: &PathBuf| Channel::open(path).with_context(|| format!("cannot open {}", name(path)));
    paths.into_iter().map(open).collect::<Result<_, _>>().or_environment()
}

pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// What a file is called in errors.
pub(crate) fn name(path: &Path) -> String {
    if is_stdin(path) { "standard input".to_owned() } else { path.to_string_lossy().into_owned() }
}

/// What a stream is called where its folder does not matter.
pub(super) fn title(path: &Path) -> String {
    path.file_name().filter(|_| !is_stdin(path)).map_or_else(|| name(path), |last| last.to_string_lossy().into_owned())
}

fn stdin() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Whether it can be read from any place: a file that standard input was redirected to can be as well, if it is at its
/// begin.
fn is_whole_file(file: &mut File) -> io::Result<bool> {
    Ok(file.metadata()?.is_file() && file.stream_position()? == 0)
}

fn open_main(StreamFile { path, offset, snapshot }: StreamFile<'_>) -> Result<Source<'static>, Failure> {
    let mut file = if is_stdin(path) { stdin() } else { File::open(path) }.or_environment()?;
    let is_whole_file = is_whole_file(&mut file).or_environment()?;
    if is_whole_file && offset == 0 {
        let mut first = [0; 4];
        let is_image = file.read_exact(&mut first).is_ok() && first == qcow2::MAGIC;
        if is_image {
            return open_state(file, snapshot);
        }
    }
    if snapshot.is_some() {
        return Err(Failure::usage(anyhow!("--snapshot is for a qcow2 image in a file, which this is not")));
    }
    if is_whole_file {
        return Source::at(file, offset).or_environment();
    }
    io::copy(&mut (&mut file).take(offset), &mut io::sink()).or_environment()?;
    Ok(Source::pipe(file))
}

/// The state of a machine inside a qcow2 image.
fn open_state(file: File, snapshot: Option<&str>) -> Result<Source<'static>, Failure> {
    let state = Image::open(file).and_then(|image| image.into_state(snapshot));
    match state {
        Ok(state) => Ok(Source::Seekable(Box::new(state))),
        Err(error @ ImageError::NoSuchSnapshot { .. }) => Err(Failure::usage(error.into())),
        Err(error @ ImageError::Malformed { .. }) => Err(Failure::input(error.into())),
        Err(error) => Err(error).or_environment(),
    }
}

/// What the arguments choose about the analysis.
pub(super) fn options(args: &Args) -> Options {
    let mut options = Options::default();
    options.extract_ram.clone_from(&args.extract_ram);
    options.shared_ram = args.shared_ram.iter().map(|shared| (shared.block.clone(), shared.file.clone())).collect();
    options.stream_offset = args.offset.0;
    options.has_big_endian_bitmaps = args.big_endian_bitmaps;
    options
}

/// The failure if `--shared-ram` names a block that the stream does not have.
pub(super) fn unknown_shared_ram(args: &Args, analysis: &Analysis) -> Option<Failure> {
    let blocks = &analysis.ram.blocks;
    let unknown = args.shared_ram.iter().find(|shared| blocks.iter().all(|block| block.id != shared.block))?;
    let known: Vec<_> = blocks.iter().map(|block| printable(&block.id)).collect();
    let text = anyhow!("--shared-ram: no RAM block '{}' in the stream, which has: {}", unknown.block, known.join(", "));
    Some(Failure::usage(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_of_shared_ram_ends_at_the_first_equals_sign() {
        let shared: SharedRam = "m0=/dev/shm/a=b".parse().unwrap();
        assert_eq!(shared, SharedRam { block: "m0".to_owned(), file: "/dev/shm/a=b".into() });
        for text in ["m0", "=x", "m0="] {
            assert!(text.parse::<SharedRam>().is_err());
        }
    }
}
