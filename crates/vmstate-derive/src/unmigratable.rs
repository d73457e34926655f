//! A device that cannot migrate: an `enum` without variants, so that no image of it can exist.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, LitStr, Result};

use crate::attributes::ImageAttributes;

pub(crate) fn expand(input: &DeriveInput, attributes: &ImageAttributes, reason: &LitStr) -> Result<TokenStream> {
    let ident = &input.ident;
    if !matches!(&input.data, Data::Enum(data) if data.variants.is_empty()) {
        return Err(Error::new(
            ident.span(),
            "'unmigratable' belongs to an enum without variants: what cannot migrate has no image",
        ));
    }
    if let Some((name, span)) = attributes.first_beside_unmigratable() {
        return Err(Error::new(span, format!("'{name}' has no place beside 'unmigratable': nothing is ever sent")));
    }
    if reason.value().is_empty() {
        return Err(Error::new(reason.span(), "'unmigratable' needs the reason: an operator reads it"));
    }
    let Some(name) = attributes.name.as_ref().filter(|name| !name.value().is_empty()) else {
        return Err(Error::new(ident.span(), "image needs #[vmstate(name = \"…\")]"));
    };
    let version = attributes.version.as_ref().map_or_else(|| quote!(0), |version| quote!(#version));
    Ok(quote! {
        #[automatically_derived]
        impl ::vmstate::VmState for #ident {
            const SCHEMA: &'static ::vmstate::Schema = &::vmstate::Schema::new(#name, #version).unmigratable(#reason);
            type Props = ();
            type Shape = ::vmstate::image::FromTemplate;

            fn encode_part(
                &self,
                _: &Self::Props,
                _: &mut dyn ::vmstate::Sink,
            ) -> ::core::result::Result<(), ::vmstate::SaveError> {
                match *self {}
            }

            fn decode(
                &mut self,
                _: &Self::Props,
                _: u32,
                _: &mut ::vmstate::Input<'_>,
            ) -> ::core::result::Result<(), ::vmstate::LoadError> {
                match *self {}
            }
        }
    })
}
