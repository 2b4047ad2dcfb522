//! The heap, its assembly twin and the naive model place every block at the same address.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod drawn;
mod exhaustive;
mod random;
mod refused;

use tagheap::{Directory, Placement, Rule, Scan, Split, Whole};
use tagheap_trace::{HeapSubject, Model, Subject, TwinSubject};

/// Every subject under a rule: the twin, the heap with each placement, the model.
fn subjects<R: Rule + 'static>(bytes: usize, rule: R) -> Vec<Box<dyn Subject>> {
    vec![
        Box::new(TwinSubject::wait(bytes, rule)),
        heap("scan", bytes, rule, Scan),
        heap("directory", bytes, rule, Directory::new()),
        Box::new(Model::new(bytes, R::SPLITS)),
    ]
}

fn heap<R: Rule + 'static, P: Placement + 'static>(
    name: &'static str,
    bytes: usize,
    rule: R,
    placement: P,
) -> Box<dyn Subject> {
    Box::new(HeapSubject::new(name, bytes, rule, placement).unwrap())
}

/// Runs a check under both rules.
macro_rules! under_both_rules {
    ($($name:ident),* $(,)?) => {
        mod whole {
            $(#[test] fn $name() { super::$name(crate::Whole); })*
        }
        mod split {
            $(#[test] fn $name() { super::$name(crate::Split); })*
        }
    };
}
use under_both_rules;
