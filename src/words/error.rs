//! What can go wrong: no memory, misuse by the caller, damage to the heap.

use core::fmt;

use crate::words::tag::Tag;

/// Why an operation was not done. Whichever it is, nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is no memory for the request.
    OutOfMemory(OutOfMemory),
    /// The caller asked for something that makes no sense.
    Misuse(Misuse),
    /// The heap itself is damaged.
    Corruption(Corruption),
}

/// No memory for a request; it may succeed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// Whose request it was.
    pub tag: Tag,
    /// Bytes asked for.
    pub size: usize,
    /// Alignment asked for, in bytes.
    pub align: usize,
    /// What was lacking.
    pub cause: Shortage,
}

/// What was lacking for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// No address space could hold it.
    TooLarge,
    /// No free block fits, and the source of memory refused to grow.
    Refused,
    /// There is no memory for the heap's indexes.
    Index,
    /// The tag would hold more than its limit allows.
    Limit {
        /// Bytes that the tag may hold, headers included.
        limit: usize,
        /// Bytes that it holds, headers included.
        held: usize,
    },
    /// A bounded pool has not so much left, or not in one piece.
    Full {
        /// Bytes, or slots, that the pool has in all.
        total: usize,
        /// How many of them are in use; in an arena that grows, those that its chunks have taken.
        used: usize,
    },
    /// The pool serves no request so large.
    Oversized {
        /// Bytes that a request may have.
        most: usize,
    },
    /// The pool serves no request so strictly aligned.
    Overaligned {
        /// Bytes that a request may be aligned to.
        most: usize,
    },
    /// The room for a snapshot is too small.
    Tags {
        /// How many tags it has room for.
        room: usize,
        /// How many there are at least.
        tags: usize,
    },
}

/// A request that makes no sense, or a pointer that is not what the caller thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// The tag is one of the heap's own.
    ReservedTag {
        /// The tag named.
        tag: Tag,
    },
    /// The pointer lies outside the heap.
    NotFromHere {
        /// The pointer's address.
        address: usize,
    },
    /// The pointer lies in the heap, but no block's payload starts there.
    NotABlock {
        /// The pointer's address.
        address: usize,
    },
    /// The block was deallocated before.
    DoubleFree {
        /// The pointer's address.
        address: usize,
    },
    /// The block went when its tag was released.
    Released {
        /// The pointer's address.
        address: usize,
    },
    /// The layout's size is not one that this block was allocated for.
    SizeMismatch {
        /// The pointer's address.
        address: usize,
        /// Bytes the caller named.
        claimed: usize,
        /// Bytes of payload the block has.
        usable: usize,
    },
    /// The layout's alignment, or the new one, is not one this call can honour.
    AlignMismatch {
        /// The pointer's address.
        address: usize,
        /// Alignment the caller named, in bytes.
        claimed: usize,
    },
    /// The block belongs to another tag than the caller named.
    TagMismatch {
        /// The pointer's address.
        address: usize,
        /// The tag the caller named.
        claimed: Tag,
        /// Whose the block is.
        tag: Tag,
    },
    /// The mark was made so long ago that what came before and after it cannot be told apart, or what it marks is
    /// gone; or it is not from this heap or pool, as far as that shows.
    StaleMark,
    /// A resize goes the wrong way: `grow` to fewer bytes, or `shrink` to more.
    WrongWay {
        /// Bytes before.
        old: usize,
        /// Bytes asked for.
        new: usize,
    },
    /// The thread uses this heap or pool already: a signal handler, or a callback, came back to it.
    Reentered,
    /// A pool is to own a tag under which somebody else holds blocks.
    TagInUse {
        /// The tag.
        tag: Tag,
    },
    /// A piece is given back to a stack before those that were put on it later.
    OutOfOrder {
        /// The piece's address.
        address: usize,
        /// The address of the piece on top, which goes first; 0 if there is none.
        top: usize,
    },
}

