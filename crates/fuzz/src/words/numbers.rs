//! Numbers of any size, and where a block fits.

use std::alloc::Layout;

use tagheap::{Fit, HEADER, Measure, SMALLEST, UNIT, Usage};

use crate::input::Input;

pub(super) fn usage(input: &mut Input) {
    let measure = if input.flag() {
        Measure::Bytes
    } else {
        Measure::Slots
    };
    let usage = Usage {
        measure,
        total: input.number() as usize,
        used: input.number() as usize,
        peak: input.number() as usize,
        allocations: input.number(),
        deallocations: input.number(),
        failures: input.number(),
    };
    assert_eq!(usage.free(), usage.total.saturating_sub(usage.used));
    assert!(usage.live() <= usage.allocations);
    let percent = (usage.used as u128 * 100).checked_div(usage.total as u128);
    assert_eq!(percent.is_none(), usage.total == 0);
    if let Some(percent) = percent.and_then(|percent| usize::try_from(percent).ok()) {
        assert_eq!(usage.percent(), percent);
    }
    assert!(!usage.to_string().contains('\n'), "{usage}");
}

pub(super) fn fit(input: &mut Input) {
    let start = input.number() as usize;
    let size = input.number() as usize;
    let align = 1 << (input.byte() % 63);
    let Ok(layout) = Layout::from_size_align(size >> 1, align) else {
        return;
    };
    let Some(fit) = Fit::of(layout) else { return };
    assert!(fit.size() >= layout.size() + HEADER && fit.align() >= layout.align());
    if let Some(at) = fit.place(start) {
        assert!(at == start || at >= start + SMALLEST);
        assert!((at + HEADER).is_multiple_of(fit.align()));
    }
    if start.is_multiple_of(UNIT) {
        let room = input.number() as usize;
        let fits = fit.end(start).is_some_and(|end| end - start <= room);
        assert_eq!(fit.fits(start, room), fits);
    }
}
