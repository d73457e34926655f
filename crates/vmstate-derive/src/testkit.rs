//! The module that the generated tests of an image are in.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Path, Result};

/// Tests of the image at `path`, in a module of its name in snake case.
pub(crate) fn expand(path: &Path) -> Result<TokenStream> {
    let Some(last) = path.segments.last() else {
        return Err(syn::Error::new_spanned(path, "expected the name of an image"));
    };
    let module = format_ident!("{}", snake(&last.ident.to_string()), span = last.ident.span());
    Ok(quote!(::vmstate::vmstate_tests! { mod #module: #path {} }))
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.trim_start_matches("r#").chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
