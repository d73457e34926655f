//! The struct as an image: every rule that can be checked on names and attributes is checked here.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Expr, Fields, Ident, LitInt, LitStr, Path, Result, Type};

use crate::attributes::{FieldAttributes, ImageAttributes};
use crate::spans::at;
use crate::{coding, runs, schema, types, unmigratable};

pub(crate) struct Image<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) minimum: u32,
    pub(crate) props: Option<Type>,
    pub(crate) priority: Option<Path>,
    pub(crate) early: bool,
    pub(crate) gate: Option<Ident>,
    pub(crate) older: Option<Type>,
    /// Those on the wire, subsections aside: the position is the position in the schema.
    pub(crate) fields: Vec<Field<'a>>,
    pub(crate) subsections: Vec<Subsection<'a>>,
    pub(crate) locals: Vec<&'a Ident>,
}

pub(crate) struct Field<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) name: String,
    pub(crate) ty: &'a Type,
    pub(crate) presence: Presence,
    pub(crate) gate: Option<Ident>,
    pub(crate) form: Form<'a>,
}

pub(crate) enum Presence {
    Always,
    Since(u32),
    When(Path),
}

pub(crate) enum Form<'a> {
    /// Scalars: one, an array, an array of arrays.
    Values(types::Values<'a>),
    /// A nested image, or a type with a codec of its own.
    Wire,
    /// A nested image with properties, which are in this field of ours.
    WithProps(Ident),
    Buffer {
        octets: &'a Expr,
    },
    Unused {
        octets: Expr,
    },
    /// A scalar that must be what this side has.
    Equal {
        scalar: &'a Ident,
        hint: Option<LitStr>,
    },
    /// No octets: a test at this place.
    Check {
        test: Path,
    },
    Counted {
        element: &'a Type,
        count: Counting,
        buffer: bool,
    },
    /// Zeros, as many times as a count says.
    CountedUnused {
        octets: Expr,
        count: Counting,
    },
    /// Words of a bitmap, whose count is in bits.
    Bitmap {
        count: Counting,
    },
    /// A signed number that must be from 0 to what this side has.
    Le,
    /// A nested image at one of its versions.
    Pinned {
        version: u32,
    },
    List {
        element: &'a Type,
        is_qlist: bool,
        max: Expr,
    },
    Tree {
        /// The image of a key; nothing for keys of 64 bits.
        key: Option<&'a Type>,
        value: &'a Type,
        max: Expr,
    },
}

/// Where the number of elements comes from, and how many are accepted.
pub(crate) struct Counting {
    pub(crate) field: Ident,
    pub(crate) is_local: bool,
    pub(crate) max: Expr,
    /// Elements for each that the field counts.
    pub(crate) scale: Option<Expr>,
}

pub(crate) struct Subsection<'a> {
    pub(crate) ident: &'a Ident,
    /// The image, without `Option`.
    pub(crate) ty: &'a Type,
    pub(crate) gate: Option<Ident>,
    pub(crate) props: Option<Ident>,
}

