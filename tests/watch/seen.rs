//! What a run shows of itself: metrics that count what was sent, health, and what sampling takes from a finding.

use super::net::{Net, folder, shipped};
use super::program::Watch;

#[test]
fn metrics_count_what_was_sent_and_sampling_shows_in_findings() {
    let Some(net) = Net::new(&["tcpreplay", "curl"]) else { return };
    assert!(net.ip(&["link", "set", "lo", "up"]));
    let folder = folder();
    let (capture, policy) = shipped("mirroring", folder.path());
    let policy = policy.to_str().expect("UTF-8");
    let options = ["--format", "json", "--window", "1s", "--policy", policy, "--sampling", "10"];
    let watch = Watch::start(&net, &[&options[..], &["--metrics", "127.0.0.1:9477"]].concat());
    let ask = |path: &str, accept: &str| {
        let url = format!("http://127.0.0.1:9477{path}");
        let out =
            net.command("curl").args(["-s", "-w", "%{http_code}", "-H", accept, &url]).output().expect("curl starts");
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    watch.wait_for("readiness", |_| ask("/readyz", "accept: */*").ends_with("200"));
    assert!(ask("/healthz", "accept: */*").ends_with("200"));
    let sent = net.send(&capture, &["--multiplier", "600"]);
    let counted = format!("trawlwatch_capture_packets_total{{interface=\"vb\",queue=\"0\"}} {sent}\n");
    watch.wait_for("the count", |_| ask("/metrics", "accept: */*").contains(&counted));
    watch.wait_for("a finding", |_| ask("/metrics", "accept: */*").contains("technique=\"traffic-mirroring\""));
    let open = ask("/metrics", "accept: application/openmetrics-text");
    assert!(open.contains("# TYPE trawlwatch_capture_packets counter\n") && open.contains("# EOF\n"), "{open}");
    assert!(open.contains("trawlwatch_stage_duration_seconds_bucket{stage=\"batch\",le=\"+Inf\"}"), "{open}");
    let news = watch.stop().news();
    assert!(!news.is_empty());
    for line in news {
        let evidence = line["trawl"]["evidence"].as_array().expect("reasons");
        let confidence = evidence.iter().find(|one| one["feature"] == "capture_confidence").expect("said");
        assert_eq!(confidence["value"], 0.1, "{line}");
        assert!(line["trawl"]["explanation"].as_str().is_some_and(|text| text.contains("one packet in 10")), "{line}");
    }
}