/// Damage to the heap: somebody wrote where only the heap writes, or moved the break below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// A block's header is not one the heap wrote there.
    Header {
        /// The header's address.
        at: usize,
    },
    /// The root block's words disagree with the heap.
    Root {
        /// The root block's address.
        at: usize,
    },
    /// Two free blocks touch, or the last block is free, where the rule forbids it.
    Uncoalesced {
        /// The second free block's address, or the last block's.
        at: usize,
    },
    /// An index of the heap disagrees with the row.
    Index {
        /// The address of the block on which they disagree.
        at: usize,
    },
    /// The account of a tag and its blocks disagree; of [`Tag::HEAP`], all accounts together and the row.
    Account {
        /// The tag.
        tag: Tag,
    },
    /// The memory's end is below what the heap was granted: the blocks beyond are gone.
    BreakMoved {
        /// Where the granted memory ended.
        expected: usize,
        /// Where it ends now.
        found: usize,
    },
    /// What a pool notes about its memory is not what it wrote there.
    Pool {
        /// The tag that the pool owns.
        tag: Tag,
        /// The address at which it noticed.
        at: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory(error) => error.fmt(f),
            Self::Misuse(error) => error.fmt(f),
            Self::Corruption(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tag,
            size,
            align,
            cause,
        } = self;
        write!(
            f,
            "out of memory: {size} bytes aligned to {align} for tag {tag}: {cause}"
        )
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("no address space could hold them"),
            Self::Refused => f.write_str("no free block fits and the memory may not grow"),
            Self::Index => f.write_str("the heap's indexes may not grow"),
            Self::Limit { limit, held } => {
                write!(f, "the tag's limit is {limit} bytes, and it holds {held}")
            }
            Self::Full { total, used } => write!(f, "the pool is full, {used} of {total} in use"),
            Self::Oversized { most } => write!(f, "the pool serves up to {most} bytes"),
            Self::Overaligned { most } => write!(f, "the pool aligns to {most} at most"),
            Self::Tags { room, tags } => {
                write!(
                    f,
                    "the snapshot has room for {room} tags, and there are {tags}"
                )
            }
        }
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedTag { tag } => write!(f, "reserved tag: {tag:x} is the heap's own"),
            Self::NotFromHere { address } => write!(f, "not from this heap: {address:#x}"),
            Self::NotABlock { address } => {
                write!(f, "not a block: no payload starts at {address:#x}")
            }
            Self::DoubleFree { address } => {
                write!(
                    f,
                    "double free: the block at {address:#x} was deallocated before"
                )
            }
            Self::Released { address } => {
                write!(
                    f,
                    "released block: the block at {address:#x} went with its tag"
                )
            }
            Self::SizeMismatch {
                address,
                claimed,
                usable,
            } => write!(
                f,
                "size mismatch: {claimed} bytes claimed for the block at {address:#x} of {usable}, which is for another size"
            ),
            Self::AlignMismatch { address, claimed } => {
                write!(
                    f,
                    "alignment mismatch: {address:#x} is not aligned to {claimed}"
                )
            }
            Self::TagMismatch {
                address,
                claimed,
                tag,
            } => write!(
                f,
                "tag mismatch: the block at {address:#x} belongs to {tag}, not to {claimed}"
            ),
            Self::Reentered => {
                f.write_str("re-entered: this thread is using the heap or pool already")
            }
            Self::TagInUse { tag } => {
                write!(f, "tag in use: somebody else holds blocks under {tag}")
            }
            Self::OutOfOrder { address, top } => write!(
                f,
                "out of order: {address:#x} is not the top of the stack, {top:#x} is"
            ),
            Self::StaleMark => f.write_str("stale mark: too old, or not from here"),
            Self::WrongWay { old, new } => {
                write!(
                    f,
                    "wrong way: a resize from {old} to {new} bytes is the other call's"
                )
            }
        }
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header { at } => write!(f, "damaged header at {at:#x}"),
            Self::Root { at } => write!(f, "damaged root block at {at:#x}"),
            Self::Uncoalesced { at } => write!(f, "free block at {at:#x} was not coalesced"),
            Self::Index { at } => write!(f, "index and row disagree on the block at {at:#x}"),
            Self::Account { tag } => write!(f, "account and row disagree on the blocks of {tag}"),
            Self::Pool { tag, at } => write!(f, "damaged notes of the pool {tag} at {at:#x}"),
            Self::BreakMoved { expected, found } => write!(
                f,
                "break moved below the heap: granted up to {expected:#x}, found at {found:#x}"
            ),
        }
    }
}

// Its line is that of the error within, which is no source: reporters would print it twice.
impl core::error::Error for Error {}
impl core::error::Error for OutOfMemory {}
impl core::error::Error for Misuse {}
impl core::error::Error for Corruption {}

impl From<OutOfMemory> for Error {
    fn from(error: OutOfMemory) -> Self {
        Self::OutOfMemory(error)
    }
}

impl From<Misuse> for Error {
    fn from(error: Misuse) -> Self {
        Self::Misuse(error)
    }
}

impl From<Corruption> for Error {
    fn from(error: Corruption) -> Self {
        Self::Corruption(error)
    }
}

#[cfg(test)]
mod tests {
    use core::error::Error as _;
    use std::string::ToString;

    use super::*;

    /// As reporters print an error: its line, and that of each error behind it.
    #[test]
    fn an_error_says_once_what_happened() {
        let shortage = OutOfMemory {
            tag: Tag::new(7),
            size: 8,
            align: 1,
            cause: Shortage::Limit {
                limit: 100,
                held: 96,
            },
        };
        let line = "out of memory: 8 bytes aligned to 1 for tag 7: the tag's limit is 100 bytes, and it holds 96";
        for (error, line) in [
            (Error::from(shortage), line),
            (
                Misuse::StaleMark.into(),
                "stale mark: too old, or not from here",
            ),
            (
                Corruption::Root { at: 16 }.into(),
                "damaged root block at 0x10",
            ),
        ] {
            assert_eq!(error.to_string(), line);
            assert!(error.source().is_none(), "{line}");
        }
    }

    #[test]
    fn a_wrong_size_within_the_block_is_named_as_one() {
        let (address, claimed, usable) = (0x1000, 51, 64);
        let misuse = Misuse::SizeMismatch {
            address,
            claimed,
            usable,
        };
        let line = "size mismatch: 51 bytes claimed for the block at 0x1000 of 64, which is for another size";
        assert_eq!(misuse.to_string(), line);
    }
}
