//! The configuration section, directly behind the header.
//!
//! ```text
//! 07
//! u32  len                 length of the machine type name
//! OCTET[len]  name         no terminator
//! zero or more subsections:  05 u8 n name[n] u32 version payload
//! ```
//!
//! | subsection | version | payload | sent when |
//! |---|---|---|---|
//! | `configuration/target-page-bits` | 1 | u32 bits | the page is larger than the smallest of the CPU family |
//! | `configuration/capabilities` | 1 | u32 count, then count counted strings | a validated capability is on |
//! | `configuration/uuid` | 1 | 16 octets | a UUID is set and `validate-uuid` is on |
//!
//! Neither the name nor the version of the section is on the wire, and no footer follows. Source: `docs/spec/stream.md`
//! section
//! 3. That the names of the machine types are *equal* is the caller's check: QEMU compares a prefix (section 3.3).
//!
//! Differs from QEMU: a subsection that appears twice is refused, as is a version of a subsection above 255 (QEMU looks
//! at its low eight bits).

use crate::decode::{Cursor, DecodeResult, Step, run};
use crate::description::{Field, Vmsd};
use crate::error::Reason;
use crate::limits::{CAPABILITY_COUNT_LIMIT, MACHINE_NAME_LIMIT};
use crate::name::Name;
use crate::ram::TargetPage;
use crate::section::{CONFIGURATION, SUBSECTION};

const VMSD_NAME: &str = "configuration";
const TARGET_PAGE_BITS: &str = "configuration/target-page-bits";
const CAPABILITIES: &str = "configuration/capabilities";
const UUID: &str = "configuration/uuid";

/// Version that the description states for the section.
const DESCRIBED_VERSION: u32 = 1;

/// The version of every subsection.
const SUBSECTION_VERSION: u32 = 1;

/// What the source says about itself before any state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The machine type's name, never an alias: `pc-i440fx-10.0`.
    pub machine: Name,
    /// The target page, if stated. Absent means the smallest page of the target's CPU family.
    pub target_page: Option<TargetPage>,
    /// Names of the validated capabilities that are on, if there are any.
    pub capabilities: Option<Vec<Name>>,
    /// The machine's UUID, if it is to be compared.
    pub uuid: Option<[u8; 16]>,
}

impl Configuration {
    /// A configuration that states the machine type alone.
    pub fn of_machine(machine: Name) -> Configuration {
        Configuration { machine, target_page: None, capabilities: None, uuid: None }
    }

    /// Decodes the section from its type octet on. One octet behind the section must be in the input: it decides
    /// whether a subsection follows, and every stream has it.
    ///
    /// # Errors
    ///
    /// Another type octet; a machine name over [`MACHINE_NAME_LIMIT`]; a subsection that is unknown, repeated, of
    /// another version, or malformed.
    pub fn decode(input: &[u8]) -> DecodeResult<Configuration> {
        run(input, |c| {
            let found = c.u8()?;
            if found != CONFIGURATION {
                return Err(c.refuse_back(1, Reason::ConfigurationMissing { found }));
            }
            let mut configuration = Configuration::of_machine(machine_name(c)?);
            while let Some(name) = subsection_name(c)? {
                let seen = match name {
                    TARGET_PAGE_BITS => configuration.target_page.replace(target_page(c)?).is_some(),
                    CAPABILITIES => configuration.capabilities.replace(capabilities(c)?).is_some(),
                    UUID => {
                        subsection_version(c)?;
                        configuration.uuid.replace(c.array()?).is_some()
                    }
                    _ => return Err(c.refuse_back(0, Reason::UnknownSubsection { name: name.to_owned() })),
                };
                if seen {
                    return Err(c.refuse_back(0, Reason::Repeated { what: "subsection", name: name.to_owned() }));
                }
            }
            Ok(configuration)
        })
    }

