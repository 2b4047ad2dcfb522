//! What the compiler must refuse: uses after a reset, a rewind, a release, and from the wrong thread.
//!
//! Each program under `refused/` differs in one line from one that compiles; beside it stands what the
//! compiler says (`TRYBUILD=overwrite cargo test --test lifetimes` writes that anew for another compiler).

#[test]
fn the_compiler_refuses() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/lifetimes/accepted.rs");
    cases.compile_fail("tests/lifetimes/refused/*.rs");
}