/// A field that can be named as a count.
struct Declared<'a> {
    ident: &'a Ident,
    local: bool,
}

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let attributes = ImageAttributes::parse(&input.attrs)?;
    if let Some(reason) = &attributes.unmigratable {
        return unmigratable::expand(input, &attributes, reason);
    }
    let image = Image::parse(input, attributes)?;
    let ident = image.ident;
    let props = image.props.as_ref().map_or_else(|| quote!(()), |props| quote!(#props));
    let needs_template = !image.locals.is_empty() || image.fields.iter().any(Field::needs_template);
    let shape =
        if !needs_template { quote!(::vmstate::image::FromDefault) } else { quote!(::vmstate::image::FromTemplate) };
    let schema = schema::expand(&image);
    let encode = coding::encode(&image, &runs::encoding(&image.fields));
    let decode = coding::decode(&image, &runs::decoding(&image.fields, image.minimum));
    let is_open = image.gate.as_ref().map(|gate| {
        quote_spanned! {at(&gate)=>
            fn is_open(__props: &Self::Props) -> bool {
                __props.#gate
            }
        }
    });
    let checks = image.subsections.iter().enumerate().map(|(index, subsection)| {
        quote_spanned! {at(&subsection.ty)=>
            const _: () = ::vmstate::derived::check_subsection(<#ident as ::vmstate::VmState>::SCHEMA, #index);
        }
    });
    let field_checks =
        image.fields.iter().enumerate().filter(|(_, field)| field.refers_to_an_image()).map(|(index, field)| {
            quote_spanned! {at(&field.ty)=>
                const _: () = ::vmstate::derived::check_field(<#ident as ::vmstate::VmState>::SCHEMA, #index);
            }
        });
    let older_check = image.older.as_ref().map(|older| {
        quote_spanned! {at(&older)=>
            const _: () = ::vmstate::derived::check_older(<#ident as ::vmstate::VmState>::SCHEMA);
        }
    });
    let encode_at = image.depends_on_version().then(|| {
        let encode = coding::encode_at(&image, &runs::decoding(&image.fields, image.minimum));
        quote! {
            fn encode_at(
                &self,
                __props: &Self::Props,
                __version: u32,
                __sink: &mut dyn ::vmstate::Sink,
            ) -> ::core::result::Result<(), ::vmstate::SaveError> {
                #encode
            }
        }
    });
    Ok(quote! {
        #[automatically_derived]
        impl ::vmstate::VmState for #ident {
            const SCHEMA: &'static ::vmstate::Schema = #schema;
            type Props = #props;
            type Shape = #shape;
            #is_open

            fn encode_part(
                &self,
                __props: &Self::Props,
                __sink: &mut dyn ::vmstate::Sink,
            ) -> ::core::result::Result<(), ::vmstate::SaveError> {
                #encode
            }

            #encode_at

            fn decode(
                &mut self,
                __props: &Self::Props,
                __version: u32,
                __input: &mut ::vmstate::Input<'_>,
            ) -> ::core::result::Result<(), ::vmstate::LoadError> {
                #decode
            }
        }

        #(#checks)*
        #(#field_checks)*
        #older_check
    })
}

impl Field<'_> {
    /// Whether a load needs what this side has in the field.
    fn needs_template(&self) -> bool {
        matches!(self.form, Form::Equal { .. } | Form::Le) || types::is_array_of_options(self.ty)
    }

    /// Whether the form has rules for the image that it holds.
    fn refers_to_an_image(&self) -> bool {
        let is_counted_image = |element| types::values(element).is_none();
        match &self.form {
            Form::Pinned { .. } | Form::List { .. } | Form::Tree { .. } | Form::Wire | Form::WithProps(_) => true,
            Form::Counted { element, .. } => is_counted_image(element),
            _ => false,
        }
    }
}

impl Image<'_> {
    /// Whether a property decides about any of it.
    pub(crate) fn has_gates(&self) -> bool {
        self.gate.is_some()
            || self.fields.iter().any(|field| field.gate.is_some())
            || self.subsections.iter().any(|subsection| subsection.gate.is_some())
    }

    /// Whether an older version has other octets.
    fn depends_on_version(&self) -> bool {
        let depends = |field: &Field<'_>| match field.presence {
            Presence::Always => false,
            Presence::Since(since) => since > self.minimum,
            Presence::When(_) => true,
        };
        self.minimum < self.version && self.fields.iter().any(depends)
    }
}

