//! The number that says whose a block is.

use core::fmt;

/// Whose a block is: any 64-bit number but a few reserved ones.
///
/// A tag is made from a number or from a short name:
///
/// ```
/// use tagheap::Tag;
///
/// let request = Tag::new(4711);
/// let level = Tag::named("level");
/// assert_eq!(request.to_string(), "4711");
/// assert_eq!(level.to_string(), "level");
/// ```
///
/// The first byte of a name is the most significant one. So names sort as their text does, a prefix
/// is one range of tags, and no number below 2^56 prints as a name.
///
/// Reserved are 0, which marks free blocks, and the sixteen highest numbers, which mark blocks of
/// the heap's own. Requests under a reserved tag are refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Tag(u64);

/// The first of the sixteen highest numbers, all reserved.
const RESERVED: u64 = u64::MAX - 15;

impl Tag {
    /// The tag of free blocks.
    pub const FREE: Self = Self(0);

    /// The tag of the heap's own blocks, such as the root block.
    pub const HEAP: Self = Self(u64::MAX);

    /// The tag of a block that fences memory of somebody else who moved the program break.
    pub const FOREIGN: Self = Self(u64::MAX - 1);

    /// The tag of this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The tag of this name: up to eight printable ASCII bytes; what is longer is cut off, so `requests in` and
    /// `requests out` are one tag. For long names give numbers to tags, and names to these:
    /// [`Heap::set_name`](crate::Heap::set_name), [`Global::set_name`](crate::Global::set_name).
    ///
    /// A byte that is not printable ASCII becomes `?`; the empty name is the reserved tag 0.
    pub const fn named(name: &str) -> Self {
        let mut rest = name.as_bytes();
        let mut bytes = [0; 8];
        let mut left: &mut [u8] = &mut bytes;
        while let ([byte, further @ ..], Some((place, after))) = (rest, left.split_first_mut()) {
            *place = if is_printable(*byte) { *byte } else { b'?' };
            rest = further;
            left = after;
        }
        Self(u64::from_be_bytes(bytes))
    }

    /// The tag's number.
    #[inline]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Whether the tag is the heap's own and refused in requests.
    #[inline]
    pub const fn is_reserved(self) -> bool {
        self.0 == 0 || self.0 >= RESERVED
    }

    /// How many bytes of name the number spells: its leading printable bytes, if only zeros follow.
    fn name_length(self) -> Option<usize> {
        let bytes = self.0.to_be_bytes();
        let length = bytes.iter().take_while(|byte| is_printable(**byte)).count();
        let padded = bytes.iter().skip(length).all(|byte| *byte == 0);
        (length > 0 && padded).then_some(length)
    }
}

const fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

impl From<u64> for Tag {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.to_be_bytes();
        let name = self.name_length().and_then(|length| bytes.get(..length));
        match name.and_then(|name| str::from_utf8(name).ok()) {
            Some(name) => f.pad(name),
            None if *self == Self::FREE => f.pad("(free)"),
            None if *self == Self::HEAP => f.pad("(heap)"),
            None if *self == Self::FOREIGN => f.pad("(foreign)"),
            None if self.0 >= 1 << 56 => fmt::LowerHex::fmt(self, f),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl fmt::LowerHex for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn names_and_numbers_print_as_what_they_were_made_from() {
        for name in ["a", "A1", "level", "textures", "x y"] {
            assert_eq!(Tag::named(name).to_string(), name);
        }
        for number in [1, 2, 65, 0x4141, (1 << 56) - 1] {
            assert_eq!(Tag::new(number).to_string(), number.to_string());
        }
        assert_eq!(Tag::named("longer than eight").to_string(), "longer t");
        assert_eq!(Tag::named("caf\u{e9}").to_string(), "caf??");
    }

    #[test]
    fn names_sort_as_their_text() {
        assert!(Tag::named("a") < Tag::named("ab"));
        assert!(Tag::named("ab") < Tag::named("b"));
    }

    #[test]
    fn d04_reserved_tags_are_zero_and_the_highest_sixteen() {
        for tag in [
            Tag::FREE,
            Tag::HEAP,
            Tag::FOREIGN,
            Tag::new(u64::MAX - 15),
            Tag::named(""),
        ] {
            assert!(tag.is_reserved(), "{tag}");
        }
        for tag in [Tag::new(1), Tag::new(u64::MAX - 16), Tag::named("~~~~~~~~")] {
            assert!(!tag.is_reserved(), "{tag}");
        }
    }
}
