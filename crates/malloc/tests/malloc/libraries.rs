//! Memory tagged by the library whose code asks for it.

use std::fs;

use crate::tools::{build, line, run, scratch, succeed, tables, with_library};

#[test]
fn each_library_holds_what_its_code_asked_for() {
    let shared = ["-shared", "-fPIC"];
    let holder = build(
        "gcc",
        "libholder-of-a-rather-long-name-indeed.so",
        &["holder.c"],
        &shared,
    );
    let plugin = build("g++", "libplugin.so", &["plugin.cpp"], &shared);
    let (folder, rpath) = (holder.parent().unwrap(), "-Wl,-rpath,$ORIGIN");
    let at = format!("-L{}", folder.display());
    let flags = [
        &at,
        rpath,
        "-l:libholder-of-a-rather-long-name-indeed.so",
        "-ldl",
    ];
    let program = build("gcc", "holders", &["holders.c"], &flags);

    let report = scratch("reports").join("libraries");
    let _ = fs::remove_file(&report);
    let tagged = |tags: &str| {
        let mut command = with_library(&program);
        command.arg(&plugin).env("TAGHEAP_REPORT", &report);
        succeed(command.env("TAGHEAP_TAGS", tags));
    };
    tagged("library");
    tagged("");
    let [by_library, not]: [String; 2] = tables(&report).try_into().unwrap();
    let head = format!("{} (process ", program.display());
    assert!(
        by_library.starts_with(&head) && not.starts_with(&head),
        "{by_library}{not}"
    );

    // 31 bytes of its name; slots of 112 bytes, one of which became one of 3072 or so, and a block.
    let of = line(&by_library, "libholder-of-a-rather-long-name").unwrap();
    assert_eq!(of[0], 501, "{by_library}");
    let bytes = of[1] - 499 * 112 - 1_000_000;
    assert!((3000..3200).contains(&bytes), "{by_library}");
    assert!(of[3] > 1_100_000, "{by_library}");
    let of = line(&by_library, "libplugin.so").unwrap();
    assert_eq!((of[0], of[1]), (501, 501 * 48), "{by_library}");
    let of = line(&by_library, "holders").unwrap();
    assert_eq!(of[0], 1, "{by_library}");
    assert!((5000..5200).contains(&of[1]), "{by_library}");
    assert!(
        line(&by_library, "ld-linux-x86-64.so.2").is_some(),
        "{by_library}"
    );

    let of = line(&not, "untagged").unwrap();
    assert!(of[0] > 1000 && of[1] > 1_000_000, "{not}");
    assert!(line(&not, "holders").is_none() && line(&not, "libplugin.so").is_none());
}

/// What is known of a page of code is not taken for another's, and code that is in no library is told apart.
#[test]
fn code_made_at_run_time_holds_what_it_asked_for() {
    let program = build("gcc", "generated", &["generated.c"], &[]);
    let report = scratch("reports").join("generated");
    let _ = fs::remove_file(&report);
    let mut command = with_library(&program);
    command.env("TAGHEAP_REPORT", &report);
    succeed(command.env("TAGHEAP_TAGS", "library"));
    let [table]: [String; 1] = tables(&report).try_into().unwrap();
    assert_eq!(
        line(&table, "generated").unwrap()[..2],
        [100, 11_200],
        "{table}"
    );
    assert_eq!(
        line(&table, "(no library)").unwrap()[..2],
        [100, 20_800],
        "{table}"
    );
}

/// Whatever it calls itself, and whoever asks before all else, as C++'s library does.
#[test]
fn a_program_has_one_name_from_its_beginning() {
    let renamed = build("gcc", "renamed", &["renamed.c"], &[]);
    let cxx = build(
        "g++",
        "operators-held",
        &["promises.cpp"],
        &["-std=c++17", "-pthread"],
    );
    let report = scratch("reports").join("renamed");
    let _ = fs::remove_file(&report);
    for program in [renamed, cxx] {
        let mut command = with_library(&program);
        command.env("TAGHEAP_REPORT", &report);
        succeed(command.env("TAGHEAP_TAGS", "library"));
    }
    let [of_c, of_cxx]: [String; 2] = tables(&report).try_into().unwrap();
    assert_eq!(line(&of_c, "renamed").unwrap()[..2], [2, 224], "{of_c}");
    assert!(line(&of_cxx, "libstdc++.so.6").is_some(), "{of_cxx}");
    for table in [of_c, of_cxx] {
        assert!(line(&table, "untagged").is_none(), "{table}");
    }
}

#[test]
fn another_word_than_library_is_refused_with_a_line() {
    let program = build("gcc", "nothing", &["nothing.c"], &[]);
    let output = run(with_library(&program).env("TAGHEAP_TAGS", "libraries"));
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "tagheap: TAGHEAP_TAGS can be library, and nothing else\n"
    );
    let output = run(with_library(&program).env("TAGHEAP_TAGS", ""));
    assert!(output.status.success() && output.stderr.is_empty());
}
