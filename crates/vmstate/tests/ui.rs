//! Mistakes that do not compile, and what the compiler says.
//!
//! The texts belong to the compiler of `rust-toolchain.toml`; `TRYBUILD=overwrite cargo test -p vmstate --test ui`
//! writes them anew.

#[test]
fn mistakes_do_not_compile_and_say_why() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
