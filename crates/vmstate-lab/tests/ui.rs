//! Breaks that do not compile here: the error is the test.
//!
//! The texts belong to the compiler of `rust-toolchain.toml`; `TRYBUILD=overwrite cargo test -p vmstate-lab --test ui`
//! writes them anew.

#[test]
fn what_broke_elsewhere_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
