//! `#[derive(Properties)]`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Expr, Field, Fields, Ident, LitStr, Result, Type};

struct Property<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    name: LitStr,
    default: Expr,
}

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let ident = &input.ident;
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(ident.span(), "properties are the fields of a struct"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(ident.span(), "properties are named fields"));
    };
    let device = device(input)?;
    let properties = fields.named.iter().map(property).collect::<Result<Vec<_>>>()?;
    for (index, one) in properties.iter().enumerate() {
        if properties.iter().take(index).any(|earlier| earlier.name.value() == one.name.value()) {
            return Err(Error::new(one.name.span(), format!("two properties are called '{}'", one.name.value())));
        }
    }
    let list = properties.iter().map(|Property { ident, ty, name, default }| {
        let field = ident.to_string();
        let default = value_of(ty, default)?;
        Ok(quote!(::vmstate::props::Property::new(#name, #field, #default)))
    });
    let list = list.collect::<Result<Vec<_>>>()?;
    let idents: Vec<_> = properties.iter().map(|property| property.ident).collect();
    let names: Vec<_> = properties.iter().map(|property| &property.name).collect();
    let defaults = properties.iter().map(|property| &property.default);
    Ok(quote! {
        #[automatically_derived]
        impl ::vmstate::Properties for #ident {
            const DEVICE: &'static str = #device;
            const PROPERTIES: &'static [::vmstate::props::Property] = &[#(#list),*];

            fn defaults() -> Self {
                Self { #(#idents: #defaults),* }
            }

            fn set(
                &mut self,
                __name: &str,
                __value: &str,
            ) -> ::core::result::Result<(), ::vmstate::props::PropertyError> {
                match __name {
                    #(#names => ::vmstate::props::assign(&mut self.#idents, Self::DEVICE, __name, __value),)*
                    _ => ::core::result::Result::Err(::vmstate::props::unknown::<Self>(__name, __value)),
                }
            }

            fn value(&self, __name: &str) -> ::core::option::Option<::vmstate::props::PropertyValue> {
                match __name {
                    #(#names => ::core::option::Option::Some(::vmstate::props::PropertyType::value(self.#idents)),)*
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
    })
}

fn device(input: &DeriveInput) -> Result<LitStr> {
    let mut device: Option<LitStr> = None;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("properties")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("device") {
                return Err(meta.error("unknown attribute: expected 'device'"));
            }
            device = Some(meta.value()?.parse()?);
            Ok(())
        })?;
    }
    device.ok_or_else(|| {
        Error::new(
            input.ident.span(),
            "properties need #[properties(device = \"…\")]: the type that compatibility tables name",
        )
    })
}

fn property(field: &Field) -> Result<Property<'_>> {
    let span = field.ident.as_ref().map_or_else(|| field.span(), Spanned::span);
    let Some(ident) = &field.ident else { return Err(Error::new(span, "properties are named fields")) };
    let (mut name, mut default) = (None, None);
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("property")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                name = Some(meta.value()?.parse::<LitStr>()?);
            } else if meta.path.is_ident("default") {
                default = Some(meta.value()?.parse::<Expr>()?);
            } else {
                return Err(meta.error("unknown attribute: expected 'name' or 'default'"));
            }
            Ok(())
        })?;
    }
    let default = default.ok_or_else(|| {
        Error::new(span, format!("property '{ident}' needs #[property(default = …)]: what a new machine has"))
    })?;
    let name = name.unwrap_or_else(|| LitStr::new(&ident.to_string().replace('_', "-"), ident.span()));
    Ok(Property { ident, ty: &field.ty, name, default })
}

/// The default as constant data, by the type's name.
fn value_of(ty: &Type, default: &Expr) -> Result<TokenStream> {
    let name = match ty {
        Type::Path(path) => path.path.get_ident().map(Ident::to_string).unwrap_or_default(),
        _ => String::new(),
    };
    let bits: u32 = match name.as_str() {
        "bool" => {
            return Ok(quote_spanned!(default.span()=> ::vmstate::props::PropertyValue::Bool({
                const DEFAULT: bool = #default;
                DEFAULT
            })));
        }
        "u8" => 8,
        "u16" => 16,
        "u32" => 32,
        "u64" => 64,
        _ => return Err(Error::new(ty.span(), "a property is a bool, u8, u16, u32 or u64")),
    };
    Ok(quote_spanned!(default.span()=> ::vmstate::props::PropertyValue::Uint {
        value: {
            const DEFAULT: #ty = #default;
            DEFAULT as u64
        },
        bits: #bits,
    }))
}
