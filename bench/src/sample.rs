//! The arithmetic of what is reported.

use std::time::Duration;

/// Figures of one kind, in no order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Of these figures.
    pub fn new(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        Self(figures)
    }

    /// Of these times, in milliseconds.
    pub fn millis(times: impl IntoIterator<Item = Duration>) -> Self {
        Self::new(times.into_iter().map(|time| time.as_secs_f64() * 1000.0))
    }

    /// How many figures there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The middle one, or between the two middle ones; not a number where there is none.
    pub fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match (self.0.get(middle), self.0.len() % 2) {
            (None, _) => f64::NAN,
            (Some(upper), 0) => f64::midpoint(self.0[middle - 1], *upper),
            (Some(middle), _) => *middle,
        }
    }

    /// The smallest figure that at least this many thousandths of all do not exceed. `None` where less than two figures
    /// lie beyond it: then it tells of single events, not of the service.
    pub fn per_mille(&self, thousandths: usize) -> Option<f64> {
        let rank = (self.0.len() * thousandths).div_ceil(1000).max(1);
        (self.0.len() >= rank + 2).then(|| self.0[rank - 1])
    }
}

/// The median of the ratios of the turns: subject and yardstick of one turn met the same machine.
pub fn median_ratio(turns: &[(f64, f64)]) -> f64 {
    Sample::new(turns.iter().map(|(subject, yardstick)| subject / yardstick)).median()
}

/// A count that is far below 2^52, for the arithmetic.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
pub fn number(count: u64) -> f64 {
    count as f64
}

/// So many in this time, a second.
pub fn rate(count: u64, took: Duration) -> f64 {
    number(count) / took.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        assert!(Sample::new([]).median().is_nan());
        for (figures, median) in [(vec![3.0], 3.0), (vec![9.0, 1.0, 2.0], 2.0), (vec![4.0, 1.0, 9.0, 2.0], 3.0)] {
            assert_eq!(Sample::new(figures).median().total_cmp(&median), std::cmp::Ordering::Equal);
        }
    }

    #[test]
    fn a_percentile_is_a_figure_that_was_measured() {
        let sample = Sample::new((1..=1000).rev().map(f64::from));
        assert_eq!([500, 990, 998].map(|at| sample.per_mille(at)), [Some(500.0), Some(990.0), Some(998.0)]);
        assert_eq!(sample.per_mille(999), None, "one figure lies beyond it");
        assert_eq!(Sample::new((1..=2000).map(f64::from)).per_mille(999), Some(1998.0));
        assert_eq!(Sample::new([1.0, 2.0]).per_mille(500), None);
        assert_eq!(Sample::new([]).per_mille(500), None);
    }

    #[test]
    fn a_slow_turn_does_not_bend_the_ratio() {
        // In the second turn the machine was busy: a tenth of everything.
        assert!((median_ratio(&[(80.0, 100.0), (8.0, 10.0), (84.0, 100.0)]) - 0.8).abs() < 1e-9);
    }

    #[test]
    fn a_rate_is_of_a_second() {
        assert!((rate(300, Duration::from_millis(1500)) - 200.0).abs() < 1e-9);
        assert_eq!(Sample::millis([Duration::from_micros(2500)]).median().to_string(), "2.5");
    }
}
