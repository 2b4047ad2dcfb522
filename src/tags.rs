//! Floor 4, tags: what the heap knows of each tag, and which blocks are its.

pub(crate) mod account;
pub(crate) mod accounts;
pub(crate) mod ledger;
pub(crate) mod list;
