//! This process's mappings, as the kernel tells them.

use core::ops::Range;
use std::fs;

/// One of them.
pub(crate) struct Mapping {
    pub(crate) addresses: Range<usize>,
    flags: String,
}

impl Mapping {
    /// Whether it has a flag: two letters, as proc(5) has them.
    pub(crate) fn has_flag(&self, flag: &str) -> bool {
        self.flags.split_ascii_whitespace().any(|one| one == flag)
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Mapping> {
    let number = |text| usize::from_str_radix(text, 16).ok();
    let mut all = Vec::new();
    let mut addresses = 0..0;
    for line in fs::read_to_string("/proc/self/smaps").unwrap().lines() {
        let first = line.split_ascii_whitespace().next().unwrap();
        if let Some((from, to)) = first.split_once('-')
            && let Some((from, to)) = number(from).zip(number(to))
        {
            addresses = from..to;
        } else if let Some(flags) = line.strip_prefix("VmFlags:") {
            all.push(Mapping {
                addresses: addresses.clone(),
                flags: flags.into(),
            });
        }
    }
    all
}

/// The one in which an address lies.
pub(crate) fn at(address: usize) -> Mapping {
    let mut around = all().into_iter();
    let found = around.find(|mapping| mapping.addresses.contains(&address));
    found.unwrap()
}
