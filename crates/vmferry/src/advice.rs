//! What an operator can do about a refusal: the next step, in words.
//!
//! | refusal | what is known | advice |
//! |---|---|---|
//! | unknown subsection, at the destination | that the source is newer | turn the state off at the source, or go to a newer release |
//! | the same, told to the source | the property that gates it there | `--global TYPE.PROPERTY=off` |
//! | version too new, too old, never known | what is loaded here | which release to go to, or by way of |
//! | missing footer | which fields depend on properties here | set these alike |
//! | value not equal, out of bounds, too many, no place | that the configuration differs | the source's device options |
//! | unknown section | where the same device stands here | plug it in at the same place |
//! | machine type | those of this release | the one to use |
//!
//! Why each of them is the likely cause: `docs/spec/compat.md` sections 6 and 7.

use std::io;

use vmferry_wire::section::SectionIdent;
use vmstate::registry::Entry;
use vmstate::schema::{Field, Schema, Subsection};
use vmstate::{Reason, Registry};

use crate::error::{ErrorKind, Side};

/// Most names that a text lists.
const NAMES_SHOWN: usize = 8;

/// What can be said of an error without knowing what it is about.
pub(crate) fn general(side: Side, kind: &ErrorKind) -> Option<String> {
    match kind {
        ErrorKind::Io { source, .. } if side == Side::Source && source.kind() == io::ErrorKind::ConnectionRefused => {
            Some("is the destination started with --incoming, and listening there?".to_owned())
        }
        _ => None,
    }
}

/// What can be done at a destination that could not load the section of `entry`.
pub(crate) fn of_section(kind: &ErrorKind, entry: &Entry) -> Option<String> {
    let (idstr, schema) = (entry.idstr(), entry.section().schema());
    match kind {
        ErrorKind::Load(error) => of_load(error.reason(), idstr),
        ErrorKind::Wire(error) if matches!(error.reason(), vmferry_wire::Reason::MissingFooter { .. }) => {
            Some(of_footer(idstr, schema))
        }
        _ => None,
    }
}

fn of_load(reason: &Reason, idstr: &str) -> Option<String> {
    let text = match reason {
        Reason::UnknownSubsection { name } => format!(
            "the source is a newer release, whose '{idstr}' has state that this one cannot hold: turn off the property that \
             has '{}' sent there, or migrate to a release that knows it; state that is only sent while it is in use may \
             be gone at the next attempt",
            name.escape_debug()
        ),
        Reason::VersionTooNew { found, .. } => format!(
            "the source is a newer release, and nothing makes it write an older version of '{idstr}': migrate to a \
             release that loads version {found}"
        ),
        Reason::VersionTooOld { found, oldest } => format!(
            "the source is an older release: migrate first to one that loads version {found} of '{idstr}' and writes \
             version {oldest} or a newer one"
        ),
        Reason::VersionUnknown { .. } => format!("no release that this one knows of wrote that version of '{idstr}'"),
        Reason::NotEqual { hint: None, .. }
        | Reason::OutOfBounds { .. }
        | Reason::NotNull { .. }
        | Reason::CountOverLimit { .. }
        | Reason::NoTemplate => {
            format!(
                "'{idstr}' is configured in another way here: start the destination with the source's device options"
            )
        }
        _ => return None,
    };
    Some(text)
}

fn of_footer(idstr: &str, schema: &Schema) -> String {
    let mut gated = Vec::new();
    gated_fields(schema, &mut gated);
    let last = schema.fields.last().map_or("no field", |field| field.name);
    let properties = shown(&gated);
    if properties.is_empty() {
        return format!(
            "the source's '{idstr}' has another layout than this release reads, which ends it behind '{last}': fields were \
             changed between the two releases under one version"
        );
    }
    format!(
        "the source's '{idstr}' has another layout than is read here; fields of it are only there with a property on, which \
         must be set alike at both ends: {properties}"
    )
}

/// Fields that a property decides about, each side for itself, with that property.
fn gated_fields(schema: &Schema, found: &mut Vec<String>) {
    for field in schema.fields {
        let Field { name, gate, kind, .. } = field;
        if let Some(gate) = gate {
            found.push(format!("{name} ({gate})"));
        }
        if let Some(nested) = kind.image() {
            gated_fields(nested, found);
        }
    }
    for Subsection { schema, .. } in schema.subsections {
        gated_fields(schema, found);
    }
}

/// The first of these names.
pub(crate) fn shown(names: &[String]) -> String {
    let more = if names.len() > NAMES_SHOWN { ", …" } else { "" };
    let first: Vec<&str> = names.iter().take(NAMES_SHOWN).map(String::as_str).collect();
    format!("{}{more}", first.join(", "))
}

/// What can be done about a section that no device here takes.
pub(crate) fn of_unknown_section(ident: &SectionIdent, registry: &Registry) -> String {
    let name = |idstr: &str| idstr.rsplit_once('/').map_or(idstr, |(_, name)| name).to_owned();
    let wanted = name(ident.idstr.as_str());
    let places: Vec<String> = registry
        .entries()
        .iter()
        .filter(|entry| name(entry.idstr()) == wanted)
        .map(|entry| format!("'{}' instance {}", entry.idstr(), entry.instance()))
        .collect();
    if places.is_empty() {
        return "start the destination with the devices of the source".to_owned();
    }
    // The list last: on the return path a text is cut.
    format!("give it the place that it has at the source; here such a device is {}", shown(&places))
}

/// What would be accepted in place of the machine type `found`, by a release that knows the types `known`.
pub(crate) fn of_machine_type(found: &str, running: &str, known: &[String]) -> String {
    if known.iter().any(|name| name == found) {
        return format!("'{running}': start the destination with --machine {found}");
    }
    if known.is_empty() {
        return format!("'{running}'");
    }
    format!(
        "'{running}'; this release does not know '{}': a guest can come here that was started with one of {}",
        found.escape_debug(),
        shown(known)
    )
}

/// What can be done at a source whose destination refused for this reason: if it names a subsection that this side
/// sends, how to have it not sent.
pub(crate) fn of_peer(reason: &str, registry: &Registry) -> Option<String> {
    for entry in registry.entries() {
        let schema = entry.section().schema();
        let Some(found) = subsection_named_in(schema, schema.device, reason) else { continue };
        let (idstr, name) = (entry.idstr(), found.name);
        return Some(match found.gate {
            Some((device, gate)) => format!(
                "'{name}' of '{idstr}' is sent because the property {device}.{gate} is on here: the machine type of a guest \
                 that is to move to such a release turns it off, or --global {device}.{gate}=off does, when the guest is \
                 started"
            ),
            None => format!(
                "'{name}' of '{idstr}' is sent while it is in use, and no property turns it off: try again later, or \
                 migrate to a release that knows it"
            ),
        });
    }
    None
}

struct Named {
    name: &'static str,
    /// Type of device and property.
    gate: Option<(&'static str, &'static str)>,
}

fn subsection_named_in(schema: &Schema, device: Option<&'static str>, reason: &str) -> Option<Named> {
    let device = device.or(schema.device);
    for subsection in schema.subsections {
        let name = subsection.schema.name;
        if reason.contains(&format!("subsection '{name}' is not known")) {
            return Some(Named { name, gate: device.zip(subsection.gate) });
        }
    }
    let nested = schema.fields.iter().filter_map(|field| field.kind.image());
    let inner = schema.subsections.iter().map(|subsection| subsection.schema);
    nested.chain(inner).find_map(|nested| subsection_named_in(nested, device, reason))
}
