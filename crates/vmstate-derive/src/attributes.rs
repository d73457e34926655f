//! Attributes as they stand in the source: names, values and their tokens; meaning is given elsewhere.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, Ident, LitInt, LitStr, Path, Result, Token, Type};

/// Attributes of the struct.
#[derive(Default)]
pub(crate) struct ImageAttributes {
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<LitInt>,
    pub(crate) min: Option<LitInt>,
    pub(crate) props: Option<Type>,
    pub(crate) priority: Option<Path>,
    pub(crate) early: Option<Span>,
    pub(crate) gate: Option<Ident>,
    pub(crate) older: Option<Type>,
    pub(crate) unmigratable: Option<LitStr>,
}

/// Attributes of one field.
#[derive(Default)]
pub(crate) struct FieldAttributes {
    pub(crate) name: Option<LitStr>,
    pub(crate) since: Option<LitInt>,
    pub(crate) when: Option<Path>,
    pub(crate) gate: Option<Ident>,
    pub(crate) buffer: Option<Span>,
    pub(crate) unused: Option<Expr>,
    pub(crate) len: Option<Ident>,
    pub(crate) max: Option<Expr>,
    pub(crate) local: Option<Span>,
    pub(crate) props: Option<Ident>,
    pub(crate) subsection: Option<Span>,
    pub(crate) equal: Option<Span>,
    pub(crate) hint: Option<LitStr>,
    pub(crate) check: Option<Path>,
    pub(crate) le: Option<Span>,
    pub(crate) list: Option<(Span, Option<Ident>)>,
    pub(crate) tree: Option<Span>,
    pub(crate) pinned: Option<LitInt>,
    pub(crate) bitmap: Option<Span>,
    pub(crate) scale: Option<Expr>,
}

const IMAGE_NAMES: &[&str] = &["name", "version", "min", "props", "priority", "early", "gate", "older", "unmigratable"];
const FIELD_NAMES: &[&str] = &[
    "name",
    "since",
    "when",
    "gate",
    "buffer",
    "unused",
    "len",
    "max",
    "local",
    "props",
    "subsection",
    "equal",
    "hint",
    "check",
    "le",
    "list",
    "tree",
    "pinned",
    "bitmap",
    "scale",
];
/// Forms of QEMU's that are declared and have no code behind them yet.
const LATER_NAMES: &[&str] = &["fd"];

/// Takes the value of an attribute that may be given once.
fn once<T>(slot: &mut Option<T>, meta: &ParseNestedMeta<'_>, value: T) -> Result<()> {
    if slot.is_some() {
        let name = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
        return Err(meta.error(format!("'{name}' is given twice")));
    }
    *slot = Some(value);
    Ok(())
}

fn unknown(meta: &ParseNestedMeta<'_>, accepted: &[&str]) -> Error {
    let name = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
    let accepted = accepted.join(", ");
    meta.error(format!("unknown attribute '{name}': expected one of {accepted}"))
}

impl ImageAttributes {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("vmstate")) {
            attribute.parse_nested_meta(|meta| {
                let name = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
                match name.as_str() {
                    "name" => once(&mut found.name, &meta, meta.value()?.parse()?),
                    "version" => once(&mut found.version, &meta, meta.value()?.parse()?),
                    "min" => once(&mut found.min, &meta, meta.value()?.parse()?),
                    "props" => once(&mut found.props, &meta, meta.value()?.parse()?),
                    "priority" => once(&mut found.priority, &meta, meta.value()?.parse()?),
                    "early" => once(&mut found.early, &meta, meta.path.span()),
                    "gate" => once(&mut found.gate, &meta, meta.value()?.parse()?),
                    "older" => once(&mut found.older, &meta, meta.value()?.parse()?),
                    "unmigratable" => once(&mut found.unmigratable, &meta, meta.value()?.parse()?),
                    _ => Err(unknown(&meta, IMAGE_NAMES)),
                }
            })?;
        }
        Ok(found)
    }
}

impl ImageAttributes {
    /// The first attribute that has no meaning for a device that cannot migrate, with its name.
    pub(crate) fn first_beside_unmigratable(&self) -> Option<(&'static str, Span)> {
        let spans = [
            ("min", self.min.as_ref().map(Spanned::span)),
            ("props", self.props.as_ref().map(Spanned::span)),
            ("priority", self.priority.as_ref().map(Spanned::span)),
            ("early", self.early),
            ("gate", self.gate.as_ref().map(Spanned::span)),
            ("older", self.older.as_ref().map(Spanned::span)),
        ];
        spans.into_iter().find_map(|(name, span)| Some((name, span?)))
    }
}