    /// Appends the section, subsections in the writer's fixed order.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Configuration { machine, target_page, capabilities, uuid } = self;
        out.push(CONFIGURATION);
        out.extend_from_slice(&octets_u32(machine.len()).to_be_bytes());
        out.extend_from_slice(machine.as_bytes());
        if let Some(page) = target_page {
            encode_subsection(TARGET_PAGE_BITS, out);
            out.extend_from_slice(&page.bits().to_be_bytes());
        }
        if let Some(names) = capabilities {
            encode_subsection(CAPABILITIES, out);
            out.extend_from_slice(&octets_u32(names.len()).to_be_bytes());
            for name in names {
                name.encode(out);
            }
        }
        if let Some(octets) = uuid {
            encode_subsection(UUID, out);
            out.extend_from_slice(octets);
        }
    }

    /// The description of this section, as QEMU 10.0 writes it.
    ///
    /// Differs from QEMU: two capability names of different lengths are described one by one; QEMU describes the first
    /// and a count (`docs/spec/vmdesc.md` section A5, defect 1).
    pub fn description(&self) -> Vmsd {
        let Configuration { machine, target_page, capabilities, uuid } = self;
        let mut subsections = Vec::new();
        let mut subsection = |name: &str, fields| {
            let (name, subsections_of_it) = (name.to_owned(), Vec::new());
            subsections.push(Vmsd { name, version: SUBSECTION_VERSION, fields, subsections: subsections_of_it });
        };
        if target_page.is_some() {
            subsection(TARGET_PAGE_BITS, vec![Field::scalar("target_page_bits", "uint32", 4)]);
        }
        if let Some(names) = capabilities {
            let mut fields = vec![Field::scalar("caps_count", "uint32", 4)];
            fields.extend(describe_capabilities(names));
            subsection(CAPABILITIES, fields);
        }
        if uuid.is_some() {
            let octets = Field { array_len: Some(16), ..Field::scalar("uuid.data", "uint8", 1) };
            subsection(UUID, vec![octets]);
        }
        Vmsd {
            name: VMSD_NAME.to_owned(),
            version: DESCRIBED_VERSION,
            fields: vec![
                Field::scalar("len", "uint32", 4),
                Field::scalar("name", "buffer", u64::from(octets_u32(machine.len()))),
            ],
            subsections,
        }
    }
}

fn describe_capabilities(names: &[Name]) -> Vec<Field> {
    let size = |name: &Name| u64::from(octets_u32(name.encoded_len()));
    let first = match names {
        [] => return Vec::new(),
        [first, ..] => Field::scalar("capabilities", "capability", size(first)),
    };
    if names.len() == 1 {
        return vec![first];
    }
    if names.iter().all(|name| size(name) == first.size) {
        return vec![Field { array_len: Some(u64::from(octets_u32(names.len()))), ..first }];
    }
    (0..).zip(names).map(|(index, name)| Field { index: Some(index), size: size(name), ..first.clone() }).collect()
}

fn octets_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn encode_subsection(name: &str, out: &mut Vec<u8>) {
    out.push(SUBSECTION);
    Name::from_checked(name).encode(out);
    out.extend_from_slice(&SUBSECTION_VERSION.to_be_bytes());
}

fn machine_name(c: &mut Cursor<'_>) -> Step<Name> {
    let what = "the length of the machine type's name";
    let length = c.u32()?;
    if length > MACHINE_NAME_LIMIT {
        let (found, max) = (u64::from(length), u64::from(MACHINE_NAME_LIMIT));
        return Err(c.refuse_back(4, Reason::OutOfRange { what, found, min: 1, max }));
    }
    let octets = c.take(usize::try_from(length).unwrap_or(usize::MAX))?;
    match Name::check(octets, "machine type") {
        Ok(text) => Ok(Name::from_checked(text)),
        Err(reason) => Err(c.refuse_back(u64::from(length), reason)),
    }
}

/// The name of the subsection at the cursor, consumed; `None` if what follows is not one of the configuration's. The
/// rules are those of every description: `docs/spec/vmstate.md` section 6.2.
fn subsection_name<'a>(c: &mut Cursor<'a>) -> Step<Option<&'a str>> {
    let mut ahead = *c;
    if ahead.u8()? != SUBSECTION {
        return Ok(None);
    }
    let length = usize::from(ahead.u8()?);
    if length <= VMSD_NAME.len() {
        return Ok(None);
    }
    let octets = ahead.take(length)?;
    if !octets.starts_with(VMSD_NAME.as_bytes()) {
        return Ok(None);
    }
    *c = ahead;
    match Name::check(octets, "subsection of the configuration") {
        Ok(name) => Ok(Some(name)),
        Err(reason) => Err(c.refuse_back(u64::from(octets_u32(length)), reason)),
    }
}

fn subsection_version(c: &mut Cursor<'_>) -> Step<()> {
    let version = c.u32()?;
    let what = "the version of the configuration's subsection";
    c.expect(what, u64::from(version), u64::from(SUBSECTION_VERSION), 4)
}

fn target_page(c: &mut Cursor<'_>) -> Step<TargetPage> {
    subsection_version(c)?;
    let bits = c.u32()?;
    TargetPage::from_bits(bits).map_err(|reason| c.refuse_back(4, reason))
}

