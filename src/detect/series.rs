//! Series: what two rates over time have in common once slow change is taken out.
//! In: numbers by slot. Out: residuals, correlations, how evenly they hold. Nothing here knows a technique.

/// Slots of the moving mean that counts as slow change.
const SLOW_SLOTS: usize = 31;

/// Lags over which a series is compared with itself.
const WORTH_LAGS: usize = 20;

/// What is left of a series.
#[derive(Clone, Debug)]
pub struct High {
    /// Residuals, in the series' order.
    pub series: Vec<f64>,
}

/// Square roots (so that a burst of a thousand times does not drown all else), less their moving mean: a day's rhythm, a
/// trend, an evening's peak are gone.
pub fn high_pass(values: &[f64]) -> High {
    let roots: Vec<f64> = values.iter().map(|v| v.max(0.0).sqrt()).collect();
    let mut sums = Vec::with_capacity(roots.len() + 1);
    sums.push(0.0);
    for root in &roots {
        sums.push(sums[sums.len() - 1] + root);
    }
    let half = SLOW_SLOTS / 2;
    let series = (0..roots.len())
        .map(|t| {
            let (from, to) = (t.saturating_sub(half), (t + half + 1).min(roots.len()));
            roots[t] - (sums[to] - sums[from]) / (to - from) as f64
        })
        .collect();
    High { series }
}

/// The series turned around a circle: entry `t` is what was at `t + by`.
pub fn shifted(values: &[f64], by: isize) -> Vec<f64> {
    let len = values.len() as isize;
    (0..len).map(|t| values[(t + by).rem_euclid(len.max(1)) as usize]).collect()
}

/// Pearson's correlation, -1 to 1; 0 where one of the two never changes.
pub fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len().min(y.len()) as f64;
    if n < 2.0 {
        return 0.0;
    }
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(y) {
        let (a, b) = (a - mean_x, b - mean_y);
        xy += a * b;
        xx += a * a;
        yy += b * b;
    }
    let scale = (xx * yy).sqrt();
    if scale > 0.0 { (xy / scale).clamp(-1.0, 1.0) } else { 0.0 }
}

/// How many independent values two series are worth together: bursts that last make many slots say one thing (Bartlett
/// 1935). At least 4, at most their length.
pub fn worth(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len().min(y.len());
    let together: f64 = (1..=WORTH_LAGS.min(n / 4)).map(|by| own(x, by) * own(y, by)).sum();
    (n as f64 / (1.0 + 2.0 * together.max(0.0))).clamp(4.0, n.max(4) as f64)
}

/// Correlation of a series with itself, `by` slots later.
fn own(values: &[f64], by: usize) -> f64 {
    correlation(&values[..values.len() - by], &values[by..])
}

/// The share of `blocks` equal parts in which the correlation reaches `least`.
pub fn blocks_that_agree(x: &[f64], y: &[f64], blocks: usize, least: f64) -> f64 {
    let part = (x.len() / blocks.max(1)).max(2);
    let agreeing = x.chunks_exact(part).zip(y.chunks_exact(part)).map(|(x, y)| correlation(x, y) >= least);
    let of = (x.len() / part).max(1);
    agreeing.filter(|agrees| *agrees).count() as f64 / of as f64
}

/// How many standard deviations a correlation is worth, by Fisher's transformation over what the two series are worth.
pub fn deviations(x: &[f64], y: &[f64]) -> f64 {
    correlation(x, y).clamp(-0.999_999, 0.999_999).atanh() * (worth(x, y) - 3.0).sqrt()
}

/// Two series without that of `blocks` equal parts which says most for their agreement: a burst that both happen to have is
/// in one part, and what follows follows in the others too.
pub fn without_best_part(x: &[f64], y: &[f64], blocks: usize) -> [Vec<f64>; 2] {
    let part = x.len().div_ceil(blocks.max(1)).max(1);
    let says = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(a, b)| a * b).sum::<f64>();
    let parts = x.chunks(part).zip(y.chunks(part)).map(|(x, y)| says(x, y)).enumerate();
    let best = parts.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at * part);
    [x, y].map(|all| all.iter().take(best).chain(all.iter().skip(best + part)).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look like nothing (SplitMix64).
    fn noise(n: u64) -> f64 {
        let mixed = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 40) as f64
    }

    #[test]
    fn slow_change_goes_and_bursts_stay() {
        let slow: Vec<f64> = (0..400).map(|t| (10.0 + (f64::from(t) / 60.0).sin() * 5.0).powi(2)).collect();
        let left = high_pass(&slow).series;
        assert!(left[20..380].iter().all(|v| v.abs() < 0.3), "a rhythm is slow change");
        let mut burst = vec![100.0; 400];
        burst[200] = 10_000.0;
        assert!(high_pass(&burst).series[200] > 80.0);
    }

    #[test]
    fn a_slow_series_is_worth_less() {
        let noise: Vec<f64> = (0..240).map(noise).collect();
        let slow: Vec<f64> = (0..240).map(|t| noise[t / 12]).collect();
        assert!(worth(&noise, &noise) > 200.0, "{}", worth(&noise, &noise));
        assert!(worth(&slow, &slow) < 60.0, "{}", worth(&slow, &slow));
        assert_eq!(worth(&[], &[]), 4.0);
    }

    #[test]
    fn correlations_and_their_parts() {
        let x: Vec<f64> = (0..120).map(noise).collect();
        assert!((correlation(&x, &x) - 1.0).abs() < 1e-12);
        assert_eq!(correlation(&x, &vec![3.0; 120]), 0.0);
        assert!((correlation(&x, &shifted(&shifted(&x, 7), -7)) - 1.0).abs() < 1e-12);
        assert!(correlation(&x, &shifted(&x, 31)).abs() < 0.4);
        assert_eq!(blocks_that_agree(&x, &x, 6, 0.9), 1.0);
        // One burst that meets is no agreement.
        let (mut a, mut b) = (vec![1.0; 120], vec![1.0; 120]);
        (a[50], b[50]) = (100.0, 100.0);
        assert!(correlation(&a, &b) > 0.99 && blocks_that_agree(&a, &b, 6, 0.25) < 0.2);
        assert_eq!(shifted(&[], 3), Vec::<f64>::new());
    }

    #[test]
    fn a_burst_that_meets_is_worth_nothing_without_its_part() {
        let (mut a, mut b): (Vec<f64>, Vec<f64>) =
            (0..120).map(|t| (noise(t) / 1e7 - 0.8, noise(t + 500) / 1e7 - 0.8)).unzip();
        (a[50], b[50]) = (40.0, 40.0);
        assert!(deviations(&a, &b) > 10.0, "{}", deviations(&a, &b));
        let [a_rest, b_rest] = without_best_part(&a, &b, 6);
        assert_eq!((a_rest.len(), b_rest.len()), (100, 100));
        assert!(deviations(&a_rest, &b_rest).abs() < 2.5, "{}", deviations(&a_rest, &b_rest));
        let [left, same] = without_best_part(&a[..40], &a[..40], 6);
        assert!(deviations(&left, &same) > 10.0);
        assert_eq!(without_best_part(&[], &[], 6), [Vec::<f64>::new(), Vec::new()]);
    }
}