impl<'a> Image<'a> {
    fn parse(input: &'a DeriveInput, attributes: ImageAttributes) -> Result<Self> {
        let Data::Struct(data) = &input.data else {
            return Err(Error::new(input.ident.span(), "an image is a struct: what is on the wire has one form"));
        };
        let Fields::Named(fields) = &data.fields else {
            return Err(Error::new(
                input.ident.span(),
                "an image has named fields: their names are in descriptions and errors",
            ));
        };
        if !input.generics.params.is_empty() {
            return Err(Error::new(input.generics.span(), "an image has no parameters: it has one place on the wire"));
        }
        let missing = |what: &str| Error::new(input.ident.span(), format!("image needs #[vmstate({what})]"));
        let name = attributes.name.ok_or_else(|| missing("name = \"…\""))?;
        if name.value().is_empty() {
            return Err(Error::new(name.span(), "an image needs a name that is not empty"));
        }
        let name = name.value();
        let version = number(&attributes.version.ok_or_else(|| missing("version = N"))?)?;
        let minimum = attributes.min.as_ref().map_or(Ok(version), number)?;
        if let (Some(gate), None) = (&attributes.gate, &attributes.props) {
            return Err(Error::new(gate.span(), "'gate' needs 'props': the type whose field it names"));
        }
        if let Some(min) = attributes.min.as_ref().filter(|_| minimum > version) {
            return Err(Error::new(min.span(), format!("'min' {minimum} is above 'version' {version}")));
        }
        let mut image = Image {
            ident: &input.ident,
            name,
            version,
            minimum,
            props: attributes.props,
            priority: attributes.priority,
            early: attributes.early.is_some(),
            gate: attributes.gate,
            older: attributes.older,
            fields: Vec::new(),
            subsections: Vec::new(),
            locals: Vec::new(),
        };
        let mut declared = Vec::new();
        let mut errors: Option<Error> = None;
        for field in &fields.named {
            if let Err(error) = image.field(field, &mut declared) {
                match &mut errors {
                    Some(errors) => errors.combine(error),
                    None => errors = Some(error),
                }
            }
        }
        errors.map_or(Ok(image), Err)
    }

    fn field(&mut self, field: &'a syn::Field, declared: &mut Vec<Declared<'a>>) -> Result<()> {
        let Some(ident) = &field.ident else { return Ok(()) };
        let local = field.attrs.iter().any(|attribute| {
            attribute.path().is_ident("vmstate")
                && FieldAttributes::parse(std::slice::from_ref(attribute)).is_ok_and(|found| found.local.is_some())
        });
        let earlier = std::mem::take(declared);
        let result = self.classify(field, ident, &earlier);
        *declared = earlier;
        declared.push(Declared { ident, local });
        result
    }

    fn classify(&mut self, field: &'a syn::Field, ident: &'a Ident, declared: &[Declared<'a>]) -> Result<()> {
        let attributes = FieldAttributes::parse(&field.attrs)?;
        if let (Some(gate), None) = (&attributes.gate, &self.props) {
            return Err(Error::new(
                gate.span(),
                "'gate' needs #[vmstate(props = …)] on the image: the type whose field it names",
            ));
        }
        if let (Some(props), None) = (&attributes.props, &self.props) {
            return Err(Error::new(
                props.span(),
                "'props' on a field needs #[vmstate(props = …)] on the image: the type whose field it names",
            ));
        }
        if attributes.subsection.is_some() {
            let subsection = self.subsection(field, ident, attributes)?;
            self.subsections.push(subsection);
            return Ok(());
        }
        if let Some(subsection) = self.subsections.last() {
            return Err(Error::new(
                ident.span(),
                format!(
                    "field '{ident}' follows subsection '{}': QEMU writes every field before any subsection, so subsections go last",
                    subsection.ident
                ),
            ));
        }
        if attributes.local.is_some() {
            refuse_beside(&attributes, "local", "the field is not on the wire", &[])?;
            self.locals.push(ident);
            return Ok(());
        }
        let presence = self.presence(&attributes)?;
        let form = form(field, ident, &attributes, declared)?;
        let unused = matches!(form, Form::Unused { .. } | Form::CountedUnused { .. });
        let name = attributes.name.map_or_else(
            || if unused { "unused".to_owned() } else { ident.to_string().trim_start_matches("r#").to_owned() },
            |name| name.value(),
        );
        self.fields.push(Field { ident, name, ty: &field.ty, presence, gate: attributes.gate, form });
        Ok(())
    }

    fn subsection(
        &self,
        field: &'a syn::Field,
        ident: &'a Ident,
        attributes: FieldAttributes,
    ) -> Result<Subsection<'a>> {
        refuse_beside(
            &attributes,
            "subsection",
            "presence in the stream decides, and the image has its own name and version",
            &["gate", "props"],
        )?;
        let Some(ty) = types::argument(&field.ty, "Option") else {
            return Err(Error::new(
                field.ty.span(),
                format!("subsection '{ident}' must be an 'Option' of an image: it may be absent"),
            ));
        };
        Ok(Subsection { ident, ty, gate: attributes.gate, props: attributes.props })
    }

