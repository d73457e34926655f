//! The `globalstate` section: the runstate that the guest had when the source stopped it.
//!
//! Instance 0, version 1, a body of 104 octets:
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | u32 = length of the runstate + 1; not used on load |
//! | 4 | 32 | runstate name, zero padded |
//! | 36 | 1 | has_vm_was_suspended |
//! | 37 | 1 | vm_was_suspended |
//! | 38 | 66 | zero |
//!
//! Before QEMU 9.0 the 100 octets at offset 4 were one zero-padded buffer; both layouts read as this one. Source:
//! `docs/spec/stream.md` section 9.

use crate::decode::{DecodeResult, run};
use crate::description::{Field, Vmsd};
use crate::error::Reason;

/// Id string and description name of the section.
pub const GLOBALSTATE_IDSTR: &str = "globalstate";

/// Version of the section.
pub const GLOBALSTATE_VERSION: u32 = 1;

/// Octets of the body.
pub const GLOBALSTATE_BYTES: usize = 104;

/// Octets of the runstate's name, without its terminator.
pub const RUNSTATE_LIMIT: usize = 31;

const PADDING_BYTES: usize = 66;

/// The body of the section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalState {
    runstate: Box<str>,
    vm_was_suspended: Option<bool>,
}

impl GlobalState {
    /// The body for a runstate. `vm_was_suspended` is `None` only in streams from before QEMU 9.0.
    ///
    /// # Errors
    ///
    /// The name is empty, longer than [`RUNSTATE_LIMIT`] or holds a NUL.
    pub fn new(runstate: &str, vm_was_suspended: Option<bool>) -> Result<GlobalState, Reason> {
        if runstate.is_empty() {
            return Err(Reason::EmptyName { what: "runstate" });
        }
        if runstate.contains('\0') {
            return Err(Reason::BadName { what: "runstate" });
        }
        if runstate.len() > RUNSTATE_LIMIT {
            let found = u64::try_from(runstate.len()).unwrap_or(u64::MAX);
            return Err(Reason::BadLength { what: "the name of the runstate", found, accepted: "1 to 31 octets" });
        }
        Ok(GlobalState { runstate: runstate.into(), vm_was_suspended })
    }

    /// The runstate's name. Whether it is a known one is checked by whoever starts the guest.
    pub fn runstate(&self) -> &str {
        &self.runstate
    }

    /// Whether the guest was suspended before it was stopped, if the writer says.
    pub fn vm_was_suspended(&self) -> Option<bool> {
        self.vm_was_suspended
    }

    /// Decodes the body.
    ///
    /// # Errors
    ///
    /// A runstate without terminator in its 32 octets, of no octets, or that is not text.
    pub fn decode(input: &[u8]) -> DecodeResult<GlobalState> {
        run(input, |c| {
            c.u32()?;
            let field: [u8; RUNSTATE_LIMIT + 1] = c.array()?;
            let [has, was, _padding @ ..]: [u8; PADDING_BYTES + 2] = c.array()?;
            let vm_was_suspended = (has != 0).then_some(was != 0);
            let text = field.split(|octet| *octet == 0).next().and_then(|name| std::str::from_utf8(name).ok());
            text.ok_or(Reason::BadName { what: "runstate" })
                .and_then(|text| GlobalState::new(text, vm_was_suspended))
                .map_err(|reason| c.refuse_back(100, reason))
        })
    }

    /// Appends the 104 octets.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let length = u32::try_from(self.runstate.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.saturating_add(1).to_be_bytes());
        let name_at = out.len();
        out.extend_from_slice(self.runstate.as_bytes());
        out.resize(name_at.saturating_add(RUNSTATE_LIMIT + 1), 0);
        out.push(u8::from(self.vm_was_suspended.is_some()));
        out.push(u8::from(self.vm_was_suspended == Some(true)));
        out.resize(name_at.saturating_add(GLOBALSTATE_BYTES - 4), 0);
    }

    /// The description of the body, as QEMU 9.0 and later write it.
    pub fn description() -> Vmsd {
        Vmsd {
            name: GLOBALSTATE_IDSTR.to_owned(),
            version: GLOBALSTATE_VERSION,
            fields: vec![
                Field::scalar("size", "uint32", 4),
                Field::scalar("runstate", "buffer", 32),
                Field::scalar("has_vm_was_suspended", "uint8", 1),
                Field::scalar("vm_was_suspended", "uint8", 1),
                Field::scalar("unused", "buffer", 66),
            ],
            subsections: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_the_annotated_stream_is_written_and_read() {
        // docs/spec/stream.md section 12, offset 0x97.
        let mut expected = b"\0\0\0\x0aprelaunch".to_vec();
        expected.resize(36, 0);
        expected.extend_from_slice(&[1, 0]);
        expected.resize(GLOBALSTATE_BYTES, 0);
        let state = GlobalState::new("prelaunch", Some(false)).unwrap();
        let mut out = Vec::new();
        state.encode(&mut out);
        assert_eq!(out, expected);
        assert_eq!(GlobalState::decode(&out).unwrap().complete().unwrap(), (state, GLOBALSTATE_BYTES));
        assert_eq!(GlobalState::description().encoded_bytes(), Some(104));
    }

    #[test]
    fn the_layout_before_9_0_is_read() {
        let mut octets = b"\0\0\0\x08running".to_vec();
        octets.resize(GLOBALSTATE_BYTES, 0);
        let (state, _) = GlobalState::decode(&octets).unwrap().complete().unwrap();
        assert_eq!((state.runstate(), state.vm_was_suspended()), ("running", None));
    }

    #[test]
    fn a_runstate_without_terminator_is_refused() {
        let mut octets = b"\0\0\0\x21".to_vec();
        octets.resize(36, b'r');
        octets.resize(GLOBALSTATE_BYTES, 0);
        assert_eq!(GlobalState::decode(&octets).unwrap_err().offset(), 4);
        octets[4] = 0;
        assert!(GlobalState::decode(&octets).is_err(), "an empty one too");
    }
}
