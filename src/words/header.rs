//! The 32 bytes in front of every payload, and the word that guards them.

use memoffset::offset_of;

use crate::words::error::Corruption;
use crate::words::size::{SMALLEST, UNIT};
use crate::words::tag::Tag;

/// The header of a block.
///
/// ```text
/// offset   0        8        16       24      28      32                   size
///          ├ in_use ┼ size ──┼ tag ───┼ slot ─┼ check ┼ payload ... ────────┤
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Header {
    /// 1 while somebody holds the block, 0 while it is free.
    pub in_use: u64,
    /// Bytes of the whole block, header included.
    pub size: u64,
    /// Whose the block is; [`Tag::FREE`] while it is free.
    pub tag: Tag,
    /// Of a free block: how it became free, see [`Freed`]. Of a block in use: kept for an index.
    pub slot: u32,
    /// A keyed mix of the header's address and its other words.
    pub check: u32,
}

const _: () = assert!(size_of::<Header>() == 32);
const _: () = assert!(offset_of!(Header, in_use) == 0);
const _: () = assert!(offset_of!(Header, size) == 8);
const _: () = assert!(offset_of!(Header, tag) == 16);
const _: () = assert!(offset_of!(Header, slot) == 24);
const _: () = assert!(offset_of!(Header, check) == 28);

/// How a block became free; kept in its header, so that a late free of it gets a clear message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freed {
    /// It was never handed out, or was deallocated on its own.
    Alone,
    /// It went with all the others of its tag.
    WithItsTag,
}

impl Freed {
    #[inline]
    pub(crate) const fn slot(self) -> u32 {
        match self {
            Self::Alone => 0,
            Self::WithItsTag => 1,
        }
    }

    #[inline]
    pub(crate) const fn from_slot(slot: u32) -> Self {
        match slot {
            1 => Self::WithItsTag,
            _ => Self::Alone,
        }
    }
}

/// The secret in every check word of a heap.
///
/// It keeps accidents and stale bytes from passing as headers. It is not a cryptographic code: somebody
/// who can read the heap and knows this crate can compute check words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key {
    words: [u64; 3],
    /// What the tag of free blocks adds to a mix.
    free: u64,
    /// The multipliers of a mix. They lie here, where the rest of the key does, for a multiply to take them
    /// from memory: as constants, each takes an instruction of ten bytes before.
    multipliers: [u64; 4],
}

/// Odd, and without a pattern.
const MULTIPLIERS: [u64; 4] = [
    0x9e37_79b9_7f4a_7c15,
    0xc2b2_ae3d_27d4_eb4f,
    0xd6e8_feb8_6659_fd93,
    0xff51_afd7_ed55_8ccd,
];

impl Key {
    /// A known key, for replaying a run to the last bit.
    pub const FIXED: Self = Self::from_seed(0);

    /// The key that follows from `seed`, by three steps of Steele, Lea and Flood's SplitMix64.
    #[inline]
    pub const fn from_seed(seed: u64) -> Self {
        let words = [split_mix(seed, 1), split_mix(seed, 2), split_mix(seed, 3)];
        let key = Self {
            words,
            free: 0,
            multipliers: MULTIPLIERS,
        };
        let free = key.tag(Tag::FREE);
        Self { free, ..key }
    }

    /// What a tag adds to a mix.
    #[inline]
    const fn tag(self, tag: Tag) -> u64 {
        let [.., k2] = self.words;
        let [_, _, m2, _] = self.multipliers;
        (tag.number() ^ k2).wrapping_mul(m2).rotate_left(43)
    }
}

impl core::fmt::Debug for Key {
    #[inline]
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Key(..)")
    }
}

