//! `#[derive(Properties)]`.
//!
//! | on | attribute | gives |
//! |---|---|---|
//! | struct | `device = "…"` | the type of device |
//! | struct | `parents = ["…"]` | types that it derives from, interfaces that it implements |
//! | struct | `removed("name", "reason")` | a property that is gone |
//! | field | `default = …` | its value where nobody sets it, a constant |
//! | field | `name = "…"` | its name, if it is not the field's with hyphens |
//! | field | `alias = "…"`, `old_name = "…"` | further names, names of the past |
//! | field | `deprecated = "…"` | what a warning says to whoever sets it |
//! | field | `flatten` | a struct with properties of its own, in this namespace |

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Data, DeriveInput, Error, Expr, Field, Fields, GenericArgument, Ident, LitStr, PathArguments, Result, Token, Type,
};

use crate::spans::at;
use crate::types::plain;

/// What a property may be, for messages.
const KINDS: &str = "a property is a bool, u8, u16, u32, u64, i32, i64, Size, String, OnOffAuto, an enumeration that derives \
                     PropertyEnum, or a Vec of those";

enum Property<'a> {
    Own(Box<Own<'a>>),
    /// A struct with properties of its own, in our namespace.
    Flattened {
        ident: &'a Ident,
        ty: &'a Type,
    },
}

struct Own<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    name: LitStr,
    default: Expr,
    aliases: Vec<LitStr>,
    old_names: Vec<LitStr>,
    deprecated: Option<LitStr>,
}

