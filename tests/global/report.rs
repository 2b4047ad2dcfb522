//! Numbers by tag, and the table that is printed at the end of a program.

use std::ffi::CString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::{env, io, process, thread};

use tagheap::{Global, Tag};

use crate::HEAP;
use crate::support::{
    Piece, alone, blocks, bytes, ends, ends_otherwise, holding, is_done, objects, text,
};

const LEAKED: Tag = Tag::named("leaked");

fn leaks() {
    HEAP.set_name(Tag::new(4711), "four thousand").unwrap();
    for size in [100, 100, 20_000] {
        Piece::take(LEAKED, bytes(size), 1);
    }
    Piece::take(Tag::new(4711), bytes(8), 1);
    Piece::take(LEAKED, bytes(500), 1).give_back();
}

/// Of a line of the table: what comes behind the tag.
fn columns<'a>(table: &'a str, tag: &str) -> Option<Vec<&'a str>> {
    let line = table.lines().find(|line| line.starts_with(tag))?;
    Some(line[tag.len()..].split_whitespace().collect())
}

#[test]
fn the_report_at_the_end_of_the_program() {
    let output = ends(&[("TAGHEAP_REPORT", "1")], || {
        leaks();
    });
    assert!(is_done(&output), "{}", text(&output));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.starts_with("tagheap: what is held by tag, in bytes\n"),
        "{told}"
    );
    // Slots of 112 bytes, and a block.
    let leaked = columns(&told, "leaked").unwrap();
    assert_eq!(leaked[..2], ["3", "20224"], "{told}");
    let held: usize = leaked[2].parse().unwrap();
    assert!(
        (2 * 65_536 + 20_000..2 * 65_536 + 20_100).contains(&held),
        "{told}"
    );
    assert_eq!(
        columns(&told, "four thousand").unwrap()[..2],
        ["1", "16"],
        "{told}"
    );
    assert!(columns(&told, "untagged").is_some() && columns(&told, "(all)").is_some());
    assert!(
        columns(&told, "tagheap ").is_none(),
        "the books are none of the program's"
    );
}

/// For programs that close standard error, or have children.
#[test]
fn the_report_goes_to_a_file_that_is_named() {
    let file = std::env::temp_dir().join(format!("tagheap report {}", std::process::id()));
    let environment = [("TAGHEAP_REPORT", file.to_str().unwrap())];
    let runs = [1, 2].map(|_| {
        ends(&environment, || {
            leaks();
            // SAFETY: there is no other thread that has anything.
            let child = unsafe { libc::fork() };
            if child == 0 {
                Piece::take(LEAKED, bytes(20_000), 1);
            } else {
                let mut status = 0;
                // SAFETY: its own child.
                unsafe { libc::waitpid(child, &raw mut status, 0) };
            }
        })
    });
    let told = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    for output in &runs {
        assert!(is_done(output), "{}", text(output));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
    let heads: Vec<_> = told
        .lines()
        .filter(|line| line.starts_with("tagheap: "))
        .collect();
    let program = std::env::current_exe().unwrap();
    let expected = format!("tagheap: {} (process ", program.display());
    for head in &heads {
        assert!(head.starts_with(&expected), "{told}");
        assert!(head.ends_with("): what is held by tag, in bytes"), "{told}");
    }
    // Each in one piece.
    let mut of_leaked: Vec<_> = told
        .split("tagheap: ")
        .skip(1)
        .map(|table| columns(table, "leaked").unwrap()[0])
        .collect();
    of_leaked.sort_unstable();
    assert_eq!(of_leaked, ["3", "3", "4", "4"], "{told}");
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let output = ends(&[("TAGHEAP_REPORT", "/no/such folder/r")], || {
        leaks();
    });
    assert!(is_done(&output), "{}", text(&output));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "tagheap: no report, for this cannot be written: /no/such folder/r\n"
    );
}

#[test]
fn a_path_that_is_too_long_is_not_cut() {
    let path = format!("/{}", "a".repeat(4096));
    let output = ends(&[("TAGHEAP_REPORT", &path)], || {
        leaks();
    });
    assert!(is_done(&output), "{}", text(&output));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "tagheap: no report, for this cannot be written: a path of 4096 bytes or more\n"
    );
}

