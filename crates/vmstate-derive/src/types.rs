//! What a field's type says by its letters alone: a derive sees names, not types.

use syn::{Expr, ExprLit, GenericArgument, Ident, Lit, PathArguments, Type};

/// A scalar or an array of scalars, down to the scalar's name.
pub(crate) struct Values<'a> {
    pub(crate) scalar: &'a Ident,
    /// Lengths from the outermost array inwards; empty for a scalar.
    pub(crate) dimensions: Vec<&'a Expr>,
}

/// Octets of a scalar that has a place on the wire.
pub(crate) fn scalar_octets(name: &Ident) -> Option<usize> {
    match name.to_string().as_str() {
        "bool" | "i8" | "u8" => Some(1),
        "i16" | "u16" => Some(2),
        "i32" | "u32" => Some(4),
        "i64" | "u64" => Some(8),
        _ => None,
    }
}

/// The type without the groups that macros put around it.
pub(crate) fn plain(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => plain(&group.elem),
        Type::Paren(paren) => plain(&paren.elem),
        other => other,
    }
}

/// Reads a type as scalars.
pub(crate) fn values(ty: &Type) -> Option<Values<'_>> {
    match plain(ty) {
        Type::Path(path) if path.qself.is_none() => {
            let scalar = path.path.get_ident()?;
            scalar_octets(scalar).map(|_| Values { scalar, dimensions: Vec::new() })
        }
        Type::Array(array) => {
            let mut inner = values(&array.elem)?;
            inner.dimensions.insert(0, &array.len);
            Some(inner)
        }
        _ => None,
    }
}

impl Values<'_> {
    /// Octets of all, if every length is a literal.
    pub(crate) fn octets(&self) -> Option<usize> {
        let scalar = scalar_octets(self.scalar)?;
        self.dimensions.iter().try_fold(scalar, |octets, length| octets.checked_mul(literal(length)?))
    }
}

/// The value of a literal.
pub(crate) fn literal(expression: &Expr) -> Option<usize> {
    match expression {
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
        Expr::Group(group) => literal(&group.expr),
        Expr::Paren(paren) => literal(&paren.expr),
        _ => None,
    }
}

/// `T` of `outer<T>`, by the last element of the path.
pub(crate) fn argument<'a>(ty: &'a Type, outer: &str) -> Option<&'a Type> {
    let Type::Path(path) = plain(ty) else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == outer)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first() {
        Some(GenericArgument::Type(inner)) if arguments.args.len() == 1 => Some(inner),
        _ => None,
    }
}

/// `K` and `V` of `outer<K, V>`, by the last element of the path.
pub(crate) fn two_arguments<'a>(ty: &'a Type, outer: &str) -> Option<(&'a Type, &'a Type)> {
    let Type::Path(path) = plain(ty) else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == outer)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let mut arguments = arguments.args.iter();
    match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(GenericArgument::Type(first)), Some(GenericArgument::Type(second)), None) => Some((first, second)),
        _ => None,
    }
}

/// Whether it is an array, or an array of arrays, of `Option`.
pub(crate) fn is_array_of_options(ty: &Type) -> bool {
    match plain(ty) {
        Type::Array(array) => argument(&array.elem, "Option").is_some() || is_array_of_options(&array.elem),
        _ => false,
    }
}

/// Whether it is the named type without a path.
pub(crate) fn is_named(ty: &Type, name: &str) -> bool {
    matches!(plain(ty), Type::Path(path) if path.path.is_ident(name))
}

/// Whether it is `()`.
pub(crate) fn is_unit(ty: &Type) -> bool {
    matches!(plain(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// Whether it is `u8`.
pub(crate) fn is_octet(ty: &Type) -> bool {
    is_named(ty, "u8")
}

/// `N` of `[u8; N]`.
pub(crate) fn octet_array(ty: &Type) -> Option<&Expr> {
    match plain(ty) {
        Type::Array(array) if is_octet(&array.elem) => Some(&array.len),
        _ => None,
    }
}
