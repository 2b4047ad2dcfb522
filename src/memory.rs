//! Floor 2, memory: the one place that reads and writes the row of blocks.

pub(crate) mod block;
pub(crate) mod root;
pub(crate) mod row;