    fn presence(&self, attributes: &FieldAttributes) -> Result<Presence> {
        match (&attributes.since, &attributes.when, &attributes.gate) {
            (Some(since), Some(_), _) => Err(Error::new(
                since.span(),
                "'since' has no effect next to 'when': QEMU consults the test alone, never the version; the test gets the version as its second argument",
            )),
            (Some(since), None, Some(_)) => Err(Error::new(
                since.span(),
                "'since' has no effect next to 'gate': in QEMU a property is asked by a test, and then the version is not consulted",
            )),
            (Some(since), None, None) => {
                let number = number(since)?;
                if number > self.version {
                    return Err(Error::new(
                        since.span(),
                        format!(
                            "field is since version {number}, but {} is at version {}: raise 'version'",
                            self.name, self.version
                        ),
                    ));
                }
                Ok(Presence::Since(number))
            }
            (None, Some(when), _) => Ok(Presence::When(when.clone())),
            (None, None, _) => Ok(Presence::Always),
        }
    }
}

/// What the field is on the wire.
fn form<'a>(
    field: &'a syn::Field,
    ident: &Ident,
    attributes: &FieldAttributes,
    declared: &[Declared<'a>],
) -> Result<Form<'a>> {
    let ty = &field.ty;
    if let Some(octets) = &attributes.unused {
        refuse_beside(attributes, "unused", "the octets have no value", &[PRESENCE, &["len", "max"]].concat())?;
        if !types::is_unit(ty) {
            return Err(Error::new(
                ty.span(),
                format!("'unused' field '{ident}' must be of type '()': it has no value"),
            ));
        }
        let octets = octets.clone();
        if let (None, Some(max)) = (&attributes.len, &attributes.max) {
            return Err(Error::new(max.span(), "'max' belongs to 'len': it is the largest number accepted"));
        }
        return match attributes.len {
            Some(_) => Ok(Form::CountedUnused { octets, count: counting(ident, attributes, declared)? }),
            None => Ok(Form::Unused { octets }),
        };
    }
    if let Some(test) = &attributes.check {
        refuse_beside(attributes, "check", "it has no value on the wire", PRESENCE)?;
        if !types::is_unit(ty) {
            return Err(Error::new(
                ty.span(),
                format!("'check' field '{ident}' must be of type '()': it is a test at this place"),
            ));
        }
        return Ok(Form::Check { test: test.clone() });
    }
    if types::is_unit(ty) {
        return Err(Error::new(
            ty.span(),
            format!("field '{ident}' has no value: say 'unused = n' for octets that keep a place"),
        ));
    }
    if let Some(entries) = types::two_arguments(ty, "BTreeMap") {
        return tree(ident, attributes, entries);
    }
    if let Some(span) = attributes.tree {
        return Err(Error::new(span, format!("'tree' field '{ident}' must be a 'BTreeMap' of images")));
    }
    if let Some(element) = types::argument(ty, "Vec") {
        return match &attributes.list {
            Some((_, form)) => list(ident, attributes, element, form.as_ref()),
            None => counted(ident, attributes, element, declared),
        };
    }
    if let Some((name, span)) = attributes.first_of(&["list", "bitmap", "scale"]) {
        return Err(Error::new(span, format!("'{name}' belongs to a 'Vec': field '{ident}' is none")));
    }
    if let Some((name, span)) = attributes.first_of(&["len", "max"]) {
        return Err(Error::new(span, format!("'{name}' belongs to a 'Vec': an array has its length in its type")));
    }
    if types::argument(ty, "Option").is_some() {
        return Err(Error::new(
            ty.span(),
            format!(
                "field '{ident}' is optional: say 'subsection', or give it a plain type and 'since', 'when' or 'gate'"
            ),
        ));
    }
    if let Some(span) = attributes.buffer {
        refuse_beside(attributes, "buffer", "raw octets have one form", PRESENCE)?;
        return types::octet_array(ty)
            .map(|octets| Form::Buffer { octets })
            .ok_or_else(|| Error::new(span, format!("'buffer' field '{ident}' must be '[u8; N]' or 'Vec<u8>'")));
    }
    if attributes.equal.is_some() {
        return equal(ident, ty, attributes);
    }
    if let Some(hint) = &attributes.hint {
        return Err(Error::new(hint.span(), "'hint' belongs to 'equal': it says what to do about a difference"));
    }
    if attributes.le.is_some() {
        refuse_beside(attributes, "le", "the value must not be above what this side has", PRESENCE)?;
        if !types::is_named(ty, "i32") {
            return Err(Error::new(
                ty.span(),
                format!("'le' field '{ident}' must be an 'i32': QEMU has no other form"),
            ));
        }
        return Ok(Form::Le);
    }
    if let Some(version) = &attributes.pinned {
        refuse_beside(attributes, "pinned", "the image is at one of its own versions", PRESENCE)?;
        if types::values(ty).is_some() {
            return Err(Error::new(
                version.span(),
                format!("'pinned' belongs to a nested image: field '{ident}' is none"),
            ));
        }
        return Ok(Form::Pinned { version: number(version)? });
    }
    if let Some(props) = &attributes.props {
        return Ok(Form::WithProps(props.clone()));
    }
    Ok(types::values(ty).map_or(Form::Wire, Form::Values))
}

