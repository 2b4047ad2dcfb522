//! What tagheap shall reach, and whether it did.

use serde::Serialize;

use crate::contender::Role;
use crate::job::Workload;
use crate::measure::{Case, Series, title};

/// A bound on a figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Goal {
    pub(crate) workload: String,
    /// What the figure says.
    pub(crate) what: String,
    pub(crate) bound: Bound,
    /// `None` where it could not be measured.
    pub(crate) figure: Option<f64>,
}

/// Which figures are good enough.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    pub(crate) fn is_met(&self) -> Option<bool> {
        let figure = self.figure?;
        Some(match self.bound {
            Bound::AtMost(bound) => figure <= bound,
            Bound::AtLeast(bound) => figure >= bound,
        })
    }
}

const OWN: &str = "tagheap";
const GLOBAL: &str = "Global";
const TWIN: &str = "assembly twin";

/// The peer to which a workload's times are compared; `None`: the fastest peer.
pub(crate) const fn reference(workload: Workload) -> Option<&'static str> {
    match workload {
        Workload::FirstFit | Workload::Churn => Some("dlmalloc"),
        Workload::Release => Some("talc"),
        Workload::ReleaseEmpty => Some(TWIN),
        Workload::FixedLifo | Workload::FixedRandom | Workload::FixedBurst => Some("slab"),
        Workload::FixedLifoShared
        | Workload::FixedRandomShared
        | Workload::FixedBurstShared
        | Workload::FixedPassed => Some("heapless"),
        _ => None,
    }
}

/// The series to which a case's times are compared.
pub(crate) fn reference_of(case: &Case) -> Option<&Series> {
    match reference(case.workload) {
        Some(name) => case.series(name),
        None => best_peer(case),
    }
}

fn best_peer(case: &Case) -> Option<&Series> {
    let peers = case
        .series
        .iter()
        .filter(|series| series.role == Role::Peer);
    let timed = peers.filter_map(|series| Some((series.spread()?.median, series)));
    Some(timed.min_by(|a, b| a.0.total_cmp(&b.0))?.1)
}

/// The goals of a case.
pub(crate) fn goals(case: &Case) -> Vec<Goal> {
    let over_reference = reference_of(case).and_then(|other| case.ratio(OWN, other.contender));
    let over_twin = case.ratio(OWN, TWIN);
    let goal = |what: String, bound, figure| Goal {
        workload: title(case.workload),
        what,
        bound,
        figure,
    };
    let n = case.n;
    match case.workload {
        Workload::FirstFit => first_fit(case, over_reference, over_twin),
        Workload::Churn => {
            let footprint = case.series(OWN).and_then(|own| own.median(|o| o.footprint));
            vec![
                goal(
                    "time over dlmalloc's".into(),
                    Bound::AtMost(1.5),
                    over_reference,
                ),
                goal(
                    "footprint over live bytes".into(),
                    Bound::AtMost(1.25),
                    footprint,
                ),
            ]
        }
        Workload::Release => vec![
            goal(
                "time over talc's, one by one".into(),
                Bound::AtMost(1.2),
                over_reference,
            ),
            goal(
                "times faster than the twin".into(),
                Bound::AtLeast(400.0),
                over_twin.map(f64::recip),
            ),
            heaps(case, "mimalloc v2", Bound::AtMost(1.0)),
            goal(
                "SizeClasses: resident over live bytes".into(),
                Bound::AtMost(1.3),
                case.series("SizeClasses")
                    .and_then(|own| own.median(|o| o.resident)),
            ),
        ],
        Workload::ReleaseEmpty => {
            vec![goal(
                format!("ns, {n} other tags"),
                Bound::AtMost(20.0),
                case.median(OWN),
            )]
        }
        Workload::FixedLifo | Workload::FixedRandom => pools(
            case,
            &[
                ("Fixed", "slab"),
                ("LockFree", "heapless"),
                ("Buddy", "buddy_system_allocator"),
            ],
        ),
        Workload::FixedBurst
        | Workload::FixedLifoShared
        | Workload::FixedRandomShared
        | Workload::FixedBurstShared
        | Workload::FixedPassed => pools(case, &[("LockFree", "heapless")]),
        Workload::Bump => pools(case, &[("Bump", "bumpalo"), ("Bump", "bump-scope")]),
        Workload::Phases if n <= 1000 => pools(case, &[("SizeClasses", "bumpalo")]),
        Workload::Phases => best_peer(case).map_or_else(Vec::new, |best| {
            pools(case, &[("SizeClasses", best.contender)])
        }),
        Workload::Requests => vec![
            goal(
                "SizeClasses' time over bumpalo's, reset".into(),
                Bound::AtMost(1.2),
                case.ratio("SizeClasses", "bumpalo, reset"),
            ),
            heaps(case, "mimalloc", Bound::AtMost(0.1)),
        ],
        // Nobody set one for levels.
        Workload::Limits | Workload::Level => Vec::new(),
        workload if workload.is_global() => global(case),
        _ => vec![goal(
            "time over the best peer's".into(),
            Bound::AtMost(1.1),
            over_reference,
        )],
    }
}

