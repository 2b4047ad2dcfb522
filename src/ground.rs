//! Floor 1, ground: system calls, and the sources a heap's memory comes from.

pub(crate) mod clock;
pub(crate) mod fatal;
pub(crate) mod lanes;
pub(crate) mod prefetch;
pub(crate) mod source;
pub(crate) mod sys;
pub(crate) mod table;