fn capabilities(c: &mut Cursor<'_>) -> Step<Vec<Name>> {
    subsection_version(c)?;
    let count = c.u32()?;
    if count > CAPABILITY_COUNT_LIMIT {
        let what = "the number of capabilities";
        let (found, max) = (u64::from(count), u64::from(CAPABILITY_COUNT_LIMIT));
        return Err(c.refuse_back(4, Reason::OutOfRange { what, found, min: 0, max }));
    }
    (0..count).map(|_| c.name("capability")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::WireError;

    // docs/spec/stream.md section 3.3, with the octet of the first section behind.
    const VERIFIED: &[u8] = b"\x07\0\0\0\x04none\
        \x05\x1aconfiguration/capabilities\0\0\0\x01\0\0\0\x01\x0fx-ignore-shared\
        \x05\x12configuration/uuid\0\0\0\x01\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x01";

    fn name(text: &str) -> Name {
        Name::new(text, "machine type").unwrap()
    }

    fn verified() -> Configuration {
        Configuration {
            machine: name("none"),
            target_page: None,
            capabilities: Some(vec![name("x-ignore-shared")]),
            uuid: Some([0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]),
        }
    }

    fn refused(octets: &[u8]) -> WireError {
        Configuration::decode(octets).unwrap_err()
    }

    #[test]
    fn the_verified_section_is_read_and_written() {
        let (read, used) = Configuration::decode(VERIFIED).unwrap().complete().unwrap();
        assert_eq!((read, used), (verified(), VERIFIED.len() - 1));
        let mut out = Vec::new();
        verified().encode(&mut out);
        assert_eq!(out, VERIFIED[..VERIFIED.len() - 1]);
        let described = verified().description();
        // The type octet is not part of what is described.
        assert_eq!(described.encoded_bytes(), Some(out.len() as u64 - 1));
    }

    #[test]
    fn target_page_bits_are_read() {
        let octets = b"\x07\0\0\0\x04virt\x05\x1econfiguration/target-page-bits\0\0\0\x01\0\0\0\x0c\x01";
        let (read, used) = Configuration::decode(octets).unwrap().complete().unwrap();
        assert_eq!(read.target_page, Some(TargetPage::KIB_4));
        let mut out = Vec::new();
        read.encode(&mut out);
        assert_eq!(out, octets[..used]);
        let mut octets = octets.to_vec();
        octets[used - 1] = 64;
        assert!(matches!(refused(&octets).reason(), Reason::OutOfRange { found: 64, .. }));
    }

    #[test]
    fn a_missing_section_is_refused_with_what_was_found() {
        assert_eq!(refused(b"\x01\0\0\0\x01").reason(), &Reason::ConfigurationMissing { found: 1 });
    }

    #[test]
    fn a_long_machine_name_is_refused_before_it_is_read() {
        assert!(matches!(refused(b"\x07\xff\xff\xff\xff").reason(), Reason::OutOfRange { found: 0xffff_ffff, .. }));
        assert!(matches!(refused(b"\x07\0\0\0\0").reason(), Reason::EmptyName { .. }));
    }

    #[test]
    fn an_unknown_subsection_is_refused_and_a_foreign_one_left_alone() {
        let error = refused(b"\x07\0\0\0\x04none\x05\x0fconfiguration/x\0\0\0\x01");
        assert_eq!(error.reason(), &Reason::UnknownSubsection { name: "configuration/x".into() });
        let octets = b"\x07\0\0\0\x04none\x05\x0fconfiguratiom/x\0\0\0\x01";
        assert_eq!(Configuration::decode(octets).unwrap().complete().unwrap().1, 9);
    }

    #[test]
    fn a_repeated_subsection_is_refused() {
        let mut octets = VERIFIED[..VERIFIED.len() - 1].to_vec();
        octets.extend_from_slice(&VERIFIED[VERIFIED.len() - 41..]);
        assert!(matches!(refused(&octets).reason(), Reason::Repeated { .. }), "{}", refused(&octets));
    }

    #[test]
    fn too_many_capabilities_are_refused() {
        let octets = b"\x07\0\0\0\x04none\x05\x1aconfiguration/capabilities\0\0\0\x01\xff\xff\xff\xff";
        assert!(matches!(refused(octets).reason(), Reason::OutOfRange { found: 0xffff_ffff, .. }));
    }

    #[test]
    fn another_version_of_a_subsection_is_refused() {
        let octets = b"\x07\0\0\0\x04none\x05\x1aconfiguration/capabilities\0\0\x01\x01\0\0\0\0\0";
        assert!(matches!(refused(octets).reason(), Reason::Unexpected { found: 0x101, expected: 1, .. }));
    }

    #[test]
    fn capabilities_of_different_lengths_are_described_one_by_one() {
        let capabilities = Some(vec![name("x-ignore-shared"), name("mapped-ram")]);
        let configuration = Configuration { capabilities, uuid: None, ..verified() };
        let mut out = Vec::new();
        configuration.encode(&mut out);
        let described = configuration.description();
        assert_eq!(described.encoded_bytes(), Some(out.len() as u64 - 1));
        let sizes: Vec<_> = described.subsections[0].fields.iter().map(|f| (f.index, f.size)).collect();
        assert_eq!(sizes, [(None, 4), (Some(0), 16), (Some(1), 11)]);
    }
}