fn equal<'a>(ident: &Ident, ty: &'a Type, attributes: &FieldAttributes) -> Result<Form<'a>> {
    refuse_beside(
        attributes,
        "equal",
        "the value must be what this side has",
        &["name", "since", "when", "gate", "hint"],
    )?;
    match types::values(ty) {
        Some(values) if values.dimensions.is_empty() && EQUAL_TYPES.iter().any(|name| values.scalar == name) => {
            Ok(Form::Equal { scalar: values.scalar, hint: attributes.hint.clone() })
        }
        _ => {
            let accepted = EQUAL_TYPES.join(", ");
            Err(Error::new(ty.span(), format!("'equal' field '{ident}' must be one of QEMU's equal forms: {accepted}")))
        }
    }
}

fn counted<'a>(
    ident: &Ident,
    attributes: &FieldAttributes,
    element: &'a Type,
    declared: &[Declared<'a>],
) -> Result<Form<'a>> {
    refuse_beside(
        attributes,
        "Vec",
        "elements are scalars, octets, or images without properties",
        &[PRESENCE, &["len", "max", "buffer", "bitmap", "scale"]].concat(),
    )?;
    if attributes.len.is_none() {
        return Err(Error::new(
            ident.span(),
            format!("'{ident}' needs 'len = <field>': no count is written beside its elements"),
        ));
    }
    let count = counting(ident, attributes, declared)?;
    if attributes.bitmap.is_some() {
        refuse_beside(
            attributes,
            "bitmap",
            "it has a bit for each that is counted",
            &[PRESENCE, &["len", "max"]].concat(),
        )?;
        if !types::is_named(element, "u64") {
            return Err(Error::new(element.span(), format!("'bitmap' field '{ident}' must be a 'Vec<u64>'")));
        }
        return Ok(Form::Bitmap { count });
    }
    if let Some(span) = attributes.buffer.filter(|_| !types::is_octet(element)) {
        return Err(Error::new(span, format!("'buffer' field '{ident}' must be '[u8; N]' or 'Vec<u8>'")));
    }
    Ok(Form::Counted { element, count, buffer: attributes.buffer.is_some() })
}

