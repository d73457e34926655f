//! Elements of a stream: sections with their headers and footers.
//!
//! ```text
//! section-start = 01 u32:section_id  idinfo  body [footer]
//! section-full  = 04 u32:section_id  idinfo  body [footer]
//! section-part  = 02 u32:section_id          body [footer]
//! section-end   = 03 u32:section_id          body [footer]
//! idinfo        = counted-string:idstr  u32:instance_id  u32:version_id
//! footer        = 7e u32:section_id
//! ```
//!
//! | octet | element type |
//! |---|---|
//! | `00` | end of the stream |
//! | `01` `02` `03` `04` | SECTION_START, SECTION_PART, SECTION_END, SECTION_FULL |
//! | `05` | a subsection; only inside described state |
//! | `06` | the description; only behind the end of the stream |
//! | `07` | the configuration; only behind the header |
//! | `08` | a command |
//! | `7e` | a footer |
//!
//! Source: `docs/spec/stream.md` sections 1, 2 and 4. A body has no length: its end is found by decoding it.

use crate::command::Command;
use crate::decode::{Cursor, DecodeResult, Step, run};
use crate::error::Reason;
use crate::name::Name;

/// End of the stream.
pub const EOF: u8 = 0x00;
/// First part of an iterative section.
pub const SECTION_START: u8 = 0x01;
/// One iteration of an iterative section.
pub const SECTION_PART: u8 = 0x02;
/// Last part of an iterative section.
pub const SECTION_END: u8 = 0x03;
/// A whole section.
pub const SECTION_FULL: u8 = 0x04;
/// A subsection, inside described state.
pub const SUBSECTION: u8 = 0x05;
/// The description, behind the end of the stream.
pub const VMDESCRIPTION: u8 = 0x06;
/// The configuration, behind the header.
pub const CONFIGURATION: u8 = 0x07;
/// A command.
pub const COMMAND: u8 = 0x08;
/// Footer of a section.
pub const SECTION_FOOTER: u8 = 0x7e;

/// Octets of a footer.
pub const FOOTER_BYTES: usize = 5;

/// The instance id that means "assign one" when registering, and is never a real id.
pub const INSTANCE_ID_AUTO: u32 = 0xffff_ffff;

/// The name and place of a section's state, in START and FULL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionIdent {
    /// Device path and description name, or the name alone: `0000:00:01.1/ide`, `timer`.
    pub idstr: Name,
    /// Number among those of equal id string.
    pub instance_id: u32,
    /// Version of the description that wrote the body.
    pub version_id: u32,
}

/// A section's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionHeader {
    /// The first part of an iterative section; binds the id to the ident.
    Start {
        /// Number of the section in this stream.
        section_id: u32,
        /// Whose state it is.
        ident: SectionIdent,
    },
    /// A further part of a section that was started.
    Part {
        /// Number of the section in this stream.
        section_id: u32,
    },
    /// The last part of a section that was started.
    End {
        /// Number of the section in this stream.
        section_id: u32,
    },
    /// A whole section; binds the id to the ident.
    Full {
        /// Number of the section in this stream.
        section_id: u32,
        /// Whose state it is.
        ident: SectionIdent,
    },
}

impl SectionHeader {
    /// Number of the section in this stream.
    pub fn section_id(&self) -> u32 {
        match self {
            SectionHeader::Start { section_id, .. }
            | SectionHeader::Part { section_id }
            | SectionHeader::End { section_id }
            | SectionHeader::Full { section_id, .. } => *section_id,
        }
    }

    /// Whose state it is, where the header says so.
    pub fn ident(&self) -> Option<&SectionIdent> {
        match self {
            SectionHeader::Start { ident, .. } | SectionHeader::Full { ident, .. } => Some(ident),
            SectionHeader::Part { .. } | SectionHeader::End { .. } => None,
        }
    }

    /// Appends the element type and the header.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (kind, section_id, ident) = match self {
            SectionHeader::Start { section_id, ident } => (SECTION_START, section_id, Some(ident)),
            SectionHeader::Part { section_id } => (SECTION_PART, section_id, None),
            SectionHeader::End { section_id } => (SECTION_END, section_id, None),
            SectionHeader::Full { section_id, ident } => (SECTION_FULL, section_id, Some(ident)),
        };
        out.push(kind);
        out.extend_from_slice(&section_id.to_be_bytes());
        if let Some(SectionIdent { idstr, instance_id, version_id }) = ident {
            idstr.encode(out);
            out.extend_from_slice(&instance_id.to_be_bytes());
            out.extend_from_slice(&version_id.to_be_bytes());
        }
    }
}

