//! The description as a constant.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Ident, LitStr, Path};

use crate::image::{Counting, Field, Form, Image, Presence};
use crate::spans::at;

pub(crate) fn expand(image: &Image<'_>) -> TokenStream {
    let Image { name, version, minimum, .. } = image;
    let priority = image.priority.as_ref().map(|priority| quote!(.priority(#priority)));
    let section_gate = gate(image, image.gate.as_ref());
    let early = image.early.then(|| quote!(.early()));
    let older = image.older.as_ref().map(|older| {
        let older = image_of(older);
        quote!(.older(#older))
    });
    let device = image
        .props
        .as_ref()
        .filter(|_| image.has_gates())
        .map(|props| quote_spanned!(at(&props)=> .device(<#props as ::vmstate::Properties>::DEVICE)));
    let fields = image.fields.iter().map(|field| {
        let name = &field.name;
        let kind = kind(image, field);
        let presence = match &field.presence {
            Presence::Always => None,
            Presence::Since(version) => Some(quote!(.since(#version))),
            Presence::When(test) => {
                let test = path(test);
                Some(quote!(.when(#test)))
            }
        };
        let gate = gate(image, field.gate.as_ref());
        quote!(::vmstate::schema::Field::new(#name, #kind) #presence #gate)
    });
    let subsections = image.subsections.iter().map(|subsection| {
        let ty = subsection.ty;
        let gate = gate(image, subsection.gate.as_ref());
        quote_spanned!(at(&ty)=> ::vmstate::schema::Subsection::new(<#ty as ::vmstate::VmState>::SCHEMA) #gate)
    });
    let locals = image.locals.iter().map(ToString::to_string);
    quote! {{
        const FIELDS: &[::vmstate::schema::Field] = &[#(#fields),*];
        const SUBSECTIONS: &[::vmstate::schema::Subsection] = &[#(#subsections),*];
        const LOCALS: &[&str] = &[#(#locals),*];
        &::vmstate::Schema::new(#name, #version)
            .minimum(#minimum)
            #priority
            #early
            #older
            #device
            #section_gate
            .fields(FIELDS)
            .subsections(SUBSECTIONS)
            .locals(LOCALS)
    }}
}

/// The property's name, looked up by the field of the props type that the gate names.
fn gate(image: &Image<'_>, gate: Option<&Ident>) -> Option<TokenStream> {
    let (gate, props) = (gate?, image.props.as_ref()?);
    let field = gate.to_string();
    // The first line fails to compile where the name does not exist: with the field's true error, and none from the
    // constant.
    Some(quote_spanned! {at(&gate)=>
        .gate({
            let _: fn(&#props) -> bool = |__props| __props.#gate;
            ::vmstate::props::name_of::<#props>(#field)
        })
    })
}

fn option(value: Option<&LitStr>) -> TokenStream {
    value.map_or_else(|| quote!(::core::option::Option::None), |value| quote!(::core::option::Option::Some(#value)))
}

/// A path as it is written.
fn path(path: &Path) -> String {
    quote!(#path).to_string().replace(' ', "")
}

fn kind(image: &Image<'_>, field: &Field<'_>) -> TokenStream {
    let ty = field.ty;
    match &field.form {
        Form::Values(_) | Form::Wire => quote_spanned!(at(&ty)=> <#ty as ::vmstate::Wire>::KIND),
        Form::WithProps(_) => {
            quote_spanned!(at(&ty)=> ::vmstate::schema::Kind::Struct(<#ty as ::vmstate::VmState>::SCHEMA))
        }
        Form::Buffer { octets } => quote!(::vmstate::schema::Kind::Buffer { octets: #octets }),
        Form::Unused { octets } => quote!(::vmstate::schema::Kind::Unused { octets: #octets }),
        Form::Equal { scalar, hint } => {
            let hint = option(hint.as_ref());
            quote!(::vmstate::schema::Kind::Equal {
                scalar: <#scalar as ::vmstate::wire::Value>::SCALAR,
                hint: #hint,
            })
        }
        Form::Check { test } => {
            let test = path(test);
            quote!(::vmstate::schema::Kind::Check { test: #test })
        }
        Form::Counted { element, count, buffer } => {
            let max = &count.max;
            let count = count_of(image, count);
            if *buffer {
                quote!(::vmstate::schema::Kind::CountedBuffer { count: #count, limit: #max })
            } else {
                let element = quote_spanned!(at(&element)=> <#element as ::vmstate::Wire>::KIND);
                quote!(::vmstate::schema::Kind::Counted { element: &#element, count: #count, limit: #max })
            }
        }
        Form::CountedUnused { octets, count } => {
            let max = &count.max;
            let count = count_of(image, count);
            let element = quote!(::vmstate::schema::Kind::Unused { octets: #octets });
            quote!(::vmstate::schema::Kind::Counted { element: &#element, count: #count, limit: #max })
        }
        Form::Bitmap { count } => {
            let max = &count.max;
            let count = count_of(image, count);
            quote!(::vmstate::schema::Kind::Bitmap { count: #count, limit: #max })
        }
        Form::Le => quote!(::vmstate::schema::Kind::Le),
        Form::Pinned { version } => {
            let schema = image_of(ty);
            quote!(::vmstate::schema::Kind::Pinned { schema: #schema, version: #version })
        }
        Form::List { element, is_qlist, max } => {
            let form = if *is_qlist { quote!(Qlist) } else { quote!(Qtailq) };
            let element = image_of(element);
            quote!(::vmstate::schema::Kind::List {
                form: ::vmstate::schema::ListForm::#form,
                element: #element,
                limit: #max,
            })
        }
        Form::Tree { key, value, max } => {
            let key = match key {
                Some(key) => {
                    let key = image_of(key);
                    quote!(::core::option::Option::Some(#key))
                }
                None => quote!(::core::option::Option::None),
            };
            let value = image_of(value);
            quote!(::vmstate::schema::Kind::Tree { key: #key, value: #value, limit: #max })
        }
    }
}

fn image_of(ty: &syn::Type) -> TokenStream {
    quote_spanned!(at(&ty)=> <#ty as ::vmstate::VmState>::SCHEMA)
}

/// The count by the name that its field has in the description.
fn count_of(image: &Image<'_>, count: &Counting) -> TokenStream {
    let field = image.fields.iter().find(|field| *field.ident == count.field);
    let field = field.map_or_else(|| count.field.to_string(), |field| field.name.clone());
    let origin = if count.is_local { quote!(local) } else { quote!(received) };
    let scale = count.scale.as_ref().map(|scale| quote!(.scale(#scale)));
    quote!(::vmstate::schema::Count::#origin(#field) #scale)
}
