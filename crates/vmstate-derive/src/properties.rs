//! `#[derive(Properties)]`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Expr, Field, Fields, Ident, LitStr, Result, Type};

enum Property<'a> {
    Own {
        ident: &'a Ident,
        ty: &'a Type,
        name: LitStr,
        default: Expr,
    },
    /// A struct with properties of its own, in our namespace.
    Flattened {
        ident: &'a Ident,
        ty: &'a Type,
    },
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
    let mut names: Vec<String> = Vec::new();
    for property in &properties {
        if let Property::Own { name, .. } = property {
            if names.contains(&name.value()) {
                return Err(Error::new(name.span(), format!("two properties are called '{}'", name.value())));
            }
            names.push(name.value());
        }
    }
    let (mut list, mut flattened) = (Vec::new(), Vec::new());
    let (mut defaults, mut sets, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let (mut inner_sets, mut inner_values) = (Vec::new(), Vec::new());
    for property in &properties {
        match property {
            Property::Own { ident, ty, name, default } => {
                let (field, constant) = (ident.to_string(), value_of(ty, default)?);
                list.push(quote!(::vmstate::props::Property::new(#name, #field, #constant)));
                defaults.push(quote!(#ident: #default));
                sets.push(quote!(#name => ::vmstate::props::assign(&mut self.#ident, Self::DEVICE, __name, __value),));
                values.push(quote! {
                    #name => ::core::option::Option::Some(::vmstate::props::PropertyType::value(self.#ident)),
                });
            }
            Property::Flattened { ident, ty } => {
                flattened.push(quote_spanned!(ty.span()=> <#ty as ::vmstate::Properties>::PROPERTIES));
                defaults.push(quote_spanned!(ty.span()=> #ident: <#ty as ::vmstate::Properties>::defaults()));
                inner_sets.push(quote_spanned! {ty.span()=>
                    _ if <#ty as ::vmstate::Properties>::PROPERTIES.contains(__name) => {
                        ::vmstate::Properties::set(&mut self.#ident, __name, __value)
                            .map_err(|error| error.of(Self::DEVICE))
                    }
                });
                inner_values.push(quote_spanned! {ty.span()=>
                    _ if <#ty as ::vmstate::Properties>::PROPERTIES.contains(__name) => {
                        ::vmstate::Properties::value(&self.#ident, __name)
                    }
                });
            }
        }
    }
    Ok(quote! {
        #[automatically_derived]
        impl ::vmstate::Properties for #ident {
            const DEVICE: &'static str = #device;
            const PROPERTIES: ::vmstate::props::PropertyList = {
                const OWN: &[::vmstate::props::Property] = &[#(#list),*];
                const FLATTENED: &[::vmstate::props::PropertyList] = &[#(#flattened),*];
                ::vmstate::props::PropertyList::new(OWN, FLATTENED)
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
    let (mut name, mut default, mut flatten) = (None, None, None);
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("property")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                name = Some(meta.value()?.parse::<LitStr>()?);
            } else if meta.path.is_ident("default") {
                default = Some(meta.value()?.parse::<Expr>()?);
            } else if meta.path.is_ident("flatten") {
                flatten = Some(meta.path.span());
            } else {
                return Err(meta.error("unknown attribute: expected 'name', 'default' or 'flatten'"));
            }
            Ok(())
        })?;
    }
    if let Some(flatten) = flatten {
        if name.is_some() || default.is_some() {
            return Err(Error::new(
                flatten,
                "'flatten' stands alone: names and defaults are those of the inner struct",
            ));
        }
        return Ok(Property::Flattened { ident, ty: &field.ty });
    }
    let default = default.ok_or_else(|| {
        Error::new(span, format!("property '{ident}' needs #[property(default = …)]: what a new machine has"))
    })?;
    let name = name.unwrap_or_else(|| LitStr::new(&ident.to_string().replace('_', "-"), ident.span()));
    Ok(Property::Own { ident, ty: &field.ty, name, default })
}

/// The default as constant data, by the type's name.
fn value_of(ty: &Type, default: &Expr) -> Result<TokenStream> {
    let name = match ty {
        Type::Path(path) => path.path.get_ident().map(Ident::to_string).unwrap_or_default(),
        _ => String::new(),
    };
    if !["bool", "u8", "u16", "u32", "u64"].contains(&name.as_str()) {
        return Err(Error::new(ty.span(), "a property is a bool, u8, u16, u32 or u64"));
    }
    let constructor = format_ident!("of_{name}");
    Ok(quote_spanned!(default.span()=> ::vmstate::props::PropertyValue::#constructor(#default)))
}