/// What stands in element position: everything of an element but a section's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    /// A section's header; its body follows.
    Section(SectionHeader),
    /// A command, with its payload. The contents of a package follow it.
    Command(Command),
    /// The end of the stream; [`crate::end`] has what may follow.
    Eof,
}

impl Element {
    /// Decodes the type octet and what belongs to it, up to a section's body.
    ///
    /// # Errors
    ///
    /// An unknown type, an empty or malformed id string, and what [`Command`] refuses.
    pub fn decode(input: &[u8]) -> DecodeResult<Element> {
        run(input, |c| {
            Ok(match c.u8()? {
                EOF => Element::Eof,
                SECTION_START => Element::Section(SectionHeader::Start { section_id: c.u32()?, ident: ident(c)? }),
                SECTION_PART => Element::Section(SectionHeader::Part { section_id: c.u32()? }),
                SECTION_END => Element::Section(SectionHeader::End { section_id: c.u32()? }),
                SECTION_FULL => Element::Section(SectionHeader::Full { section_id: c.u32()?, ident: ident(c)? }),
                COMMAND => Element::Command(Command::decode_behind_type(c)?),
                found => return Err(c.refuse_back(1, Reason::UnknownSectionType { found })),
            })
        })
    }

    /// Appends what [`decode`](Element::decode) reads.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Element::Section(header) => header.encode(out),
            Element::Command(command) => command.encode(out),
            Element::Eof => out.push(EOF),
        }
    }
}

fn ident(c: &mut Cursor<'_>) -> Step<SectionIdent> {
    Ok(SectionIdent { idstr: c.name("section")?, instance_id: c.u32()?, version_id: c.u32()? })
}

/// The five octets that close a section: the only check of framing that the format has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Number of the section that it closes.
    pub section_id: u32,
}

impl Footer {
    /// Checks the footer of the section `section_id`.
    ///
    /// # Errors
    ///
    /// [`Reason::MissingFooter`], which in practice means that the body had another length than the reader thinks, and
    /// [`Reason::MismatchedSectionId`].
    pub fn decode(input: &[u8], section_id: u32) -> DecodeResult<Footer> {
        run(input, |c| {
            let octet = c.u8()?;
            if octet != SECTION_FOOTER {
                return Err(c.refuse_back(1, Reason::MissingFooter { found: octet }));
            }
            let found = c.u32()?;
            if found != section_id {
                return Err(c.refuse_back(4, Reason::MismatchedSectionId { found, expected: section_id }));
            }
            Ok(Footer { section_id })
        })
    }

    /// Appends the five octets.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(SECTION_FOOTER);
        out.extend_from_slice(&self.section_id.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Decoded;

    #[test]
    fn a_full_header_of_the_annotated_stream_is_read() {
        // docs/spec/stream.md section 12, offset 0x4e.
        let octets = b"\x04\0\0\0\0\x05timer\0\0\0\0\0\0\0\x02rest";
        let (element, used) = Element::decode(octets).unwrap().complete().unwrap();
        let ident = SectionIdent { idstr: Name::new("timer", "section").unwrap(), instance_id: 0, version_id: 2 };
        assert_eq!(element, Element::Section(SectionHeader::Full { section_id: 0, ident }));
        assert_eq!(used, octets.len() - 4);
        let mut again = Vec::new();
        element.encode(&mut again);
        assert_eq!(again, octets[..used]);
    }

    #[test]
    fn types_that_start_no_element_are_refused() {
        for octet in (5..=7).chain(9..=0xff) {
            let error = Element::decode(&[octet]).unwrap_err();
            assert_eq!(error.reason(), &Reason::UnknownSectionType { found: octet });
        }
    }

    #[test]
    fn an_empty_id_string_is_refused() {
        let error = Element::decode(b"\x01\0\0\0\x01\0").unwrap_err();
        assert_eq!(error.reason(), &Reason::EmptyName { what: "section" });
        assert_eq!(error.offset(), 5);
    }

    #[test]
    fn a_footer_is_checked_against_its_section() {
        assert_eq!(
            Footer::decode(b"\x7e\0\0\0\x03", 3).unwrap(),
            Decoded::Complete { value: Footer { section_id: 3 }, used: FOOTER_BYTES }
        );
        let error = Footer::decode(b"\x7e\0\0\0\x03", 4).unwrap_err();
        assert_eq!(error.reason(), &Reason::MismatchedSectionId { found: 3, expected: 4 });
        let error = Footer::decode(b"\x05", 4).unwrap_err();
        assert_eq!(error.reason(), &Reason::MissingFooter { found: 5 });
    }
}
