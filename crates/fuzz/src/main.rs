//! Runs a harness on inputs in files, one after the other.
//!
//! ```text
//! TAGHEAP_TELL=1 cargo run -p tagheap-fuzz -- heap FILE...
//! ```

use std::process::ExitCode;

use tagheap_fuzz::HARNESSES;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some((_, harness)) = HARNESSES.iter().find(|(other, _)| *other == name) else {
        let names = HARNESSES.map(|(name, _)| name).join("|");
        eprintln!("usage: tagheap-fuzz {names} FILE...");
        return ExitCode::from(2);
    };
    for file in arguments {
        match std::fs::read(&file) {
            Ok(data) => harness(&data),
            Err(error) => {
                eprintln!("tagheap-fuzz: {file}: {error}");
                return ExitCode::from(2);
            }
        }
        println!("{file}: nothing was found");
    }
    ExitCode::SUCCESS
}