#[inline]
const fn split_mix(seed: u64, step: u64) -> u64 {
    let mut z = seed.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The tag of free blocks.
const FREE: u64 = Tag::FREE.number();

impl Header {
    /// The sealed header of a block in use at address `at`.
    #[inline]
    pub(crate) const fn used(at: usize, size: usize, tag: Tag, slot: u32, key: Key) -> Self {
        let mut header = Self {
            in_use: 1,
            size: size as u64,
            tag,
            slot,
            check: 0,
        };
        header.check = header.mix(at, key, key.tag(tag));
        header
    }

    /// The sealed header of a free block at address `at`.
    #[inline]
    pub(crate) const fn free(at: usize, size: usize, freed: Freed, key: Key) -> Self {
        let slot = freed.slot();
        let mut header = Self {
            in_use: 0,
            size: size as u64,
            tag: Tag::FREE,
            slot,
            check: 0,
        };
        header.check = header.mix(at, key, key.free);
        header
    }

    /// The header as it lies in memory, to be stored in pieces no smaller than those it is loaded in: what a
    /// processor has just stored in two pieces, it cannot load in one until both are done.
    #[inline]
    pub(crate) const fn words(self) -> [u64; 4] {
        let last = self.slot as u64 | (self.check as u64) << 32;
        [self.in_use, self.size, self.tag.number(), last]
    }

    /// Three odd multiplies, rotated and xored, then spread once more and folded to 32 bits; `tag` is what
    /// the tag adds to that.
    ///
    /// The slot shares a word with `in_use`, in bits that are zero in every valid header. The last
    /// multiply spreads flips of high bits, which one multiply alone would leave in one place.
    #[inline(always)]
    const fn mix(self, at: usize, key: Key, tag: u64) -> u32 {
        let [k0, k1, _] = key.words;
        let [m0, m1, _, m3] = key.multipliers;
        let state = self.in_use ^ ((self.slot as u64) << 32);
        let a = (at as u64 ^ state ^ k0).wrapping_mul(m0);
        let b = (self.size ^ k1).wrapping_mul(m1);
        let x = a ^ b.rotate_left(21) ^ tag;
        (((x ^ (x >> 32)).wrapping_mul(m3)) >> 32) as u32
    }

    /// Whether the check word belongs to this header at address `at`.
    #[inline(always)]
    pub fn is_sealed(&self, at: usize, key: Key) -> bool {
        self.in_use <= 1 && self.check == self.mix(at, key, key.tag(self.tag))
    }

    /// Whether this is the sealed header of a free block of `size` bytes at address `at`. Without a branch.
    #[inline]
    pub(crate) fn is_free(&self, at: usize, size: usize, key: Key) -> bool {
        let differs = self.in_use | (self.size ^ size as u64) | (self.tag.number() ^ FREE);
        let seal = self.check ^ self.mix(at, key, key.free);
        differs | u64::from(seal) == 0
    }

    /// Whether the block is in use.
    #[inline]
    pub fn is_used(&self) -> bool {
        self.in_use != 0
    }

    /// Refuses a header that cannot be a block's at `at` in a row that ends at `end`.
    ///
    /// The check word is compared where the key is known. What is left without it: the words
    /// themselves (a state, a size of whole units within the row, and free blocks without a tag).
    ///
    /// # Errors
    ///
    /// [`Corruption::Header`] with the header's address.
    #[inline(always)]
    pub fn verify(&self, at: usize, end: usize, key: Option<Key>) -> Result<(), Corruption> {
        let left = end.saturating_sub(at) as u64;
        let whole = self.size.is_multiple_of(UNIT as u64) && self.size >= SMALLEST as u64;
        let belongs = self.is_used() || self.tag == Tag::FREE;
        let sealed = key.is_none_or(|key| self.is_sealed(at, key));
        if self.in_use <= 1 && whole && self.size <= left && belongs && sealed {
            Ok(())
        } else {
            Err(Corruption::Header { at })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(header: Header) -> [u64; 4] {
        let last = u64::from(header.slot) | u64::from(header.check) << 32;
        [header.in_use, header.size, header.tag.number(), last]
    }

    fn header(words: [u64; 4]) -> Header {
        Header {
            in_use: words[0],
            size: words[1],
            tag: Tag::new(words[2]),
            slot: words[3] as u32,
            check: (words[3] >> 32) as u32,
        }
    }

    fn flip(words: [u64; 4], bit: usize) -> [u64; 4] {
        let mut words = words;
        words[bit / 64] ^= 1 << (bit % 64);
        words
    }

    fn samples() -> impl Iterator<Item = (usize, Key, Header)> {
        (0..24).map(|n| {
            let key = Key::from_seed(n);
            let at = 0x5555_0000_1000 + 48 * n as usize;
            let size = 48 + 16 * (n as usize * n as usize);
            match n % 2 {
                0 => (
                    at,
                    key,
                    Header::used(at, size, Tag::new(n + 1), n as u32 * 7, key),
                ),
                _ => (at, key, Header::free(at, size, Freed::WithItsTag, key)),
            }
        })
    }

    #[test]
    fn e01_every_flip_of_one_bit_is_found() {
        for (at, key, sealed) in samples() {
            assert!(sealed.is_sealed(at, key));
            for bit in 0..256 {
                assert!(
                    !header(flip(bits(sealed), bit)).is_sealed(at, key),
                    "bit {bit} of {sealed:?}"
                );
            }
        }
    }

    #[test]
    fn e03_every_flip_of_two_bits_is_found() {
        for (at, key, sealed) in samples() {
            for first in 0..256 {
                let once = flip(bits(sealed), first);
                for second in 0..first {
                    let twice = header(flip(once, second));
                    assert!(
                        !twice.is_sealed(at, key),
                        "bits {first} and {second} of {sealed:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn e02_a_sealed_header_passes_at_its_own_address_only() {
        for (at, key, sealed) in samples() {
            for distance in (16..4096).step_by(16) {
                assert!(!sealed.is_sealed(at + distance, key));
                assert!(!sealed.is_sealed(at - distance, key));
            }
        }
    }
}