/// The allocator for whole programs beside the best of its peers; nothing where it is not there.
fn global(case: &Case) -> Vec<Goal> {
    let Some(own) = case.series(GLOBAL) else {
        return Vec::new();
    };
    let is_churn = case.workload == Workload::GlobalChurn;
    let goal = |what: String, bound, figure| Goal {
        workload: title(case.workload),
        what,
        bound: Bound::AtMost(bound),
        figure,
    };
    let time = best_peer(case).and_then(|peer| case.ratio(GLOBAL, peer.contender));
    let what = format!("{GLOBAL}'s time over the best peer's, n = {}", case.n);
    let mut goals = vec![goal(what, if is_churn { 1.0 } else { 1.1 }, time)];
    if is_churn {
        let what = format!("{GLOBAL}: resident over live bytes");
        goals.push(goal(what, 1.15, own.median(|outcome| outcome.resident)));
    }
    goals
}

/// Pools of size classes beside mimalloc's heaps: of one version, which may not be there, or of whichever is.
fn heaps(case: &Case, whose: &str, bound: Bound) -> Goal {
    let is_heaps = |series: &&Series| series.contender.starts_with(whose);
    let peer = case.series.iter().find(is_heaps);
    Goal {
        workload: title(case.workload),
        what: format!("SizeClasses' time over {whose}'s heaps'"),
        bound,
        figure: peer.and_then(|peer| case.ratio("SizeClasses", peer.contender)),
    }
}

/// Kinds of pools, each beside a peer of its own kind: at most as slow.
fn pools(case: &Case, pairs: &[(&str, &str)]) -> Vec<Goal> {
    let goal = |(own, peer): &(&str, &str)| Goal {
        workload: title(case.workload),
        what: format!("{own}'s time over {peer}'s, n = {}", case.n),
        bound: Bound::AtMost(1.0),
        figure: case.ratio(own, peer),
    };
    pairs.iter().map(goal).collect()
}

/// Two steps: near dlmalloc's time up to 100,000 blocks and far from the twin's; then dlmalloc's own time.
fn first_fit(case: &Case, over_dlmalloc: Option<f64>, over_twin: Option<f64>) -> Vec<Goal> {
    let n = case.n;
    let goal = |what: String, bound, figure| Goal {
        workload: title(case.workload),
        what,
        bound,
        figure,
    };
    let time = format!("time over dlmalloc's, n = {n}");
    let mut goals = Vec::new();
    if n <= 100_000 {
        goals.push(goal(time.clone(), Bound::AtMost(1.3), over_dlmalloc));
    }
    if n == 100_000 {
        let figure = over_twin.map(f64::recip);
        let what = format!("times faster than the twin, n = {n}");
        goals.push(goal(what, Bound::AtLeast(1000.0), figure));
    }
    goals.push(goal(
        format!("then: {time}"),
        Bound::AtMost(1.0),
        over_dlmalloc,
    ));
    goals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::Outcome;

    /// A case in which each took so long, and gained memory of 1.2 times what lives.
    fn case(workload: Workload, times: &[(&'static str, Role, f64)]) -> Case {
        let series = times.iter().map(|(contender, role, time)| Series {
            contender,
            role: *role,
            outcomes: vec![Outcome {
                resident: Some(1.2),
                ..Outcome::new(*time, 1, 1)
            }],
            gave_up: false,
        });
        Case {
            workload,
            n: 100,
            series: series.collect(),
        }
    }

    const PEERS: [(&str, Role, f64); 3] = [
        ("one", Role::Peer, 30.0),
        ("another", Role::Peer, 20.0),
        ("limit", Role::Limit, 1.0),
    ];

    #[test]
    fn an_allocator_that_is_not_there_has_no_goals() {
        for workload in Workload::OF_GLOBAL {
            assert_eq!(goals(&case(*workload, &PEERS)), []);
        }
    }

    #[test]
    fn heaps_of_another_version_say_nothing() {
        let own = ("SizeClasses", Role::Own, 30.0);
        let figure = |workload, heaps, bound| {
            let case = case(workload, &[own, (heaps, Role::Peer, 20.0)]);
            let goals = goals(&case);
            let goal = goals.iter().find(|goal| goal.bound == Bound::AtMost(bound));
            goal.unwrap().figure
        };
        let [v2, v3] = ["mimalloc v2 heaps", "mimalloc v3 heaps"];
        assert_eq!(figure(Workload::Release, v2, 1.0), Some(1.5));
        assert_eq!(figure(Workload::Release, v3, 1.0), None);
        assert_eq!(figure(Workload::Requests, v2, 0.1), Some(1.5));
        assert_eq!(figure(Workload::Requests, v3, 0.1), Some(1.5));
    }

    #[test]
    fn an_allocator_is_held_against_the_best_peer() {
        let met = |workload, time| -> Vec<_> {
            let times = [&PEERS[..], &[(GLOBAL, Role::Own, time)]].concat();
            let goals = goals(&case(workload, &times));
            goals.iter().map(|goal| goal.is_met().unwrap()).collect()
        };
        for workload in Workload::OF_GLOBAL_SLOTS {
            assert_eq!(met(*workload, 21.9), [true]);
            assert_eq!(met(*workload, 22.1), [false]);
        }
        assert_eq!(met(Workload::GlobalChurn, 19.9), [true, false]);
        assert_eq!(met(Workload::GlobalChurn, 20.1), [false, false]);
    }
}
