//! How a call of the header's ends.

use heap::{Error, Misuse};

/// The header's number for it. C may hand any back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Status(u32);

impl Status {
    pub(crate) const OK: Self = Self(0);
    const NO_MEMORY: Self = Self(2);
    pub(crate) const RESERVED_TAG: Self = Self(16);
    const REENTERED: Self = Self(26);
    pub(crate) const OUT_OF_ORDER: Self = Self(28);
    pub(crate) const NULL: Self = Self(32);
    pub(crate) const BAD_TEXT: Self = Self(36);
    const DAMAGED: Self = Self(48);
    pub(crate) const NOT_WRITTEN: Self = Self(65);
}

impl From<Result<(), Self>> for Status {
    fn from(answer: Result<(), Self>) -> Self {
        answer.err().unwrap_or(Self::OK)
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::OutOfMemory(_) => Self::NO_MEMORY,
            Error::Misuse(Misuse::Reentered) => Self::REENTERED,
            // Of what else is misuse, nothing is asked here but the tag.
            Error::Misuse(_) => Self::RESERVED_TAG,
            Error::Corruption(_) => Self::DAMAGED,
        }
    }
}
