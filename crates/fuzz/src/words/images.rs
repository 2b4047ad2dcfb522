//! Copies of rows, damaged in every way: a walk ends, and tells no block that is not there.

use std::cell::Cell;

use tagheap::{Bytes, Drawing, HEADER, Header, Image, SMALLEST, Table, Tag, UNIT, Walk};

use crate::input::Input;

/// Bytes of a copy at most.
const MOST: usize = 4096;

/// Headers that an image of anything has, and bytes up to which all of it is drawn.
const HEADERS: usize = 20_000;
const DRAWN: usize = 1 << 14;

/// An address, now and then at the end of all.
fn base(input: &mut Input) -> usize {
    let base = input.word() << (input.byte() % 48);
    match input.byte() {
        0..10 => usize::MAX - base,
        10..20 => base,
        _ => base & !(UNIT - 1),
    }
}

/// Bytes that have headers where they may be.
fn row(input: &mut Input) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !input.is_empty() && bytes.len() < MOST {
        let byte = input.byte();
        if byte >= 200 {
            bytes.push(byte);
            continue;
        }
        let in_use = u64::from(byte & 1);
        let size = match input.byte() {
            0 => u64::MAX - 15,
            units => u64::from(units) % 12 * 16,
        };
        let is_untagged = in_use == 0 && byte & 2 == 0;
        let tag = if is_untagged { 0 } else { u64::from(byte) };
        for word in [in_use, size, tag, 0] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        let payload = size.saturating_sub(HEADER as u64).min(600) as usize;
        bytes.resize(bytes.len() + payload, 0);
    }
    bytes
}

pub(super) fn of_bytes(input: &mut Input) {
    let base = base(input);
    let bytes = row(input);
    let image = Bytes::new(base, &bytes);
    let blocks: Vec<_> = Walk::new(image).collect();
    assert!(blocks.len() <= bytes.len() / SMALLEST + 1);
    for block in blocks.iter().flatten() {
        assert!(block.at >= base && block.end() <= image.end(), "{block}");
        assert_eq!(block.usable(), block.size - HEADER);
        assert_eq!(block.payload(), block.at + HEADER);
        assert!(!block.to_string().is_empty());
    }
    let drawing = Drawing(image).to_string();
    let is_damaged = blocks.iter().any(Result::is_err);
    assert_eq!(drawing.contains("damaged"), is_damaged, "{drawing}");
    assert!(Table(image).to_string().lines().count() >= 2);
    for at in [
        base.wrapping_add(1),
        base.wrapping_sub(1),
        usize::MAX,
        image.end(),
    ] {
        let has_all = at >= base && at.saturating_add(HEADER) <= image.end();
        assert!(image.header(at).is_none() || has_all, "{at:#x}");
    }
}

/// An image whose headers say anything.
struct Anything<'a> {
    base: usize,
    end: usize,
    data: &'a [u8],
    asked: Cell<usize>,
}

impl Image for Anything<'_> {
    fn base(&self) -> usize {
        self.base
    }

    fn end(&self) -> usize {
        self.end
    }

    fn header(&self, at: usize) -> Option<Header> {
        self.asked.set(self.asked.get() + 1);
        if self.data.is_empty() || self.asked.get() > HEADERS {
            return None;
        }
        let byte = u64::from(self.data[at / UNIT % self.data.len()]);
        let is_untagged = byte & 0x81 == 0;
        (byte != 0).then_some(Header {
            in_use: byte & 1,
            size: (byte >> 1) * UNIT as u64,
            tag: Tag::new(if is_untagged { 0 } else { byte }),
            slot: 0,
            check: 0,
        })
    }
}

pub(super) fn of_anything(input: &mut Input) {
    let base = input.word() << (input.byte() % 50);
    let length = input.word() << (input.byte() % 50);
    let image = Anything {
        base,
        end: base.wrapping_add(length),
        data: input.rest(),
        asked: Cell::new(0),
    };
    if length > DRAWN {
        let _ = Walk::new(&image).take(HEADERS).count();
        return;
    }
    assert!(Walk::new(&image).count() <= length / SMALLEST + 1);
    image.asked.set(0);
    let _ = Drawing(&image).to_string();
    image.asked.set(0);
    assert!(Table(&image).to_string().lines().count() >= 2);
}
