//! Floor 6, pools: kinds of memory over the heap, a tag each.
//!
//! Every kind holds a [`Pool`](pool::Pool), which owns its tag, and takes chunks from it. What is common to
//! them is the trait [`Kind`](kind::Kind); what a user puts in them, [`Typed`](typed::Typed).

pub(crate) mod bump;
pub(crate) mod chunk;
pub(crate) mod kind;
pub(crate) mod meter;
pub(crate) mod pool;
pub(crate) mod size_classes;
pub(crate) mod typed;
