//! Derive macros of the vmstate crate; documented there.

mod attributes;
mod coding;
mod image;
mod properties;
mod property_enum;
mod runs;
mod schema;
mod spans;
mod testkit;
mod types;
mod unmigratable;

use proc_macro::TokenStream;

/// Implements `vmstate::VmState` for a struct of raw integers.
///
/// Fields are on the wire in the order of their declaration: never reorder, never insert.
///
/// **On the struct**: `#[vmstate(…)]` with
///
/// | attribute | meaning |
/// |---|---|
/// | `name = "pl011"` | name of the section, or of the subsection; required |
/// | `version = 2` | the version that is written; required |
/// | `min = 1` | the oldest version that is loaded; the same as `version` if not given |
/// | `props = Pl011Props` | the type whose fields gates name |
/// | `priority = Priority::PciBus` | load priority of the section |
/// | `early` | the section is sent before RAM |
/// | `gate = migrate_clk` | the section is sent only with this property on |
/// | `older = UartImageV1` | the image that versions below `min` are loaded with; see `vmstate::Upgrade` |
/// | `unmigratable = "why"` | on an `enum` without variants: a device with it cannot migrate; see `vmstate::Unmigratable` |
///
/// **On a field**:
///
/// | attribute | meaning |
/// |---|---|
/// | none | `bool`, integers, arrays of them, arrays of arrays, nested images and arrays of them, types that implement `Wire`; `[Option<T>; N]`, an array of pointers whose holes are those of the template |
/// | `name = "fcr_vmstate"` | name in descriptions and errors, if not that of the field |
/// | `since = 2` | on the wire from this version on |
/// | `when = path` | on the wire if `path(&image, version)` says so, on each side for itself |
/// | `gate = migrate_clk` | on the wire only with this property on, on each side for itself |
/// | `buffer` | on `[u8; N]` and `Vec<u8>`: raw octets, described as one element |
/// | `unused = 4` | on `()`: octets that are sent as zero and skipped on load |
/// | `len = count, max = 16` | on `Vec<T>`: the earlier field that holds the number, and the largest number accepted |
/// | `scale = 4` | beside `len`: so many elements for each that the field counts; `max` limits the elements |
/// | `bitmap, len = bits, max = 4096` | on `Vec<u64>`: a bit for each that the field counts, in words |
/// | `unused = 4, len = count, max = 16` | on `()`: so many octets for each that the field counts |
/// | `list, max = 16` | on `Vec<Image>`: a tail queue, of any length up to the limit; `list = qlist` for a list |
/// | `tree, max = 16` | on `BTreeMap<K, Image>`: a tree; its keys are `u64` or images |
/// | `pinned = 1` | on a nested image: always at this version of it |
/// | `le` | on `i32`: must be from 0 to what the template has |
/// | `equal`, `hint = "…"` | on `u8`, `u16`, `i32`, `u32`, `u64`: must be what the template has; the hint says what to do if not |
/// | `check = path` | on `()`: no octets; `path(&image)` returns `Result<(), Refused>` at this place, on save and on load |
/// | `local` | configuration of this side that shapes a load; never on the wire |
/// | `props = field` | on a nested image or subsection with properties: where in this image's properties they are |
/// | `subsection` | on `Option<Image>`, after all other fields: sent if `Some`; may have a `gate` |
#[proc_macro_derive(VmState, attributes(vmstate))]
pub fn vm_state(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    spans::look_at(&input);
    image::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements `vmstate::Properties`, and `Default` with the declared defaults. `docs/properties.md` has all rules.
///
/// **On the struct**, `#[properties(…)]`:
///
/// | argument | gives |
/// |---|---|
/// | `device = "pl011"` | the type of device that compatibility tables name |
/// | `parents = ["sysbus-device"]` | types and interfaces whose settings are settings of this type as well |
/// | `removed("x-old", "since 2.0; set 'new'")` | a property that is gone; whoever sets it is told this |
///
/// **On each field**, a bool, an integer, a `Size`, a `String`, an enumeration that derives `PropertyEnum`, or a `Vec`
/// of those, `#[property(…)]`:
///
/// | argument | gives |
/// |---|---|
/// | `default = true` | its value where nobody sets it: a constant; for a `String` a literal, for a `Vec` `[a, b]` |
/// | `name = "migrate-clk"` | its name; without one it is that of the field with `-` for `_` |
/// | `alias = "clk"` | a second name |
/// | `old_name = "migrate-clock"` | a name of the past: still taken, with a warning |
/// | `deprecated = "has no effect since 2.0"` | still taken, with a warning that says this |
/// | `flatten` | alone, on a field with properties of its own: puts them into the namespace of this device |
#[proc_macro_derive(Properties, attributes(properties, property))]
pub fn properties(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    spans::look_at(&input);
    properties::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an enumeration of variants without fields a type of a property, whose texts are the names of the variants in
/// lower case with hyphens, or what `#[property(name = "2_5")]` on a variant says. The type is `Clone`.
#[proc_macro_derive(PropertyEnum, attributes(property))]
pub fn property_enum(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    property_enum::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// What `vmstate_tests!(Image)` becomes: the tests need a module, and a macro by example cannot make its name.
#[doc(hidden)]
#[proc_macro]
pub fn tests_in_a_module(input: TokenStream) -> TokenStream {
    let path = syn::parse_macro_input!(input as syn::Path);
    testkit::expand(&path).unwrap_or_else(syn::Error::into_compile_error).into()
}
