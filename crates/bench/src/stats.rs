//! Medians and spread.

/// The middle of the values; the mean of the two in the middle of an even number; NaN of none.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values {
        [] => f64::NAN,
        _ if values.len().is_multiple_of(2) => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

/// How some values are spread: the least, the greatest, the median, and between which two the middle half lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
    pub(crate) middle: (f64, f64),
}

impl Spread {
    /// Of these values; `None` of none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<_> = values.into_iter().collect();
        let median = median(&mut values);
        Some(Self {
            median,
            least: *values.first()?,
            greatest: *values.last()?,
            middle: (
                *values.get(values.len() / 4)?,
                *values.get((values.len() - 1) - values.len() / 4)?,
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_of_the_sorted_values() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&mut [7.0]), 7.0);
        assert!(median(&mut []).is_nan());
    }

    #[test]
    fn the_middle_half_leaves_a_quarter_out_at_each_end() {
        let middle = |count: u32| Spread::of((0..count).map(f64::from)).unwrap().middle;
        assert_eq!(middle(1), (0.0, 0.0));
        assert_eq!(middle(4), (1.0, 2.0));
        assert_eq!(middle(7), (1.0, 5.0));
        assert_eq!(middle(100), (25.0, 74.0));
    }

    #[test]
    fn the_spread_goes_from_least_to_greatest() {
        let spread = Spread::of([5.0, 1.0, 3.0]).unwrap();
        assert_eq!(
            (spread.least, spread.median, spread.greatest),
            (1.0, 3.0, 5.0)
        );
        assert_eq!(Spread::of([]), None);
    }
}
