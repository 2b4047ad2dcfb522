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
    /// Half of n objects of 16 to 512 bytes stay; the others, loaded behind them under a tag of their own, go at once.
    Level,
    /// A vector doubles to 64 MiB of untouched memory.
    GrowDouble,
    /// The same once more after it was freed.
    GrowDoubleAgain,
    /// A vector grows by 16 KiB to 16 MiB of untouched memory.
    GrowStep,
    /// The same once more after it was freed.
    GrowStepAgain,
    /// n slots of 64 bytes in use; the one put in last is freed, another taken.
    FixedLifo,
    /// The same, a random one freed.
    FixedRandom,
    /// n slots are taken, then freed from the last to the first.
    FixedBurst,
    /// As `fixed-lifo`, two threads on one pool, each with half of the slots.
    FixedLifoShared,
    /// As `fixed-random`, two threads on one pool, each with half of the slots.
    FixedRandomShared,
    /// As `fixed-burst`, two threads on one pool, each with half of the slots.
    FixedBurstShared,
    /// One thread takes slots and another frees them; up to n are on the way.
    FixedPassed,
    /// As `churn`, by allocators for whole programs, called through `GlobalAlloc`.
    GlobalChurn,
    /// As `fixed-lifo`, by the same.
    GlobalLifo,
    /// As `fixed-random`, by the same.
    GlobalRandom,
    /// As `fixed-lifo-shared`, by the same.
    GlobalLifoShared,
    /// As `fixed-random-shared`, by the same.
    GlobalRandomShared,
    /// As `fixed-passed`, by the same.
    GlobalPassed,
    /// n objects of 16 to 512 bytes one behind the other, then a reset.
    Bump,
    /// n objects of 16 to 512 bytes in eight pools side by side, which then go one after the other.
    Phases,
    /// A pool for n objects of 16 to 1024 bytes, which then goes.
    Requests,
    /// What the machine allows.
    Limits,
}

impl Workload {
    /// What an allocator that frees and grows single blocks can be made to do.
    pub(crate) const OF_BLOCKS: &[Self] = &[
        Self::FirstFit,
        Self::Churn,
        Self::Release,
        Self::Level,
        Self::GrowDouble,
        Self::GrowDoubleAgain,
        Self::GrowStep,
        Self::GrowStepAgain,
    ];

    /// What pools of slots for one thread can be made to do.
    pub(crate) const OF_SLOTS: &[Self] = &[Self::FixedLifo, Self::FixedRandom, Self::FixedBurst];

    /// What pools of slots for several threads can be made to do.
    pub(crate) const OF_SHARED_SLOTS: &[Self] = &[
        Self::FixedLifo,
        Self::FixedRandom,
        Self::FixedBurst,
        Self::FixedLifoShared,
        Self::FixedRandomShared,
        Self::FixedBurstShared,
        Self::FixedPassed,
    ];

    /// What allocators for whole programs can be made to do.
    pub(crate) const OF_GLOBAL: &[Self] = &[
        Self::GlobalChurn,
        Self::GlobalLifo,
        Self::GlobalRandom,
        Self::GlobalLifoShared,
        Self::GlobalRandomShared,
        Self::GlobalPassed,
    ];

    /// Those of them with slots of 64 bytes.
    pub(crate) const OF_GLOBAL_SLOTS: &[Self] = &[
        Self::GlobalLifo,
        Self::GlobalRandom,
        Self::GlobalLifoShared,
        Self::GlobalRandomShared,
        Self::GlobalPassed,
    ];

    /// Whether several threads take part.
    pub(crate) const fn is_shared(self) -> bool {
        matches!(
            self,
            Self::FixedLifoShared
                | Self::FixedRandomShared
                | Self::FixedBurstShared
                | Self::FixedPassed
                | Self::GlobalLifoShared
                | Self::GlobalRandomShared
                | Self::GlobalPassed
        )
    }

    /// Whether one thread takes slots and another frees them.
    pub(crate) const fn is_passed(self) -> bool {
        matches!(self, Self::FixedPassed | Self::GlobalPassed)
    }

    /// Whether it is for allocators of whole programs.
    pub(crate) fn is_global(self) -> bool {
        Self::OF_GLOBAL.contains(&self)
    }

    /// Whether it is one of those of slots.
    pub(crate) fn is_of_slots(self) -> bool {
        Self::OF_SHARED_SLOTS.contains(&self) || Self::OF_GLOBAL_SLOTS.contains(&self)
    }

    /// Which slot is freed next.
    pub(crate) const fn order(self) -> Order {
        match self {
            Self::FixedRandom
            | Self::FixedRandomShared
            | Self::GlobalRandom
            | Self::GlobalRandomShared => Order::Random,
            Self::FixedBurst | Self::FixedBurstShared => Order::Burst,
            _ => Order::Lifo,
        }
    }

    /// Whether both stand in one table over all sizes.
    pub(crate) fn is_beside(self, other: Self) -> bool {
        self == other
            || (self.is_of_slots()
                && other.is_of_slots()
                && self.is_global() == other.is_global()
                && self.is_shared() == other.is_shared())
    }
}

/// In which order slots are freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The last one taken, then another is taken.
    Lifo,
    /// A random one, then another is taken.
    Random,
    /// All are taken, then all freed, the last one first.
    Burst,
}

/// One measurement.
#[derive(Clone, Debug, Args)]
pub(crate) struct Job {
    #[arg(long)]
    pub(crate) workload: Workload,
    /// Blocks, slots, objects or pools.
    #[arg(long)]
    pub(crate) n: usize,
    /// Where the random sizes and victims come from; the same for all contenders.
    #[arg(long)]
    pub(crate) seed: u64,
    /// Whether fewer operations will do.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Whether memory is to lie in huge pages.
    #[arg(long)]
    pub(crate) huge_pages: bool,
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
