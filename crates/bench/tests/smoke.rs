//! Every workload runs, quickly.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn all_workloads_run_and_are_reported() {
    let plots = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plots");
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args([
            "all",
            "--quick",
            "--rounds",
            "5",
            "--markdown",
            "--json",
            "--plot",
        ])
        .arg(&plots)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");

    for workload in [
        "limits",
        "first-fit",
        "churn",
        "release",
        "release-empty",
        "grow-double",
        "grow-double-again",
        "grow-step",
        "grow-step-again",
        "fixed-lifo",
        "fixed-random",
        "fixed-burst",
        "fixed-lifo-shared",
        "fixed-random-shared",
        "fixed-burst-shared",
        "fixed-passed",
        "global-churn",
        "global-lifo",
        "global-random",
        "global-lifo-shared",
        "global-random-shared",
        "global-passed",
        "bump",
        "phases",
        "requests",
        "start",
        "programs",
    ] {
        assert!(
            text.contains(&format!("**{workload}**")),
            "{workload} in\n{text}"
        );
    }
    assert!(text.contains("| tagheap's goals "), "{text}");
    assert!(
        text.lines().any(|line| line.starts_with("{\"cases\"")),
        "{text}"
    );
    for (plot, own) in [("first-fit", "tagheap"), ("bump", "Bump")] {
        let plot = fs::read_to_string(plots.join(plot).with_extension("svg")).unwrap();
        assert!(plot.contains(own));
    }
}

#[test]
fn fewer_than_five_rounds_are_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["limits", "--rounds", "4"])
        .output()
        .unwrap();
    assert!(!output.status.success());
}

#[test]
fn what_is_missing_is_said_in_one_line() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["start", "--quick"])
        .env_remove("CARGO")
        .env("PATH", "")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("gcc missing"), "{said}");
    let errors = String::from_utf8(output.stderr).unwrap();
    let errors: Vec<_> = errors.lines().collect();
    assert!(
        matches!(errors[..], [line] if line.starts_with("bench: cargo: ")),
        "{errors:?}"
    );
}

#[test]
fn whole_programs_need_gcc_and_libraries_that_can_be_loaded() {
    let bench = |path: Option<&str>, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
        command.args(["programs", "--quick"]).args(arguments);
        if let Some(path) = path {
            command.env("PATH", path);
        }
        command.output().unwrap()
    };
    let without = bench(Some(""), &[]);
    assert!(without.status.success());
    let said = String::from_utf8(without.stdout).unwrap();
    assert!(said.contains("programs: gcc missing"), "{said}");

    let refused = bench(None, &["--library", "./libmissing.so"]);
    assert!(!refused.status.success());
    let errors = String::from_utf8(refused.stderr).unwrap();
    let errors: Vec<_> = errors.lines().collect();
    assert!(
        matches!(errors[..], [line] if line.starts_with("bench: ./libmissing.so: ")),
        "{errors:?}"
    );
}

#[test]
fn whoever_can_has_huge_pages_if_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["churn", "--quick", "--rounds", "5", "--huge-pages"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}
