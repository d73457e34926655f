//! `#[derive(PropertyEnum)]`: an enumeration whose names are the texts of a property.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Ident, LitStr, Result, Variant};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let (ident, vis) = (&input.ident, &input.vis);
    let Data::Enum(data) = &input.data else {
        return Err(Error::new(ident.span(), "the values of a property are the variants of an enumeration"));
    };
    if data.variants.is_empty() {
        return Err(Error::new(ident.span(), "an enumeration without variants has no value"));
    }
    if !input.generics.params.is_empty() {
        return Err(Error::new(ident.span(), "the enumeration of a property has no parameters"));
    }
    let type_name = ident.to_string();
    let mut names: Vec<LitStr> = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new(variant.ident.span(), "a name cannot stand for a variant with fields"));
        }
        let name = name(variant)?;
        let text = name.value();
        if text.is_empty() || text.contains(',') {
            return Err(Error::new(name.span(), "a name is not empty and has no comma, which ends an array's element"));
        }
        if names.iter().any(|other| other.value() == text) {
            return Err(Error::new(name.span(), format!("two variants are called '{text}'")));
        }
        names.push(name);
    }
    let variants: Vec<&Ident> = data.variants.iter().map(|variant| &variant.ident).collect();
    Ok(quote! {
        #[automatically_derived]
        impl #ident {
            /// The value as data.
            #[must_use]
            #vis const fn property_value(&self) -> ::vmstate::props::PropertyValue {
                ::vmstate::props::PropertyValue::Enum(match self {
                    #(Self::#variants => #names,)*
                })
            }
        }

        #[automatically_derived]
        impl ::vmstate::props::PropertyType for #ident {
            const KIND: ::vmstate::props::PropertyKind =
                ::vmstate::props::PropertyKind::Enum { type_name: #type_name, names: &[#(#names),*] };

            fn parse(__text: &str) -> ::core::option::Option<Self> {
                match __text {
                    #(#names => ::core::option::Option::Some(Self::#variants),)*
                    _ => ::core::option::Option::None,
                }
            }

            fn value(&self) -> ::vmstate::props::PropertyValue {
                self.property_value()
            }
        }

        #[automatically_derived]
        impl ::vmstate::props::ElementType for #ident {}
    })
}

/// The text of a variant: what `name` says, or its own name in lower case with hyphens.
fn name(variant: &Variant) -> Result<LitStr> {
    let mut name = None;
    for attribute in variant.attrs.iter().filter(|attribute| attribute.path().is_ident("property")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("name") {
                return Err(meta.error("unknown attribute: expected 'name'"));
            }
            name = Some(meta.value()?.parse::<LitStr>()?);
            Ok(())
        })?;
    }
    Ok(name.unwrap_or_else(|| {
        let mut text = String::new();
        for character in variant.ident.to_string().chars() {
            if character.is_uppercase() && !text.is_empty() {
                text.push('-');
            }
            text.extend(character.to_lowercase());
        }
        LitStr::new(&text, variant.ident.span())
    }))
}
