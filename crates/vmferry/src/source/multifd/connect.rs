//! Opening the connections of a migration, each channel with its first packet.
//!
//! The main channel comes first: QEMU up to 7.2 takes the first connection for it. Nothing is written on it before all
//! channels are there, so a destination that sees its first octets knows that nobody else will come
//! (`docs/spec/multifd.md` sections 1 and 2).

use std::io;

use vmferry_wire::multifd::Handshake;

use crate::channel::{Channel, Descriptors, Interrupt, Uri, open};
use crate::control::{Capabilities, MultifdCompression, Parameters};
use crate::source::mapped_ram::PageFiles;

/// The connections of one migration.
#[derive(Debug)]
pub(crate) struct Connections {
    /// The main channel.
    pub(crate) main: Channel,
    /// The multifd channels with what ends their waits, if there are any.
    pub(crate) multifd: Option<(Vec<Channel>, Interrupt)>,
    /// The files for pages at fixed places, if they have such.
    pub(crate) files: Option<PageFiles>,
}

/// Why a migration to or from `uri` cannot have several channels, or not these; `None` if it can, or has one only.
pub(crate) fn refusal(uri: &Uri, capabilities: Capabilities, parameters: Parameters) -> Option<String> {
    if !capabilities.multifd {
        return None;
    }
    if capabilities.zero_copy_send && parameters.multifd.compression != MultifdCompression::None {
        let compression = parameters.multifd.compression;
        return Some(format!("zero-copy-send needs multifd-compression 'none', which is '{compression}'"));
    }
    match uri {
        Uri::Tcp { .. } => None,
        Uri::Unix(_) if capabilities.zero_copy_send => {
            Some("zero-copy-send needs tcp: the kernel has it for no other channel".to_owned())
        }
        Uri::Unix(_) => None,
        // Each channel opens the file once more.
        Uri::File { .. } if capabilities.mapped_ram && !capabilities.zero_copy_send => None,
        Uri::File { .. } | Uri::Fd(_) | Uri::Exec(_) => Some(format!(
            "multifd needs several connections, which '{uri}' cannot give: use unix: or tcp:, or file: with mapped-ram"
        )),
    }
}

/// Connects the main channel and, if there are to be any, the channels beside it.
///
/// # Errors
///
/// Nobody listens, or a connection was refused.
pub(crate) fn connect(
    uri: &Uri,
    interrupt: Interrupt,
    channels: Option<u8>,
    uuid: [u8; 16],
) -> io::Result<Connections> {
    let descriptors = Descriptors::default();
    let Some(count) = channels else {
        return Ok(Connections { main: open::open(uri, &descriptors, interrupt)?, multifd: None, files: None });
    };
    let alarm = interrupt.child()?;
    // The alarm ends its writes, too.
    let main = open::open(uri, &descriptors, alarm.clone())?;
    let connect_one = |id| {
        let channel = open::open(uri, &descriptors, alarm.clone())?;
        let mut out = Vec::new();
        Handshake { uuid, id }.encode(&mut out);
        channel.write_all(&out)?;
        Ok(channel)
    };
    let named = |id| {
        connect_one(id).map_err(|error: io::Error| {
            if crate::channel::interrupt::is_cancellation(&error) {
                return error;
            }
            io::Error::new(error.kind(), format!("multifd channel {id}: {error}"))
        })
    };
    let multifd = (0..count).map(named).collect::<io::Result<Vec<_>>>()?;
    Ok(Connections { main, multifd: Some((multifd, alarm)), files: None })
}
