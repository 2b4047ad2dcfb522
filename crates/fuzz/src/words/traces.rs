//! Traces: what is printed is read again, and heaps of every make answer them alike.

use tagheap::{Directory, Rule, Scan, Split, Whole};
use tagheap_trace::{Ground, HeapSubject, Model, Op, Step, Subject, Trace, TwinSubject, compare};

use crate::input::Input;

/// Steps of a trace at most.
const STEPS: usize = 400;

/// Bytes for the subjects of a trace that is text.
const ROOM: usize = 1 << 20;

/// Any operations, on few places.
fn trace(input: &mut Input) -> Trace {
    let mut steps = Vec::new();
    while !input.is_empty() && steps.len() < STEPS {
        let how = input.byte();
        let op = op(how, input);
        let refused = how % 16 == 3;
        steps.push(Step { op, refused });
    }
    Trace(steps)
}

fn op(how: u8, input: &mut Input) -> Op {
    let place = u32::from(input.byte() % 24);
    let tag = match how >> 5 {
        0 => u64::MAX - u64::from(input.byte() % 20),
        1 => 0,
        number => u64::from(number),
    };
    match how % 8 {
        0..5 => Op::Allocate {
            place,
            tag,
            size: match input.byte() {
                0..3 => usize::MAX >> (input.byte() % 60),
                _ => input.size(if how & 8 == 0 { 9 } else { 19 }),
            },
            align: input.align().min(Ground::ALIGN / 2),
        },
        5 | 6 => Op::Deallocate { place },
        _ => Op::Release { tag },
    }
}

fn assert_alike<R: Rule + 'static>(trace: &Trace, bytes: usize, rule: R, images_every: usize) {
    let heap = HeapSubject::new("heap", bytes, rule, Directory::new());
    let scan = HeapSubject::new("scan", bytes, rule, Scan);
    let mut subjects: Vec<Box<dyn Subject>> = vec![
        Box::new(Model::new(bytes, R::SPLITS)),
        Box::new(heap.unwrap()),
        Box::new(scan.unwrap()),
    ];
    // Whoever interprets the program knows no assembly.
    if !cfg!(miri) {
        subjects.push(Box::new(TwinSubject::wait(bytes, rule)));
    }
    if let Err(difference) = compare(trace, subjects, images_every) {
        panic!("{difference}\n{trace}");
    }
}

/// Reads text, and runs what it says.
fn read(text: &str) {
    match text.parse::<Trace>() {
        Ok(trace) => {
            assert_eq!(trace.to_string().parse(), Ok(trace.clone()));
            let first = trace.0.into_iter().take(STEPS / 2).collect();
            let first = Trace(first);
            assert_alike(&first, ROOM, Split, 1);
            assert_alike(&first, ROOM, Whole, 7);
        }
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
}

pub(super) fn text(input: &mut Input) {
    read(&String::from_utf8_lossy(input.rest()));
}

/// The text of a trace with a few letters changed.
pub(super) fn mutated(input: &mut Input) {
    let changes: Vec<(usize, u8)> = (0..input.byte() % 4)
        .map(|_| (input.word(), input.byte()))
        .collect();
    let mut text = trace(input).to_string().into_bytes();
    for (place, byte) in changes {
        if let Some(length) = text.len().checked_sub(1) {
            text[place % (length + 1)] = byte;
        }
    }
    read(&String::from_utf8_lossy(&text));
}

pub(super) fn compared(input: &mut Input) {
    let bytes = input.word() * 16 + usize::from(input.byte());
    let splits = !input.flag();
    let trace = trace(input);
    assert_eq!(trace.to_string().parse(), Ok(trace.clone()));
    if splits {
        assert_alike(&trace, bytes, Split, 1);
    } else {
        assert_alike(&trace, bytes, Whole, 1);
    }
}
