//! What is measured: a workload of a size.

use clap::{Args, ValueEnum};
use serde::Serialize;

/// What contenders are made to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Workload {
    /// Every second of n blocks freed, then pairs of a free and an allocation, 16 to 512 bytes.
    FirstFit,
    /// Random frees and allocations with n blocks alive, 16 to 4096 bytes.
    Churn,
    /// One of n pools of blocks of 16 to 128 bytes, which lie shuffled, is freed.
    Release,
    /// A tag without blocks is released.
    ReleaseEmpty,
    /// A vector doubles to 64 MiB of untouched memory.
    GrowDouble,
    /// The same once more after it was freed.
    GrowDoubleAgain,
    /// A vector grows by 16 KiB to 16 MiB of untouched memory.
    GrowStep,
    /// The same once more after it was freed.
    GrowStepAgain,
    /// What the machine allows.
    Limits,
}

impl Workload {
    /// What an allocator that frees and grows single blocks can be made to do.
    pub(crate) const OF_BLOCKS: &[Self] = &[
        Self::FirstFit,
        Self::Churn,
        Self::Release,
        Self::GrowDouble,
        Self::GrowDoubleAgain,
        Self::GrowStep,
        Self::GrowStepAgain,
    ];
}

/// One measurement.
#[derive(Clone, Debug, Args)]
pub(crate) struct Job {
    #[arg(long)]
    pub(crate) workload: Workload,
    /// Blocks or pools.
    #[arg(long)]
    pub(crate) n: usize,
    /// Where the random sizes and victims come from; the same for all contenders.
    #[arg(long)]
    pub(crate) seed: u64,
    /// Whether fewer operations will do.
    #[arg(long)]
    pub(crate) quick: bool,
}

impl Job {
    /// Operations: all, or few where it shall be quick.
    pub(crate) fn operations(&self, all: usize) -> usize {
        if self.quick { all.div_ceil(20) } else { all }
    }

    /// The source of random numbers, in the same state each time.
    pub(crate) fn random(&self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed)
    }
}