impl FieldAttributes {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("vmstate")) {
            attribute.parse_nested_meta(|meta| {
                let name = meta.path.get_ident().map(Ident::to_string).unwrap_or_default();
                match name.as_str() {
                    "name" => once(&mut found.name, &meta, meta.value()?.parse()?),
                    "since" => once(&mut found.since, &meta, meta.value()?.parse()?),
                    "when" => once(&mut found.when, &meta, meta.value()?.parse()?),
                    "gate" => once(&mut found.gate, &meta, meta.value()?.parse()?),
                    "buffer" => once(&mut found.buffer, &meta, meta.path.span()),
                    "unused" => once(&mut found.unused, &meta, meta.value()?.parse()?),
                    "len" => once(&mut found.len, &meta, meta.value()?.parse()?),
                    "max" => once(&mut found.max, &meta, meta.value()?.parse()?),
                    "local" => once(&mut found.local, &meta, meta.path.span()),
                    "props" => once(&mut found.props, &meta, meta.value()?.parse()?),
                    "subsection" => once(&mut found.subsection, &meta, meta.path.span()),
                    "equal" => once(&mut found.equal, &meta, meta.path.span()),
                    "hint" => once(&mut found.hint, &meta, meta.value()?.parse()?),
                    "check" => once(&mut found.check, &meta, meta.value()?.parse()?),
                    "le" => once(&mut found.le, &meta, meta.path.span()),
                    "list" => {
                        let form = if meta.input.peek(Token![=]) { Some(meta.value()?.parse()?) } else { None };
                        once(&mut found.list, &meta, (meta.path.span(), form))
                    }
                    "tree" => once(&mut found.tree, &meta, meta.path.span()),
                    "pinned" => once(&mut found.pinned, &meta, meta.value()?.parse()?),
                    "bitmap" => once(&mut found.bitmap, &meta, meta.path.span()),
                    "scale" => once(&mut found.scale, &meta, meta.value()?.parse()?),
                    later if LATER_NAMES.contains(&later) => {
                        // Its value, if any, so that this error is the one that is shown.
                        if meta.input.peek(Token![=]) {
                            meta.value()?.parse::<Expr>()?;
                        }
                        Err(meta.error(format!("'{later}' is not supported yet")))
                    }
                    _ => Err(unknown(&meta, FIELD_NAMES)),
                }
            })?;
        }
        Ok(found)
    }

    /// The first attribute that is given beside those of a group, with its name.
    pub(crate) fn first_beside(&self, allowed: &[&str]) -> Option<(&'static str, Span)> {
        let others = FIELD_NAMES.iter().filter(|name| !allowed.contains(name));
        others.filter_map(|name| self.span_of(name).map(|span| (*name, span))).next()
    }

    /// The first attribute of a group that is given, with its name.
    pub(crate) fn first_of(&self, names: &[&'static str]) -> Option<(&'static str, Span)> {
        names.iter().find_map(|name| self.span_of(name).map(|span| (*name, span)))
    }

    fn span_of(&self, name: &str) -> Option<Span> {
        match name {
            "name" => self.name.as_ref().map(Spanned::span),
            "since" => self.since.as_ref().map(Spanned::span),
            "when" => self.when.as_ref().map(Spanned::span),
            "gate" => self.gate.as_ref().map(Spanned::span),
            "buffer" => self.buffer,
            "unused" => self.unused.as_ref().map(Spanned::span),
            "len" => self.len.as_ref().map(Spanned::span),
            "max" => self.max.as_ref().map(Spanned::span),
            "local" => self.local,
            "props" => self.props.as_ref().map(Spanned::span),
            "subsection" => self.subsection,
            "equal" => self.equal,
            "hint" => self.hint.as_ref().map(Spanned::span),
            "check" => self.check.as_ref().map(Spanned::span),
            "le" => self.le,
            "list" => self.list.as_ref().map(|(span, _)| *span),
            "tree" => self.tree,
            "pinned" => self.pinned.as_ref().map(Spanned::span),
            "bitmap" => self.bitmap,
            "scale" => self.scale.as_ref().map(Spanned::span),
            _ => None,
        }
    }
}
