//! The workloads: the same operations for every contender.

pub(crate) mod bump;
pub(crate) mod fixed;
mod grow;
mod level;
mod pairs;
pub(crate) mod passed;
pub(crate) mod phases;
mod release;
pub(crate) mod requests;
pub(crate) mod shared;

pub(crate) use release::evict;

use crate::contender::{Contender, Outcome};
use crate::job::{Job, Workload};

/// Runs a workload on a fresh contender; `None` where it would take too long.
pub(crate) fn run<C: Contender>(job: &Job) -> Option<Outcome> {
    match job.workload {
        Workload::FirstFit | Workload::Churn | Workload::GlobalChurn => pairs::run::<C>(job),
        Workload::Release => release::run::<C>(job),
        Workload::ReleaseEmpty => release::run_empty::<C>(job),
        Workload::Level => level::run::<C>(job),
        Workload::GrowDouble | Workload::GrowStep => grow::run::<C>(job, false),
        Workload::GrowDoubleAgain | Workload::GrowStepAgain => grow::run::<C>(job, true),
        // Not of single blocks of any layout.
        _ => None,
    }
}
