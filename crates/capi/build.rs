//! Assembles the archive member with the short names, and tells the linker what the shared library is called.

fn main() {
    println!("cargo::rerun-if-changed=src/names.s");
    cc::Build::new()
        .file("src/names.s")
        .compile("tagheap_names");

    let major = std::env::var("CARGO_PKG_VERSION_MAJOR").unwrap_or_default();
    for flag in [
        &format!("-soname,libtagheap.so.{major}"),
        "-z,relro",
        "-z,now",
        "-z,noexecstack",
        "-z,defs",
    ] {
        println!("cargo::rustc-cdylib-link-arg=-Wl,{flag}");
    }
    // memcpy and its like: a shared library is for programs that have a libc.
    println!("cargo::rustc-cdylib-link-arg=-lc");
}
