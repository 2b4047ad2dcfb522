//! Tags' names, and those of their accounts.

use tagheap::{Name, Tag};

use crate::input::Input;

/// Bytes that a tag spells, and those of an account's name.
const SPELLED: usize = 8;
const KEPT: usize = 31;

fn text(input: &Input) -> String {
    String::from_utf8_lossy(input.rest()).into_owned()
}

pub(super) fn tag(input: &mut Input) {
    let text = text(input);
    let tag = Tag::named(&text);
    let bytes = text.bytes().take(SPELLED);
    let spelled: String = bytes
        .map(|byte| match byte {
            b' '..=b'~' => char::from(byte),
            _ => '?',
        })
        .collect();
    if spelled.is_empty() {
        assert_eq!(tag, Tag::FREE);
    } else {
        assert_eq!(tag.to_string(), spelled);
        assert!(!tag.is_reserved(), "{tag}");
    }
    assert!(format!("{tag:>20}").chars().count() >= 20);

    let mut number = [0; 8];
    for (byte, of_input) in number.iter_mut().zip(input.rest()) {
        *byte = *of_input;
    }
    let tag = Tag::new(u64::from_le_bytes(number));
    // Names have a byte at the top, or are of letters from the top down.
    if tag.number() < 1 << 56 && !tag.is_reserved() {
        assert_eq!(tag.to_string().parse(), Ok(tag.number()));
    }
}

pub(super) fn account(input: &mut Input) {
    let text = text(input);
    let mut kept = String::new();
    for letter in text.chars() {
        if kept.len() + letter.len_utf8() > KEPT {
            break;
        }
        kept.push(if letter.is_ascii_control() {
            '?'
        } else {
            letter
        });
    }
    assert_eq!(Name::new(&text).as_str(), kept);
}
