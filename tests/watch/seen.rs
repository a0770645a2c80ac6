//! What a run shows of itself: metrics that count what was sent, health, and what sampling takes from a finding.

use std::io::Write;
use std::process::{Command, Stdio};

use super::net::{Net, find, folder, shipped, validators};
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
    let plain = ask("/metrics", "accept: */*");
    // curl has put the status behind it.
    heard_by_promtool(plain.strip_suffix("200").expect("the status"));
    let open = ask("/metrics", "accept: application/openmetrics-text");
    assert!(open.contains("# TYPE trawlwatch_capture_packets counter\n") && open.contains("# EOF\n"), "{open}");
    heard_by_openmetrics(open.strip_suffix("200").expect("the status"));
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

/// `promtool check metrics` has nothing to say about them, and would.
fn heard_by_promtool(metrics: &str) {
    let Some(promtool) = find("promtool") else {
        println!("not run: promtool is missing; `make promtool` installs it");
        return;
    };
    let check = |text: &str| fed(Command::new(&promtool).args(["check", "metrics"]), text);
    let (is_clean, said) = check(metrics);
    assert!(is_clean && said.trim().is_empty(), "promtool: {said}");
    assert!(metrics.contains("trawlwatch_findings_total{technique="), "findings are among what was checked: {metrics}");
    let without_help = metrics.replacen("# HELP trawlwatch_windows_total", "# note", 1);
    assert!(!check(&without_help).0, "a metric without help is refused");
}

/// Prometheus' own reader of OpenMetrics takes them, and would not take them without their end.
fn heard_by_openmetrics(metrics: &str) {
    const READ: &str = "import sys; from prometheus_client.openmetrics.parser import text_string_to_metric_families as families; \
                        print(len(list(families(sys.stdin.read()))))";
    let python = validators().join("python");
    let has_it = Command::new(&python).args(["-c", "import prometheus_client"]).output();
    if !has_it.is_ok_and(|out| out.status.success()) {
        println!("not run: {} has no prometheus_client (make validators)", python.display());
        return;
    }
    let check = |text: &str| fed(Command::new(&python).args(["-c", READ]), text);
    let (is_read, said) = check(metrics);
    assert!(is_read && said.trim().parse::<u32>().is_ok_and(|families| families > 20), "{said}");
    assert!(!check(metrics.trim_end().trim_end_matches("# EOF")).0, "what is cut short is refused");
}

/// Whether a command succeeds over a text, and what it says.
fn fed(command: &mut Command, text: &str) -> (bool, String) {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("reads");
    let out = child.wait_with_output().expect("ends");
    (out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
}
