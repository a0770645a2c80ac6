//! How people are told: a webhook, a schedule, reports; and what was not heard is told again.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use crate::archive::{Archive, quiet_town, text};
use crate::run::trawlwatch;

fn archive() -> Archive {
    Archive::cut(quiet_town(16, 0.5, "population-fan-in:subscribers=0.9,period=120s,jitter=0.05", 2), 900)
}

/// Answers one POST with a status; its body.
fn answer(server: &TcpListener, status: &str) -> Value {
    let (mut peer, _) = server.accept().expect("a peer");
    let mut request = String::new();
    let mut part = [0; 4096];
    let body = loop {
        let n = peer.read(&mut part).expect("reads");
        request.push_str(&String::from_utf8_lossy(&part[..n]));
        let Some((head, body)) = request.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if length.is_some_and(|length: usize| body.len() >= length) {
            break body.to_owned();
        }
    };
    let reply = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    peer.write_all(reply.as_bytes()).expect("answers");
    serde_json::from_str(&body).expect("JSON")
}

#[test]
fn what_was_not_heard_is_told_again() {
    let archive = archive();
    let server = TcpListener::bind("127.0.0.1:0").expect("binds");
    let url = format!("http://{}/hook", server.local_addr().expect("bound"));
    let told = |status: &'static str, more: &[&str]| {
        let server = server.try_clone().expect("cloned");
        let answering = std::thread::spawn(move || answer(&server, status));
        let args = [&["--notify", url.as_str(), "--fail-on", "never"][..], more].concat();
        let swept = archive.sweep("s.db", &args);
        (swept, answering.join().expect("asked"))
    };
    let (refused, first) = told("404 Not Found", &[]);
    assert_eq!(refused.status, Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("answered 404"), "{}", refused.stderr);
    let (heard, second) = told("204 No Content", &[]);
    assert_eq!(heard.status, Some(0), "{}", heard.stderr);
    assert_eq!(first["findings"], second["findings"]);
    let finding = &second["findings"][0];
    assert_eq!((&finding["what"], &finding["technique"]), (&"new".into(), &"population-fan-in".into()), "{second}");
    // Nothing is news: nothing is sent, so nobody needs to answer.
    let quiet = archive.sweep("s.db", &["--notify", url.as_str(), "--fail-on", "never"]);
    assert_eq!((quiet.status, quiet.findings().len()), (Some(0), 0), "{}", quiet.stderr);
    assert_eq!(archive.sweep("s.db", &["--notify", "siem.example"]).status, Some(2));
}

#[test]
fn a_schedule_is_printed_that_runs_what_was_typed() {
    let run = |what: &str| {
        let args = ["sweep", "/srv/captures/*.pcap", "--sensor", "west side", what];
        let ran = trawlwatch(&args, Duration::from_secs(20));
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        ran.stdout
    };
    let command = "trawlwatch sweep '/srv/captures/*.pcap' --sensor 'west side'\n";
    let cron = run("--print-cron");
    assert!(
        cron.lines().last().is_some_and(|line| line.starts_with("30 2 * * * cd ")) && cron.ends_with(command),
        "{cron}"
    );
    let unit = run("--print-unit");
    for wanted in [command, "SuccessExitStatus=1 4", "[Timer]", "OnCalendar=", "WantedBy=timers.target"] {
        assert!(unit.contains(wanted), "{wanted} in {unit}");
    }
}

#[test]
fn reports_come_out_of_the_store() {
    let archive = archive();
    let (page, bundle, later) = (archive.at("r.html"), archive.at("r.json"), archive.at("later.html"));
    let swept = archive.sweep("s.db", &["--report", text(&page), "--stix", text(&bundle), "--fail-on", "never"]);
    assert_eq!(swept.status, Some(0), "{}", swept.stderr);
    let findings = ["findings", "--report", text(&later), "--policy", text(&archive.policy)];
    assert_eq!(archive.ask("s.db", &findings).status, Some(0));
    let found = swept.findings();
    let collector = found[0]["trawl"]["collector"]["addresses"][0].as_str().expect("an address");
    for path in [page, bundle, later] {
        let written = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(written.contains(collector), "{}: {collector}", path.display());
    }
}