/// Wherever the program went.
#[test]
fn a_path_begins_where_the_program_began() {
    let folder = scratch("report begins");
    fs::create_dir(&folder).unwrap();
    let change = |command: &mut process::Command| {
        command
            .current_dir(&folder)
            .env("TAGHEAP_REPORT", "./report");
    };
    let output = ends_otherwise(change, || {
        leaks();
        env::set_current_dir("/").unwrap();
    });
    let told = fs::read_to_string(folder.join("report"));
    fs::remove_dir_all(&folder).unwrap();
    assert!(is_done(&output), "{}", text(&output));
    assert_eq!(columns(&told.unwrap(), "leaked").unwrap()[0], "3");
}

#[test]
fn a_pipe_that_nobody_reads_keeps_nobody() {
    let pipe = scratch("report pipe");
    let path = CString::new(pipe.to_str().unwrap()).unwrap();
    // SAFETY: a path.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
    let run = || {
        ends(&[("TAGHEAP_REPORT", pipe.to_str().unwrap())], || {
            leaks();
        })
    };
    let unread = run();
    let (read, told) = thread::scope(|scope| {
        let reader = scope.spawn(|| fs::read_to_string(&pipe).unwrap());
        // Until it is there.
        loop {
            let output = run();
            if reader.is_finished() {
                return (output, reader.join().unwrap());
            }
        }
    });
    fs::remove_file(&pipe).unwrap();
    assert!(is_done(&unread), "{}", text(&unread));
    let complaint = "tagheap: no report, for this cannot be written: ";
    assert!(text(&unread).contains(complaint), "{}", text(&unread));
    assert!(is_done(&read), "{}", text(&read));
    assert_eq!(columns(&told, "leaked").unwrap()[0], "3", "{told}");
}

