//! A difference is found, shown, and shortened: a heap with a planted fault is the proof.

use std::time::Duration;

use tagheap::Split;
use tagheap_trace::{Generator, Mix, Model, Op, Piece, Subject, Trace, compare, shorten};

use crate::subjects;

/// The model, but releasing tag 2 forgets its largest block.
struct Forgetful(Model);

impl Subject for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }

    fn refuse(&mut self, refused: bool) {
        self.0.refuse(refused);
    }

    fn allocate(&mut self, tag: u64, size: usize, align: usize) -> Option<usize> {
        self.0.allocate(tag, size, align)
    }

    fn deallocate(&mut self, offset: usize) -> bool {
        self.0.deallocate(offset)
    }

    fn release(&mut self, tag: u64) -> Option<usize> {
        if tag != 2 {
            return self.0.release(tag);
        }
        let mut pieces = Vec::new();
        self.0.pieces(&mut pieces);
        pieces.retain(|piece: &Piece| piece.tag == tag);
        pieces.sort_by_key(|piece| piece.size);
        let count = pieces.len();
        for piece in pieces.iter().take(count.max(1) - 1) {
            self.0.deallocate(piece.offset + 32);
        }
        Some(count)
    }

    fn pieces(&self, list: &mut Vec<Piece>) {
        self.0.pieces(list);
    }

    fn draw(&self) -> String {
        self.0.draw()
    }
}

fn with_forgetful() -> Vec<Box<dyn Subject>> {
    let mut all = subjects(1 << 20, Split);
    all.push(Box::new(Forgetful(Model::new(1 << 20, true))));
    all
}

#[test]
fn a_planted_fault_is_found_drawn_and_shortened_to_two_operations() {
    let trace = Trace(Generator::new(5, Mix::default()).take(3_000).collect());
    let difference = compare(&trace, with_forgetful(), 1).unwrap_err();
    let picture = difference.to_string();
    for name in ["twin:", "scan:", "model:", "forgetful:"] {
        assert!(picture.contains(name), "{picture}");
    }

    let fails = |trace: &Trace| compare(trace, with_forgetful(), 1).is_err();
    let short = shorten(trace, Duration::from_secs(60), fails);
    let ops: Vec<Op> = short.0.iter().map(|step| step.op).collect();
    let [Op::Allocate { tag: 2, .. }, Op::Release { tag: 2 }] = ops[..] else {
        panic!("not as short as can be:\n{short}");
    };
}