/// What is said of the struct.
struct Device {
    name: LitStr,
    parents: Vec<LitStr>,
    removed: Vec<(LitStr, LitStr)>,
}

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(ident.span(), "properties are the fields of a struct"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(ident.span(), "properties are named fields"));
    };
    let Device { name: device, parents, removed } = device(input)?;
    let properties = fields.named.iter().map(property).collect::<Result<Vec<_>>>()?;
    check_names(&properties, &removed)?;
    let (mut list, mut flattened) = (Vec::new(), Vec::new());
    let (mut defaults, mut sets, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let (mut inner_sets, mut inner_values) = (Vec::new(), Vec::new());
    for property in &properties {
        match property {
            Property::Own(own) => {
                let Own { ident, name, aliases, old_names, .. } = &**own;
                let names = quote!(#name #(| #aliases)* #(| #old_names)*);
                list.push(own.constant()?);
                defaults.push(own.initial());
                sets.push(quote!(#names => ::vmstate::props::assign(&mut self.#ident, Self::DEVICE, __name, __value),));
                values.push(quote! {
                    #names => ::core::option::Option::Some(::vmstate::props::PropertyType::value(&self.#ident)),
                });
            }
            Property::Flattened { ident, ty } => {
                flattened.push(quote_spanned!(at(&ty)=> <#ty as ::vmstate::Properties>::PROPERTIES));
                defaults.push(quote_spanned!(at(&ty)=> #ident: <#ty as ::vmstate::Properties>::defaults()));
                inner_sets.push(quote_spanned! {at(&ty)=>
                    _ if <#ty as ::vmstate::Properties>::PROPERTIES.contains(__name) => {
                        ::vmstate::Properties::set(&mut self.#ident, __name, __value)
                            .map_err(|error| error.of(Self::DEVICE))
                    }
                });
                inner_values.push(quote_spanned! {at(&ty)=>
                    _ if <#ty as ::vmstate::Properties>::PROPERTIES.contains(__name) => {
                        ::vmstate::Properties::value(&self.#ident, __name)
                    }
                });
            }
        }
    }
    let gone =
        removed.iter().map(|(name, reason)| quote!(::vmstate::props::RemovedProperty { name: #name, reason: #reason }));
    Ok(quote! {
        #[automatically_derived]
        impl ::vmstate::Properties for #ident {
            const DEVICE: &'static str = #device;
            const PARENTS: &'static [&'static str] = &[#(#parents),*];
            const PROPERTIES: ::vmstate::props::PropertyList = {
                const OWN: &[::vmstate::props::Property] = &[#(#list),*];
                const FLATTENED: &[::vmstate::props::PropertyList] = &[#(#flattened),*];
                const GONE: &[::vmstate::props::RemovedProperty] = &[#(#gone),*];
                ::vmstate::props::PropertyList::new(OWN, FLATTENED, GONE)
            };

            fn defaults() -> Self {
                Self { #(#defaults),* }
            }

            fn set(
                &mut self,
                __name: &str,
                __value: &str,
            ) -> ::core::result::Result<(), ::vmstate::props::PropertyError> {
                match __name {
                    #(#sets)*
                    #(#inner_sets)*
                    _ => ::core::result::Result::Err(::vmstate::props::unknown::<Self>(__name, __value)),
                }
            }

            fn value(&self, __name: &str) -> ::core::option::Option<::vmstate::props::PropertyValue> {
                match __name {
                    #(#values)*
                    #(#inner_values)*
                    _ => ::core::option::Option::None,
                }
            }
        }

        #[automatically_derived]
        impl ::core::default::Default for #ident {
            fn default() -> Self {
                <Self as ::vmstate::Properties>::defaults()
            }
        }

        const _: ::vmstate::props::PropertyList = <#ident as ::vmstate::Properties>::PROPERTIES;
    })
}

/// Names of one struct are unique, with those of the past. Those of `flatten` fields are compared by the compiler.
fn check_names(properties: &[Property<'_>], removed: &[(LitStr, LitStr)]) -> Result<()> {
    let mut names: Vec<String> = Vec::new();
    let own = properties.iter().filter_map(|property| match property {
        Property::Own(own) => Some(&**own),
        Property::Flattened { .. } => None,
    });
    let current = own.flat_map(|own| [&own.name].into_iter().chain(&own.aliases).chain(&own.old_names));
    for name in current.chain(removed.iter().map(|(name, _)| name)) {
        if names.contains(&name.value()) {
            return Err(Error::new(name.span(), format!("two properties are called '{}'", name.value())));
        }
        names.push(name.value());
    }
    Ok(())
}

impl Own<'_> {
    /// The property as constant data.
    fn constant(&self) -> Result<TokenStream> {
        let Self { ident, ty, name, default, aliases, old_names, deprecated } = self;
        let (field, value) = (ident.to_string(), constant_of(ty, default)?);
        let kind = quote_spanned!(at(&ty)=> <#ty as ::vmstate::props::PropertyType>::KIND);
        let deprecated = match deprecated {
            Some(text) => quote!(::core::option::Option::Some(#text)),
            None => quote!(::core::option::Option::None),
        };
        Ok(quote! {
            ::vmstate::props::Property::new(#name, #field, #kind, #value)
                .with_names(&[#(#aliases),*], &[#(#old_names),*])
                .with_deprecated(#deprecated)
        })
    }

    /// The field of `defaults()`.
    fn initial(&self) -> TokenStream {
        let Self { ident, ty, default, .. } = self;
        let elements = match default {
            Expr::Array(array) => array.elems.iter().collect(),
            _ => Vec::new(),
        };
        if let Some(element) = element_of(ty) {
            let elements = elements.into_iter().map(|value| owned(element, value));
            return quote!(#ident: ::std::vec![#(#elements),*]);
        }
        let default = owned(ty, default);
        quote!(#ident: #default)
    }
}

/// A default as an expression of its type: text becomes a `String`.
fn owned(ty: &Type, default: &Expr) -> TokenStream {
    match name_of(ty).as_deref() {
        Some("String") => quote_spanned!(at(&default)=> ::std::string::String::from(#default)),
        _ => quote!(#default),
    }
}

fn device(input: &DeriveInput) -> Result<Device> {
    let mut name: Option<LitStr> = None;
    let (mut parents, mut removed) = (Vec::new(), Vec::new());
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("properties")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("device") {
                name = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("parents") {
                let list;
                let value = meta.value()?;
                syn::bracketed!(list in value);
                parents.extend(Punctuated::<LitStr, Token![,]>::parse_terminated(&list)?);
            } else if meta.path.is_ident("removed") {
                let pair;
                syn::parenthesized!(pair in meta.input);
                let pair = Punctuated::<LitStr, Token![,]>::parse_terminated(&pair)?;
                let mut pair = pair.into_iter();
                match (pair.next(), pair.next(), pair.next()) {
                    (Some(name), Some(reason), None) if !reason.value().is_empty() => removed.push((name, reason)),
                    _ => return Err(meta.error("expected removed(\"name\", \"since when, and what to do\")")),
                }
            } else {
                return Err(meta.error("unknown attribute: expected 'device', 'parents' or 'removed'"));
            }
            Ok(())
        })?;
    }
    let name = name.ok_or_else(|| {
        Error::new(
            input.ident.span(),
            "properties need #[properties(device = \"…\")]: the type that compatibility tables name",
        )
    })?;
    let mut types = vec![name.value()];
    for parent in &parents {
        if types.contains(&parent.value()) {
            return Err(Error::new(parent.span(), format!("'{}' is named twice", parent.value())));
        }
        types.push(parent.value());
    }
    Ok(Device { name, parents, removed })
}

fn property(field: &Field) -> Result<Property<'_>> {
    let span = field.ident.as_ref().map_or_else(|| field.span(), Spanned::span);
    let Some(ident) = &field.ident else { return Err(Error::new(span, "properties are named fields")) };
    let (mut name, mut default, mut deprecated) = (None, None, None);
    let (mut aliases, mut old_names) = (Vec::new(), Vec::new());
    let mut flatten: Option<Span> = None;
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("property")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                name = Some(meta.value()?.parse::<LitStr>()?);
            } else if meta.path.is_ident("default") {
                default = Some(meta.value()?.parse::<Expr>()?);
            } else if meta.path.is_ident("alias") {
                aliases.push(meta.value()?.parse::<LitStr>()?);
            } else if meta.path.is_ident("old_name") {
                old_names.push(meta.value()?.parse::<LitStr>()?);
            } else if meta.path.is_ident("deprecated") {
                deprecated = Some(meta.value()?.parse::<LitStr>()?);
            } else if meta.path.is_ident("flatten") {
                flatten = Some(meta.path.span());
            } else {
                return Err(meta.error(
                    "unknown attribute: expected 'name', 'default', 'alias', 'old_name', 'deprecated' or 'flatten'",
                ));
            }
            Ok(())
        })?;
    }
    if let Some(flatten) = flatten {
        let is_alone = name.is_none() && default.is_none() && deprecated.is_none();
        if !is_alone || !aliases.is_empty() || !old_names.is_empty() {
            return Err(Error::new(
                flatten,
                "'flatten' stands alone: names and defaults are those of the inner struct",
            ));
        }
        return Ok(Property::Flattened { ident, ty: plain(&field.ty) });
    }
    let default = default.ok_or_else(|| {
        Error::new(span, format!("property '{ident}' needs #[property(default = …)]: what a new machine has"))
    })?;
    let name = name.unwrap_or_else(|| LitStr::new(&ident.to_string().replace('_', "-"), ident.span()));
    Ok(Property::Own(Box::new(Own { ident, ty: plain(&field.ty), name, default, aliases, old_names, deprecated })))
}

/// The default as constant data, by the type's name.
fn constant_of(ty: &Type, default: &Expr) -> Result<TokenStream> {
    if let Some(element) = element_of(ty) {
        if element_of(element).is_some() {
            return Err(Error::new(
                element.span(),
                "an array holds no arrays: their commas would be taken for its own",
            ));
        }
        let Expr::Array(array) = default else {
            return Err(Error::new(default.span(), "the default of an array is written as [a, b, …]"));
        };
        let elements = array.elems.iter().map(|value| constant_of(element, value)).collect::<Result<Vec<_>>>()?;
        return Ok(quote_spanned! {at(&default)=> {
            const LIST: &[::vmstate::props::PropertyValue] = &[#(#elements),*];
            ::vmstate::props::PropertyValue::of_static_list(LIST)
        }});
    }
    Ok(match name_of(ty).as_deref() {
        Some(name @ ("bool" | "u8" | "u16" | "u32" | "u64" | "i32" | "i64")) => {
            let constructor = format_ident!("of_{name}");
            quote_spanned!(at(&default)=> ::vmstate::props::PropertyValue::#constructor(#default))
        }
        Some("String") => quote_spanned!(at(&default)=> ::vmstate::props::PropertyValue::of_str(#default)),
        Some("i8" | "i16" | "i128" | "isize" | "u128" | "usize" | "f32" | "f64" | "char") => {
            return Err(Error::new(ty.span(), KINDS));
        }
        _ => match ty {
            Type::Path(_) => quote_spanned!(at(&ty)=> <#ty>::property_value(&#default)),
            _ => return Err(Error::new(ty.span(), KINDS)),
        },
    })
}

/// A type's own name, if it is no more than a name.
fn name_of(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => path.path.get_ident().map(Ident::to_string),
        _ => None,
    }
}

/// `T` of `Vec<T>`.
fn element_of(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Vec")?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => match arguments.args.first() {
            Some(GenericArgument::Type(element)) if arguments.args.len() == 1 => Some(element),
            _ => None,
        },
        _ => None,
    }
}
