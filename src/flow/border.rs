//! Borders: when a row that began at a given time ends.
//! In: the beginning of a row. Out: the first time that belongs to the next.
//! Time: packet timestamps. Nearly all rows that are asked for began in one window, which is remembered: a division for every
//! packet would be dear, and the end of its row in every record eight bytes.

use super::config::FlowConfig;
use crate::units::{DurationNs, TimestampNs};

/// Ends of rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Borders {
    window: DurationNs,
    active: DurationNs,
    /// Start and end of the window that was asked for last.
    latest: [TimestampNs; 2],
}

impl Borders {
    pub(super) fn new(config: &FlowConfig) -> Self {
        Self { window: config.window, active: config.timeouts.active, latest: [TimestampNs::ZERO; 2] }
    }

    /// When a row ends at the latest; none where only its flow's end ends it.
    #[inline]
    pub(super) fn row_end(&mut self, start: TimestampNs) -> Option<TimestampNs> {
        let active_end = match self.active {
            DurationNs::ZERO => TimestampNs::MAX,
            active => start.after(active),
        };
        Some(self.window_end(start).min(active_end)).filter(|&end| end != TimestampNs::MAX)
    }

    /// When the window that holds a time ends.
    #[inline]
    pub(super) fn window_end(&mut self, ts: TimestampNs) -> TimestampNs {
        let [start, end] = self.latest;
        if start <= ts && ts < end {
            return end;
        }
        self.other_window_end(ts)
    }

    fn other_window_end(&mut self, ts: TimestampNs) -> TimestampNs {
        match self.window {
            DurationNs::ZERO => self.latest = [TimestampNs::ZERO, TimestampNs::MAX],
            window => {
                let start = ts.slot_start(window);
                self.latest = [start, start.after(window)];
            }
        }
        self.latest[1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::config::Timeouts;

    #[test]
    fn a_row_ends_with_its_window_or_its_time() {
        // Window, longest row, beginnings and ends.
        type Case = (u64, u64, &'static [(u64, Option<u64>)]);
        let cases: [Case; 4] = [
            (60, 0, &[(0, Some(60)), (59, Some(60)), (60, Some(120)), (3, Some(60)), (u64::MAX, None)]),
            (60, 10, &[(0, Some(10)), (55, Some(60)), (61, Some(71)), (0, Some(10))]),
            (0, 10, &[(0, Some(10)), (1000, Some(1010))]),
            (0, 0, &[(0, None), (1000, None)]),
        ];
        for (window, active, rows) in cases {
            let timeouts = Timeouts { active: DurationNs(active), ..Timeouts::default() };
            let config = FlowConfig { window: DurationNs(window), timeouts, ..FlowConfig::default() };
            let mut borders = Borders::new(&config);
            for &(start, wanted) in rows {
                let found = borders.row_end(TimestampNs(start));
                assert_eq!(found, wanted.map(TimestampNs), "window {window}, active {active}, from {start}");
            }
        }
    }
}
