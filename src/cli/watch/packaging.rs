//! What ships beside the binary, inside it: the systemd unit and the Grafana dashboard.

/// The unit, for `/etc/systemd/system/trawlwatch.service`.
pub const UNIT: &str = include_str!("trawlwatch.service");
/// The dashboard, for Grafana's import.
pub const DASHBOARD: &str = include_str!("grafana.json");

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cli::watch::board::Board;
    use crate::cli::watch::metrics::{Form, exposition};
    use crate::pipeline::live::Gauges;

    #[test]
    fn the_dashboard_shows_metrics_that_exist() {
        let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).expect("JSON");
        let board = Board::new(Arc::new(Gauges::new(["eth0".to_owned()], 1)), vec![("lines", Arc::default())]);
        board.view().reload = Some((true, 0));
        let metrics = exposition(&board, Form::Prometheus);
        let panels = dashboard["panels"].as_array().expect("panels");
        assert!(panels.len() >= 8);
        for target in panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets")) {
            let expression = target["expr"].as_str().expect("an expression");
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            for word in expression.split(|c| !is_word(c)) {
                if word.starts_with("trawlwatch_") || word.starts_with("process_") {
                    let family = word.strip_suffix("_bucket").unwrap_or(word);
                    assert!(metrics.contains(&format!("# TYPE {family} ")), "{word} in {expression}");
                }
            }
        }
    }
}
