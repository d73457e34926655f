//! The bodies of `encode_part` and `decode`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;

use crate::image::{Counting, Field, Form, Image, Presence};
use crate::runs::Stretch;
use crate::spans::at;

/// Writes the newest version.
pub(crate) fn encode(image: &Image<'_>, stretches: &[Stretch]) -> TokenStream {
    encode_version(image, stretches, &quote!(Self::SCHEMA.version))
}

/// Writes the version that is asked for.
pub(crate) fn encode_at(image: &Image<'_>, stretches: &[Stretch]) -> TokenStream {
    encode_version(image, stretches, &quote!(__version))
}

fn encode_version(image: &Image<'_>, stretches: &[Stretch], version: &TokenStream) -> TokenStream {
    let from = |since: Option<u32>, put: TokenStream| match since {
        Some(since) => quote!(if #version >= #since { #put }),
        None => put,
    };
    let fields = stretches.iter().map(|stretch| match stretch {
        Stretch::Run { first, end, octets, since } => {
            let puts = image.fields.get(*first..*end).unwrap_or_default().iter().map(put_in_run);
            from(
                *since,
                quote! {
                    let mut __octets = [0_u8; #octets];
                    let mut __space = ::vmstate::derived::Space::new(&mut __octets);
                    #(#puts)*
                    __sink.fields(Self::SCHEMA, #first..#end);
                    __sink.put(&__octets);
                },
            )
        }
        Stretch::Single { index, since } => {
            let Some(field) = image.fields.get(*index) else { return TokenStream::new() };
            let put = put_single(field, *index);
            from(*since, conditional(field, version, put))
        }
    });
    let subsections = image.subsections.iter().map(|subsection| {
        let (ident, ty) = (subsection.ident, subsection.ty);
        let props = nested_props(subsection.props.as_ref());
        let put = quote_spanned! {at(&ty)=>
            if let ::core::option::Option::Some(__image) = &self.#ident {
                ::vmstate::derived::put_subsection::<#ty>(__image, #props, __sink)?;
            }
        };
        match &subsection.gate {
            Some(gate) => if_open(gate, &put),
            None => put,
        }
    });
    quote! {
        let _ = __props;
        #({ #fields })*
        #(#subsections)*
        ::core::result::Result::Ok(())
    }
}

pub(crate) fn decode(image: &Image<'_>, stretches: &[Stretch]) -> TokenStream {
    let shapes: Vec<Ident> =
        image.subsections.iter().map(|subsection| format_ident!("__shape_of_{}", subsection.ident)).collect();
    let slots = image.subsections.iter().map(|subsection| subsection.ident);
    let fields = stretches.iter().map(|stretch| match stretch {
        Stretch::Run { first, end, octets, since } => {
            let gets = image.fields.get(*first..*end).unwrap_or_default().iter().map(get_in_run);
            let get = quote! {
                let mut __run = ::vmstate::derived::Run::read::<#octets>(Self::SCHEMA, #first..#end, __input)?;
                #(#gets)*
            };
            match since {
                Some(since) => quote!(if __version >= #since { #get }),
                None => get,
            }
        }
        Stretch::Single { index, since } => {
            let Some(field) = image.fields.get(*index) else { return TokenStream::new() };
            let get = conditional(field, &quote!(__version), get_single(field, *index));
            match since {
                Some(since) => quote!(if __version >= #since { #get }),
                None => get,
            }
        }
    });
    let count = image.subsections.len();
    let arms = image.subsections.iter().zip(&shapes).enumerate().map(|(index, (subsection, shape))| {
        let (ident, ty) = (subsection.ident, subsection.ty);
        let props = nested_props(subsection.props.as_ref());
        quote_spanned! {at(&ty)=>
            #index => ::vmstate::derived::get_subsection::<#ty>(&mut self.#ident, #shape.take(), #props, __version, __input)?,
        }
    });
    let subsections = (count > 0).then(|| {
        quote! {
            let mut __seen = [false; #count];
            while let ::core::option::Option::Some((__index, __version)) =
                ::vmstate::derived::next_subsection(Self::SCHEMA, &mut __seen, __input)?
            {
                match __index {
                    #(#arms)*
                    _ => break,
                }
            }
        }
    });
    // An image without subsections still refuses what looks like one of its own.
    let none = (count == 0).then(|| quote!(::vmstate::derived::next_subsection(Self::SCHEMA, &mut [], __input)?;));
    let older = image.older.as_ref().map(|older| {
        let minimum = image.minimum;
        let slots = image.subsections.iter().map(|subsection| subsection.ident);
        quote_spanned! {at(&older)=>
            if __version < #minimum && <#older as ::vmstate::VmState>::SCHEMA.loads(__version) {
                let __forget = |__image: &mut Self| {
                    let _ = &__image;
                    #(__image.#slots = ::core::option::Option::None;)*
                };
                return ::vmstate::derived::upgrade::<Self, #older>(self, __forget, __props, __version, __input);
            }
        }
    });
    quote! {
        let _ = __props;
        #older
        ::vmstate::derived::check_version(Self::SCHEMA, __version, __input)?;
        #(let mut #shapes = ::core::option::Option::take(&mut self.#slots);)*
        #({ #fields })*
        #subsections
        #none
        ::core::result::Result::Ok(())
    }
}

/// The test that decides whether a field by itself is there.
fn conditional(field: &Field<'_>, version: &TokenStream, coding: TokenStream) -> TokenStream {
    let coding = match &field.presence {
        Presence::When(test) => quote_spanned!(at(&test)=> if #test(&*self, #version) { #coding }),
        Presence::Always | Presence::Since(_) => coding,
    };
    match &field.gate {
        Some(gate) => if_open(gate, &coding),
        None => coding,
    }
}

/// What a gate that is off leaves out.
fn if_open(gate: &Ident, coding: &TokenStream) -> TokenStream {
    let open = quote_spanned!(at(&gate)=> __props.#gate);
    quote!(if #open { #coding })
}

fn nested_props(props: Option<&Ident>) -> TokenStream {
    props.map_or_else(|| quote!(&()), |props| quote!(&__props.#props))
}

/// A slice of all values of an array of arrays.
fn flattened(place: TokenStream, dimensions: usize, method: &str) -> TokenStream {
    let method = format_ident!("{method}");
    (1..dimensions).fold(place, |place, _| quote!(#place.#method()))
}

fn put_in_run(field: &Field<'_>) -> TokenStream {
    let ident = field.ident;
    match &field.form {
        Form::Values(values) if values.dimensions.is_empty() => quote!(__space.value(self.#ident);),
        Form::Values(values) => {
            let all = flattened(quote!(self.#ident), values.dimensions.len(), "as_flattened");
            quote!(__space.values(&#all[..]);)
        }
        Form::Buffer { .. } => quote!(__space.values(&self.#ident[..]);),
        Form::Unused { octets } => quote!(__space.skip(#octets);),
        _ => TokenStream::new(),
    }
}

fn get_in_run(field: &Field<'_>) -> TokenStream {
    let ident = field.ident;
    match &field.form {
        Form::Values(values) if values.dimensions.is_empty() => quote!(__run.value(&mut self.#ident)?;),
        Form::Values(values) => {
            let all = flattened(quote!(self.#ident), values.dimensions.len(), "as_flattened_mut");
            quote!(__run.values(&mut #all[..])?;)
        }
        Form::Buffer { .. } => quote!(__run.values(&mut self.#ident[..])?;),
        Form::Unused { octets } => quote!(__run.skip(#octets);),
        _ => TokenStream::new(),
    }
}

fn put_single(field: &Field<'_>, index: usize) -> TokenStream {
    let (ident, ty) = (field.ident, field.ty);
    match &field.form {
        Form::Values(_) | Form::Wire => quote_spanned! {at(&ty)=>
            ::vmstate::derived::put_field(Self::SCHEMA, #index, &self.#ident, __sink)?;
        },
        Form::WithProps(props) => quote_spanned! {at(&ty)=>
            ::vmstate::derived::put_image(Self::SCHEMA, #index, &self.#ident, &__props.#props, __sink)?;
        },
        Form::Buffer { .. } => quote!(::vmstate::derived::put_buffer(Self::SCHEMA, #index, &self.#ident, __sink);),
        Form::Unused { octets } => quote!(::vmstate::derived::put_unused(Self::SCHEMA, #index, #octets, __sink);),
        Form::Equal { .. } => quote!(::vmstate::derived::put_field(Self::SCHEMA, #index, &self.#ident, __sink)?;),
        Form::Check { test } => quote_spanned! {at(&test)=>
            ::vmstate::derived::check_save(Self::SCHEMA, #index, #test(&*self))?;
        },
        Form::Counted { count, buffer, .. } => {
            let put = if *buffer { quote!(put_counted_buffer) } else { quote!(put_counted) };
            let (max, count) = (&count.max, count_value(count));
            quote!(::vmstate::derived::#put(Self::SCHEMA, #index, #count, #max, &self.#ident, __sink)?;)
        }
        Form::CountedUnused { octets, count } => {
            let (max, count) = (&count.max, count_value(count));
            quote!(::vmstate::derived::put_counted_unused(Self::SCHEMA, #index, #count, #max, #octets, __sink)?;)
        }
        Form::Bitmap { count } => {
            let (max, count) = (&count.max, count_value(count));
            quote!(::vmstate::derived::put_bitmap(Self::SCHEMA, #index, #count, #max, &self.#ident, __sink)?;)
        }
        Form::Le => quote!(::vmstate::derived::put_field(Self::SCHEMA, #index, &self.#ident, __sink)?;),
        Form::Pinned { version } => quote_spanned! {at(&ty)=>
            ::vmstate::derived::put_pinned(Self::SCHEMA, #index, &self.#ident, #version, __sink)?;
        },
        Form::List { max, .. } => quote_spanned! {at(&ty)=>
            ::vmstate::derived::put_list(Self::SCHEMA, #index, #max, &self.#ident, __sink)?;
        },
        Form::Tree { max, .. } => quote_spanned! {at(&ty)=>
            ::vmstate::derived::put_tree(Self::SCHEMA, #index, #max, &self.#ident, __sink)?;
        },
    }
}

fn get_single(field: &Field<'_>, index: usize) -> TokenStream {
    let (ident, ty) = (field.ident, field.ty);
    match &field.form {
        Form::Values(_) | Form::Wire => quote_spanned! {at(&ty)=>
            ::vmstate::derived::get_field(Self::SCHEMA, #index, &mut self.#ident, __input)?;
        },
        Form::WithProps(props) => quote_spanned! {at(&ty)=>
            ::vmstate::derived::get_image(Self::SCHEMA, #index, &mut self.#ident, &__props.#props, __input)?;
        },
        Form::Buffer { .. } => {
            quote!(::vmstate::derived::get_buffer(Self::SCHEMA, #index, &mut self.#ident, __input)?;)
        }
        Form::Unused { octets } => quote!(::vmstate::derived::get_unused(Self::SCHEMA, #index, #octets, __input)?;),
        Form::Equal { .. } => quote!(::vmstate::derived::get_equal(Self::SCHEMA, #index, self.#ident, __input)?;),
        Form::Check { test } => quote_spanned! {at(&test)=>
            ::vmstate::derived::check_load(Self::SCHEMA, #index, #test(&*self), __input)?;
        },
        Form::Counted { count, buffer, .. } => {
            let get = if *buffer { quote!(get_counted_buffer) } else { quote!(get_counted) };
            let (max, count) = (&count.max, count_value(count));
            quote!(::vmstate::derived::#get(Self::SCHEMA, #index, #count, #max, &mut self.#ident, __input)?;)
        }
        Form::CountedUnused { octets, count } => {
            let (max, count) = (&count.max, count_value(count));
            quote!(::vmstate::derived::get_counted_unused(Self::SCHEMA, #index, #count, #max, #octets, __input)?;)
        }
        Form::Bitmap { count } => {
            let (max, count) = (&count.max, count_value(count));
            quote!(::vmstate::derived::get_bitmap(Self::SCHEMA, #index, #count, #max, &mut self.#ident, __input)?;)
        }
        Form::Le => quote!(::vmstate::derived::get_le(Self::SCHEMA, #index, &mut self.#ident, __input)?;),
        Form::Pinned { version } => quote_spanned! {at(&ty)=>
            ::vmstate::derived::get_pinned(Self::SCHEMA, #index, &mut self.#ident, #version, __input)?;
        },
        Form::List { max, .. } => quote_spanned! {at(&ty)=>
            ::vmstate::derived::get_list(Self::SCHEMA, #index, #max, &mut self.#ident, __input)?;
        },
        Form::Tree { max, .. } => quote_spanned! {at(&ty)=>
            ::vmstate::derived::get_tree(Self::SCHEMA, #index, #max, &mut self.#ident, __input)?;
        },
    }
}

/// The number of elements, from the field that holds it.
fn count_value(count: &Counting) -> TokenStream {
    let field = &count.field;
    let value = quote_spanned!(at(&field)=> self.#field);
    match &count.scale {
        Some(scale) => quote_spanned!(at(&field)=> ::vmstate::derived::Scaled(#value, #scale)),
        None => value,
    }
}