/// Else whoever starts it could have it write where he must not.
#[test]
fn a_program_with_more_rights_than_its_user_reports_nothing() {
    // SAFETY: only asks.
    if unsafe { libc::getuid() } != 0 {
        println!("left out: only root can give rights away");
        return;
    }
    let file = scratch("report of others");
    let change = |command: &mut process::Command| {
        command.env("TAGHEAP_REPORT", &file);
        // SAFETY: a system call, which may be made between a fork and what follows it.
        let give_away = || match unsafe { libc::seteuid(65534) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        };
        // SAFETY: as above.
        unsafe { command.pre_exec(give_away) };
    };
    let output = ends_otherwise(change, || {
        leaks();
    });
    let is_there = fs::remove_file(&file).is_ok();
    assert!(is_done(&output), "{}", text(&output));
    assert!(!is_there);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

fn scratch(name: &str) -> PathBuf {
    env::temp_dir().join(format!("tagheap {name} {}", process::id()))
}

#[test]
fn nothing_is_reported_unless_asked_for() {
    for environment in [
        [].as_slice(),
        &[("TAGHEAP_REPORT", "0")],
        &[("TAGHEAP_REPORT", "")],
    ] {
        let output = ends(environment, || {
            leaks();
        });
        assert!(is_done(&output), "{}", text(&output));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[test]
fn what_asks_for_no_report_that_there_is_is_refused_with_a_line() {
    for asked in ["report.txt", "yes", "2", " "] {
        let output = ends(&[("TAGHEAP_REPORT", asked)], || {
            leaks();
        });
        assert!(is_done(&output), "{}", text(&output));
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "tagheap: TAGHEAP_REPORT is 1, or a path with a slash in it\n"
        );
    }
}

#[test]
fn the_table_says_what_is_held() {
    const TAG: Tag = Tag::named("table");
    let pieces = [1, 2, 3].map(|byte| Piece::take(TAG, bytes(40), byte));
    let table = HEAP.report().to_string();
    assert_eq!(
        columns(&table, "table ").unwrap(),
        ["3", "144", "65536", "65536"],
        "{table}"
    );
    let found = HEAP.holdings().find(|holding| holding.tag == TAG).unwrap();
    assert_eq!(found, holding(TAG));
    let tags: Vec<Tag> = HEAP.holdings().map(|holding| holding.tag).collect();
    assert!(tags.is_sorted() && tags.contains(&Global::UNTAGGED));
    pieces.into_iter().for_each(Piece::give_back);
    let held = holding(TAG);
    assert_eq!((held.objects, held.bytes), (0, 0));
    assert_eq!((held.held.blocks, held.held.peak), (1, 65_536));
}

#[test]
fn long_names_leave_the_columns_where_they_are() {
    let names = [
        "readers and writers, all of them",
        "Kühltürme, außen",
        "short",
    ];
    let tags = [Tag::new(77_001), Tag::new(77_002), Tag::new(77_003)];
    let pieces = tags.map(|tag| Piece::take(tag, bytes(40), 1));
    for (tag, name) in tags.into_iter().zip(names) {
        HEAP.set_name(tag, name).unwrap();
        let line = holding(tag).to_string();
        let kept: String = name.chars().take(31).collect();
        assert!(
            line.starts_with(&kept) && line.ends_with(" 65536"),
            "{line}"
        );
        assert_eq!(line.chars().count(), 20 + 11 + 3 * 15, "{line}");
    }
    let plain = holding(Tag::new(77_003)).to_string();
    assert_eq!(plain[..31], *"short                         1");
    pieces.into_iter().for_each(Piece::give_back);
    tags.iter().for_each(|tag| HEAP.set_name(*tag, "").unwrap());
}

#[test]
fn many_tags_come_in_order_until_they_are_forgotten() {
    let tags = (0..1000_u64).map(|number| Tag::new(number.reverse_bits() ^ 0x1234_5678));
    let mut tags: Vec<Tag> = tags.filter(|tag| !tag.is_reserved()).collect();
    tags.iter()
        .for_each(|tag| Piece::take(*tag, bytes(9000), 1).give_back());
    tags.sort();
    let told = || {
        let told = HEAP
            .holdings()
            .filter(|held| tags.binary_search(&held.tag).is_ok());
        told.map(|held| (held.tag, held.objects))
            .collect::<Vec<_>>()
    };
    let all: Vec<_> = tags.iter().map(|tag| (*tag, 0)).collect();
    assert_eq!(told(), all);
    // While somebody looks, too.
    let mut looking = HEAP.holdings();
    assert!(looking.next().is_some());
    tags.iter().for_each(|tag| HEAP.forget(*tag).unwrap());
    assert_eq!(told(), []);
    assert!(looking.all(|held| tags.binary_search(&held.tag).is_err()));
}

#[test]
fn what_holds_blocks_is_not_forgotten() {
    const TAG: Tag = Tag::named("kept");
    let piece = Piece::take(TAG, bytes(100_000), 1);
    HEAP.forget(TAG).unwrap();
    assert_eq!(objects(TAG), 1);
    piece.give_back();
    assert!(holding(TAG).held.peak > 100_000);
    HEAP.reset_peak(TAG).unwrap();
    assert_eq!(
        (holding(TAG).held.peak, holding(TAG).held.allocations),
        (0, 1)
    );
    HEAP.forget(TAG).unwrap();
    assert_eq!(holding(TAG).held.allocations, 0);
}

#[test]
fn a_trim_gives_the_kernel_what_is_free_at_the_end() {
    const TAG: Tag = Tag::named("trim");
    alone(|| {
        let small: Vec<_> = (0..2000)
            .map(|_| Piece::take(TAG, bytes(4000), 1))
            .collect();
        let large: Vec<_> = (0..20)
            .map(|_| Piece::take(TAG, bytes(1 << 20), 1))
            .collect();
        let least: usize = small
            .iter()
            .chain(&large)
            .map(|piece| piece.layout.size())
            .sum();
        small.into_iter().chain(large).for_each(Piece::give_back);
        let given = HEAP.trim().unwrap();
        assert!(given >= least, "{given} of {least}");
        assert_eq!((blocks(TAG), HEAP.trim()), (0, Ok(0)));
        Piece::take(TAG, bytes(least), 2).give_back();
    });
}

#[test]
fn a_purge_gives_the_kernel_what_is_free_between_others() {
    const TAG: Tag = Tag::named("purge");
    alone(|| {
        let take = |size| Piece::take(TAG, bytes(size), 3);
        let pairs: Vec<_> = (0..8).map(|_| (take(1 << 20), take(100_000))).collect();
        HEAP.trim().unwrap();
        let (large, kept): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        large.into_iter().for_each(Piece::give_back);
        let trimmed = HEAP.trim().unwrap();
        assert!(trimmed < 2 << 20, "only the end: {trimmed}");
        let purged = HEAP.purge().unwrap();
        assert!(purged > 7 << 20, "{purged}");
        kept.iter().for_each(Piece::assert_whole);
        HEAP.check().unwrap();
        take(1 << 20).give_back();
        kept.into_iter().for_each(Piece::give_back);
    });
}