/// The count of a field that has 'len'.
fn counting(ident: &Ident, attributes: &FieldAttributes, declared: &[Declared<'_>]) -> Result<Counting> {
    let Some(count) = &attributes.len else {
        return Err(Error::new(ident.span(), format!("'{ident}' needs 'len = <field>'")));
    };
    let Some(source) = declared.iter().find(|earlier| earlier.ident == count) else {
        return Err(Error::new(
            count.span(),
            format!("'{count}' is not declared before '{ident}': a loader would use a count it has not read yet"),
        ));
    };
    let Some(max) = &attributes.max else {
        let origin = if source.local { "is configuration" } else { "comes from the stream" };
        return Err(Error::new(
            count.span(),
            format!("'{count}' {origin}, so '{ident}' needs 'max = <n>': the limit above which a stream is refused"),
        ));
    };
    Ok(Counting { field: count.clone(), is_local: source.local, max: max.clone(), scale: attributes.scale.clone() })
}

/// The limit of a list or tree, whose length no count in another field tells.
fn limit(ident: &Ident, attributes: &FieldAttributes, what: &str, span: Span) -> Result<Expr> {
    refuse_beside(attributes, what, "its end is on the wire", &[PRESENCE, &["max"]].concat())?;
    attributes.max.clone().ok_or_else(|| {
        Error::new(
            span,
            format!(
                "the length of '{ident}' comes from the stream: it needs 'max = <n>', above which a stream is refused"
            ),
        )
    })
}

fn list<'a>(ident: &Ident, attributes: &FieldAttributes, element: &'a Type, form: Option<&Ident>) -> Result<Form<'a>> {
    let max = limit(ident, attributes, "list", ident.span())?;
    let is_qlist = match form {
        None => false,
        Some(form) if form == "qtailq" => false,
        Some(form) if form == "qlist" => true,
        Some(other) => {
            return Err(Error::new(other.span(), format!("unknown list '{other}': expected one of qtailq, qlist")));
        }
    };
    Ok(Form::List { element, is_qlist, max })
}

fn tree<'a>(ident: &Ident, attributes: &FieldAttributes, (key, value): (&'a Type, &'a Type)) -> Result<Form<'a>> {
    if attributes.tree.is_none() {
        return Err(Error::new(
            ident.span(),
            format!("'{ident}' needs 'tree, max = <n>': the form of a map on the wire, and its largest size"),
        ));
    }
    let max = limit(ident, attributes, "tree", ident.span())?;
    if types::values(key).is_some() && !types::is_named(key, "u64") {
        return Err(Error::new(key.span(), "a key is a 'u64' or an image: QEMU has no other direct keys"));
    }
    let key = (!types::is_named(key, "u64")).then_some(key);
    Ok(Form::Tree { key, value, max })
}

/// Attributes that say whether a field is there, and what it is called.
const PRESENCE: &[&str] = &["name", "since", "when", "gate"];
/// Types of QEMU's equal forms.
const EQUAL_TYPES: &[&str] = &["u8", "u16", "i32", "u32", "u64"];

/// Refuses every attribute but `what` itself and those that are `allowed` beside it.
fn refuse_beside(attributes: &FieldAttributes, what: &str, why: &str, allowed: &[&str]) -> Result<()> {
    let allowed: Vec<_> = allowed.iter().copied().chain([what]).collect();
    match attributes.first_beside(&allowed) {
        Some((name, span)) => Err(Error::new(span, format!("'{name}' has no place beside '{what}': {why}"))),
        None => Ok(()),
    }
}

fn number(literal: &LitInt) -> Result<u32> {
    literal.base10_parse().map_err(|_| Error::new(literal.span(), "a version is a number of 32 bits"))
}
