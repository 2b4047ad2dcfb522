//! Tells the linker what the shared library is called, and what it takes from the C library.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for flag in [
        "-soname,libtagheap_malloc.so",
        "-z,relro",
        "-z,now",
        "-z,noexecstack",
        "-z,defs",
    ] {
        println!("cargo::rustc-cdylib-link-arg=-Wl,{flag}");
    }
    // Before glibc 2.34, the loader's functions are in a library of their own.
    for library in ["-ldl", "-lpthread", "-lc"] {
        println!("cargo::rustc-cdylib-link-arg={library}");
    }
}
