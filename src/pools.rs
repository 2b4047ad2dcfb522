//! Floor 6, pools: kinds of memory over the heap, a tag each.
//!
//! Every kind holds a [`Pool`](pool::Pool), which owns its tag, and takes chunks from it. What is common to
//! them is the trait [`Kind`](kind::Kind); what a user puts in them, [`Typed`](typed::Typed).

pub(crate) mod bit_tree;
pub(crate) mod book;
pub(crate) mod buddy;
pub(crate) mod bump;
pub(crate) mod chunk;
pub(crate) mod classes;
pub(crate) mod drawing;
pub(crate) mod fixed;
pub(crate) mod flags;
pub(crate) mod free_list;
pub(crate) mod kind;
pub(crate) mod lock_free;
pub(crate) mod locked;
pub(crate) mod meter;
pub(crate) mod orders;
pub(crate) mod pool;
pub(crate) mod priority;
pub(crate) mod region;
pub(crate) mod sets;
pub(crate) mod shape;
pub(crate) mod size_classes;
pub(crate) mod slots;
pub(crate) mod stack;
pub(crate) mod stride;
pub(crate) mod timed;
pub(crate) mod treiber;
pub(crate) mod typed;
