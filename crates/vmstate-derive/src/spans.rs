//! Where errors in derived code point, and what names in it mean.
//!
//! Code about a token takes the token's span, so that an error underlines it as if it were the user's own code. Where a
//! macro of the user declares the struct, the token comes from that macro's caller, in which `self` and the derive's
//! variables are others: there the names must be the derive's.

use std::cell::Cell;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Type};

thread_local! {
    /// Whether the struct that is looked at comes out of a macro of the user. A derive runs on one thread.
    static IS_IN_MACRO: Cell<bool> = const { Cell::new(false) };
}

/// Looks whether `input` comes out of a macro: a type that a macro was given stands in a group.
pub(crate) fn look_at(input: &DeriveInput) {
    let is_in_macro = match &input.data {
        Data::Struct(data) => data.fields.iter().any(|field| matches!(field.ty, Type::Group(_))),
        _ => false,
    };
    IS_IN_MACRO.set(is_in_macro);
}

/// The span of derived code about a token.
pub(crate) fn at(token: &impl Spanned) -> Span {
    let span = token.span();
    if IS_IN_MACRO.get() { span.resolved_at(Span::call_site()) } else { span }
}
