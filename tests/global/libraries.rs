//! Copies of the crate: in shared libraries, loaded, used, and closed while threads that used them live on; and two in one
//! program.

use core::ffi::{CStr, c_void};
use core::mem;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::channel;
use std::{env, thread};

use tagheap::Tag;

use crate::support::{alone, objects};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn run(program: &str, otherwise: &str, with: impl FnOnce(&mut Command)) -> String {
    let program = env::var_os(program).unwrap_or_else(|| OsString::from(otherwise));
    let mut command = Command::new(program);
    with(&mut command);
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// Where compiled things go.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// A copy of the crate, compiled with these flags: its file.
fn copy(folder: &Path, flags: &str) -> PathBuf {
    let told = run("CARGO", "cargo", |cargo| {
        cargo
            .args(["build", "--quiet", "--lib", "--message-format=json"])
            .args(["--features", "std", "--package", env!("CARGO_PKG_NAME")])
            .arg("--target-dir")
            .arg(folder)
            .env("RUSTFLAGS", flags)
            .current_dir(ROOT);
    });
    // A line for each crate; the last is this one.
    let mut files = told
        .lines()
        .filter_map(|line| line.split_once("\"filenames\":[\""));
    let (_, file) = files.next_back().expect("a line for this crate");
    let (crate_file, _) = file.split_once('"').unwrap();
    PathBuf::from(crate_file)
}

/// Compiles a source that uses copies of the crate by these names.
fn compile(source: &str, kind: &str, copies: &[(&str, &Path)], to: &Path) {
    run("RUSTC", "rustc", |rustc| {
        rustc.args(["--edition=2024", "--crate-type", kind]);
        for (name, file) in copies {
            let dependencies = file.with_file_name("deps");
            rustc
                .arg(format!("--extern={name}={}", file.display()))
                .arg(format!("-Ldependency={}", dependencies.display()));
        }
        let sources = Path::new(ROOT).join("tests/global/libraries");
        rustc.arg("-o").arg(to).arg(sources.join(source));
    });
}

/// The path of the library, which this compiles.
fn library() -> CString {
    let folder = folder("libraries");
    let library = folder.join("libof_its_own.so");
    let copies = [("tagheap", &*copy(&folder, ""))];
    compile("library.rs", "cdylib", &copies, &library);
    CString::new(library.into_os_string().into_vec()).unwrap()
}

/// A library that is open.
struct Open(*mut c_void);

impl Open {
    fn new(path: &CStr) -> Option<Self> {
        // SAFETY: it is this test's own, and runs nothing when it is loaded.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        (!handle.is_null()).then_some(Self(handle))
    }

    fn work(&self) -> extern "C" fn(usize) -> usize {
        // SAFETY: open, and a name.
        let found = unsafe { libc::dlsym(self.0, c"objects_of_so_many".as_ptr()) };
        assert!(!found.is_null());
        // SAFETY: it is declared so.
        unsafe { mem::transmute::<*mut c_void, extern "C" fn(usize) -> usize>(found) }
    }

    fn close(self, path: &CStr) {
        // SAFETY: open, and closed once.
        assert_eq!(unsafe { libc::dlclose(self.0) }, 0);
        let flags = libc::RTLD_NOW | libc::RTLD_NOLOAD;
        // SAFETY: only asks whether it is there.
        let handle = unsafe { libc::dlopen(path.as_ptr(), flags) };
        assert!(handle.is_null(), "its code is gone");
    }
}

/// The key that the threads library hands out next.
fn next_key() -> libc::pthread_key_t {
    let mut key = 0;
    // SAFETY: as POSIX has it.
    assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, None) }, 0);
    // SAFETY: just made.
    assert_eq!(unsafe { libc::pthread_key_delete(key) }, 0);
    key
}

#[test]
fn f07_a_library_goes_before_the_threads_that_used_it() {
    // Compiled outside the time that the process has.
    let path = library();
    alone(|| {
        let key = next_key();
        for _ in 0..3 {
            let open = Open::new(&path).unwrap();
            let work = open.work();
            let (used, wait) = channel();
            let (go, gone) = channel::<()>();
            let user = thread::spawn(move || {
                used.send(work(10)).unwrap();
                gone.recv().unwrap();
            });
            assert_eq!((wait.recv().unwrap(), work(5)), (11, 6));
            assert_eq!(objects(Tag::named("library")), 0, "in a heap of its own");
            open.close(&path);
            go.send(()).unwrap();
            user.join().unwrap();
            assert_eq!(next_key(), key, "it took its key along");
        }
        // SAFETY: forks as the C library has it; the child ends at once.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: nothing else runs in it.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: a child of this process's.
        let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!((waited, status), (child, 0));
    });
}

#[test]
fn two_copies_in_one_program_have_a_heap_each() {
    // As two versions are, which nothing else tells apart for the linker.
    let one = copy(&folder("libraries"), "");
    let another = copy(&folder("copies"), "-Cmetadata=another");
    let copies = [("tagheap", &*one), ("another", &*another)];
    let program = folder("copies").join("copies");
    compile("copies.rs", "bin", &copies, &program);
    let told = Command::new(&program).output().unwrap();
    assert!(told.status.success(), "{told:?}");
}
