//! Links the program without libc and its start files, statically, at a fixed address.

fn main() {
    let arguments = [
        // No crt1.o: `_start` is the program's own.
        "-nostartfiles",
        "-nostdlib",
        // No ld.so, so nobody who could relocate the program either.
        "-static",
        "-no-pie",
        "-Wl,--build-id=none,-z,noseparate-code",
    ];
    for argument in arguments {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
