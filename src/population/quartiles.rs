//! Quartiles: how alike a few numbers are, whatever their scale.
//! In: a list of finite numbers. Out: quartiles and two ratios of them. Bounds: none of its own.

/// The quartiles of a list (type 7 of Hyndman and Fan 1996, as R and spreadsheets have them).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quartiles {
    /// A quarter lies below.
    pub lower: f64,
    /// Half lies below.
    pub median: f64,
    /// Three quarters lie below.
    pub upper: f64,
}

impl Quartiles {
    /// Of a list; none where it is empty.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let at = |q: f64| {
            let rank = q * (values.len() as f64 - 1.0);
            let (low, share) = (rank.floor() as usize, rank.fract());
            let (a, b) = (values.get(low)?, values.get(low + 1).or(values.get(low))?);
            Some(a + (b - a) * share)
        };
        Some(Self { lower: at(0.25)?, median: at(0.5)?, upper: at(0.75)? })
    }

    /// Quartile coefficient of dispersion (Q3 − Q1)/(Q3 + Q1): 0 all alike, 1 at the most for numbers that are not negative
    /// (Bonett 2006). 0 where both are 0.
    pub fn dispersion(&self) -> f64 {
        match self.upper + self.lower {
            sum if sum > 0.0 => ((self.upper - self.lower) / sum).clamp(0.0, 1.0),
            _ => 0.0,
        }
    }

    /// Bowley's skew (Q1 + Q3 − 2·Q2)/(Q3 − Q1), −1 to 1; 0 where the quartiles fall together.
    pub fn skew(&self) -> f64 {
        match self.upper - self.lower {
            range if range > 0.0 => ((self.lower + self.upper - 2.0 * self.median) / range).clamp(-1.0, 1.0),
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_as_by_hand() {
        assert_eq!(Quartiles::of(Vec::new()), None);
        let table = [
            (vec![5.0], (5.0, 5.0, 5.0), 0.0, 0.0),
            (vec![4.0, 1.0, 3.0, 2.0], (1.75, 2.5, 3.25), 0.3, 0.0),
            (vec![0.0, 0.0, 0.0], (0.0, 0.0, 0.0), 0.0, 0.0),
            (vec![1.0, 1.0, 1.0, 9.0, 9.0], (1.0, 1.0, 9.0), 0.8, 1.0),
        ];
        for (values, (lower, median, upper), dispersion, skew) in table {
            let found = Quartiles::of(values.clone()).expect("values");
            assert_eq!(found, Quartiles { lower, median, upper }, "{values:?}");
            assert!(
                (found.dispersion() - dispersion).abs() < 1e-12 && (found.skew() - skew).abs() < 1e-12,
                "{values:?}"
            );
        }
    }
}
