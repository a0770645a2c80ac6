//! Metrics: what the run shows to Prometheus, in its text form and in OpenMetrics', and whether it is well.
//! In: the board. Out: answers to `GET /metrics`, `/healthz`, `/readyz`.
//! Bounds: one request at a time, [`REQUEST_BYTES_MAX`] of it, [`PATIENCE`] for each; anything else is refused.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;

use super::board::{Board, View};
use crate::detect::finding::Severity;
use crate::pipeline::live::LaneGauges;

/// Most bytes of a request's head.
const REQUEST_BYTES_MAX: usize = 8 << 10;
/// Longest time for a request to come in and for its answer to go out.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long lanes may stand still before the run is not well.
const STILL_MAX: Duration = Duration::from_secs(10);
/// Upper bounds of histogram buckets, seconds.
const BUCKETS: [f64; 11] = [1e-5, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 10.0];

/// Which of the two text forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Version 0.0.4.
    Prometheus,
    /// Version 1.0.0.
    OpenMetrics,
}

/// Whether the run is well, as the analysis thread last said it.
#[derive(Debug, Default)]
pub struct Health {
    /// Sources are open and workers run.
    pub is_ready: AtomicBool,
    /// The run is ending.
    pub is_ending: AtomicBool,
}

/// The server's socket, opened while the process may.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
}

/// Serves until the process ends.
pub fn serve(listener: TcpListener, board: Arc<Board>, health: Arc<Health>) -> io::Result<()> {
    std::thread::Builder::new().name("metrics".into()).spawn(move || {
        let mut pulse = Pulse { rounds: Vec::new(), moved: Instant::now() };
        for peer in listener.incoming() {
            match peer {
                // Whoever asks has gone, or is too slow: there is nobody to tell.
                Ok(peer) => _ = answer(peer, &board, &health, &mut pulse),
                // Out of descriptors, say: not a reason to spin.
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    })?;
    Ok(())
}

/// Tells lanes that move from lanes that stand still, between two questions.
struct Pulse {
    rounds: Vec<u64>,
    moved: Instant,
}

impl Pulse {
    fn is_alive(&mut self, board: &Board) -> bool {
        let now: Vec<u64> = board.gauges.lanes.iter().map(|lane| lane.rounds.load(Relaxed)).collect();
        if now != self.rounds {
            (self.rounds, self.moved) = (now, Instant::now());
        } else if self.moved.elapsed() < STILL_MAX {
            // Two questions within one round prove nothing.
            std::thread::sleep(Duration::from_millis(200));
            return self.moved.elapsed() < STILL_MAX;
        }
        self.moved.elapsed() < STILL_MAX
    }
}

fn answer(mut peer: TcpStream, board: &Board, health: &Health, pulse: &mut Pulse) -> io::Result<()> {
    peer.set_read_timeout(Some(PATIENCE))?;
    peer.set_write_timeout(Some(PATIENCE))?;
    let began = Instant::now();
    let (mut head, mut part) = (Vec::new(), [0; 1024]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let n = peer.read(&mut part)?;
        if n == 0 || head.len() + n > REQUEST_BYTES_MAX || began.elapsed() > PATIENCE {
            return reply(&mut peer, "400 Bad Request", "text/plain", "a request of HTTP/1.1 is wanted\n");
        }
        head.extend_from_slice(&part[..n]);
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.split_ascii_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    if method != "GET" && method != "HEAD" {
        return reply(&mut peer, "405 Method Not Allowed", "text/plain", "GET only\n");
    }
    let well = |is_well: bool| if is_well { ("200 OK", "ok\n") } else { ("503 Service Unavailable", "not ok\n") };
    match path {
        "/metrics" => {
            let (form, kind) = match head.contains("application/openmetrics-text") {
                true => (Form::OpenMetrics, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
                false => (Form::Prometheus, "text/plain; version=0.0.4; charset=utf-8"),
            };
            reply(&mut peer, "200 OK", kind, &exposition(board, form))
        }
        "/healthz" => {
            let (status, body) = well(pulse.is_alive(board));
            reply(&mut peer, status, "text/plain", body)
        }
        "/readyz" => {
            let is_up = board.gauges.lanes.iter().all(|lane| lane.is_up.load(Relaxed));
            let (status, body) = well(health.is_ready.load(Relaxed) && !health.is_ending.load(Relaxed) && is_up);
            reply(&mut peer, status, "text/plain", body)
        }
        _ => reply(&mut peer, "404 Not Found", "text/plain", "/metrics, /healthz, /readyz\n"),
    }
}

fn reply(peer: &mut TcpStream, status: &str, kind: &str, body: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    peer.write_all(head.as_bytes())?;
    peer.write_all(body.as_bytes())
}

/// All metrics as text.
pub fn exposition(board: &Board, form: Form) -> String {
    let view = board.view();
    let mut page = Page { out: String::with_capacity(16 << 10), form };
    capture(&mut page, board);
    analysis(&mut page, board, &view);
    stages(&mut page, &view);
    process(&mut page, board);
    if form == Form::OpenMetrics {
        page.out.push_str("# EOF\n");
    }
    page.out
}

fn capture(page: &mut Page, board: &Board) {
    let lanes = &board.gauges.lanes;
    let by_interface = |value: fn(&LaneGauges) -> u64| {
        lanes.iter().enumerate().map(move |(queue, lane)| {
            let labels = [("interface", lane.interface.clone()), ("queue", queue.to_string())];
            (labels.to_vec(), value(lane) as f64)
        })
    };
    let frames = by_interface(|lane| lane.frames.load(Relaxed));
    page.counter("trawlwatch_capture_packets", "Packets taken in, those that a full queue then lost included.", frames);
    let bytes = by_interface(|lane| lane.wire_bytes.load(Relaxed));
    page.counter("trawlwatch_capture_bytes", "Bytes on the wire of the packets taken in.", bytes);
    let mut lost = Vec::new();
    for (queue, lane) in lanes.iter().enumerate() {
        for (cause, n) in lane.lost().by_cause() {
            let labels =
                vec![("interface", lane.interface.clone()), ("queue", queue.to_string()), ("cause", cause.to_owned())];
            lost.push((labels, n as f64));
        }
    }
    page.counter("trawlwatch_capture_drops", "Packets lost before analysis, by cause.", lost.into_iter());
    let up = by_interface(|lane| u64::from(lane.is_up.load(Relaxed)));
    page.gauge("trawlwatch_interface_up", "Whether the interface is there.", up);
    let returns = by_interface(|lane| lane.returns.load(Relaxed));
    page.counter("trawlwatch_interface_returns", "Times that the interface came back.", returns);
    let lag = lanes.iter().enumerate().map(|(queue, lane)| {
        let labels = vec![("interface", lane.interface.clone()), ("queue", queue.to_string())];
        (labels, lane.lag_ns.load(Relaxed) as f64 / 1e9)
    });
    page.gauge("trawlwatch_clock_lag_seconds", "Age of the last packet, by its timestamp, when it was read.", lag);
    let queued = board
        .gauges
        .workers
        .iter()
        .enumerate()
        .map(|(worker, gauges)| (vec![("worker", worker.to_string())], gauges.queued.load(Relaxed) as f64));
    page.gauge("trawlwatch_worker_queue_batches", "Batches that wait for a worker.", queued);
    let worked = board
        .gauges
        .workers
        .iter()
        .enumerate()
        .map(|(worker, gauges)| (vec![("worker", worker.to_string())], gauges.frames.load(Relaxed) as f64));
    page.counter("trawlwatch_worker_packets", "Packets sent to a worker.", worked);
}

fn analysis(page: &mut Page, board: &Board, view: &View) {
    let flows = &view.counted.flows;
    let one = |value: f64| std::iter::once((Vec::new(), value));
    page.counter("trawlwatch_flows", "Flows begun, as of the last window's end.", one(flows.flows as f64));
    page.gauge(
        "trawlwatch_flows_open",
        "Flows alive, as of the last window's end.",
        one(view.counted.flows_open as f64),
    );
    let limits = [
        ("table", flows.evicted),
        ("pairs", flows.pairs_forgotten),
        ("observations", flows.observations_dropped),
        ("openings", flows.app_refused),
    ];
    let limits = limits.map(|(limit, n)| (vec![("limit", limit.to_owned())], n as f64));
    page.counter("trawlwatch_limit_hits", "What gave way because a limit was reached, by limit.", limits.into_iter());
    page.counter("trawlwatch_windows", "Windows closed.", one(view.windows as f64));
    page.counter(
        "trawlwatch_clock_steps",
        "Steps back of the capture clock by over an hour.",
        one(view.clock_steps as f64),
    );
    page.gauge(
        "trawlwatch_window_end_timestamp_seconds",
        "End of the last window closed, in capture time.",
        one(view.window_end_ns as f64 / 1e9),
    );
    page.gauge(
        "trawlwatch_window_confidence_ratio",
        "Part of what passed in the last window that was seen.",
        one(view.confidence_last),
    );
    let told = view.told.iter().map(|((technique, severity, change), n)| {
        let labels = vec![
            ("technique", technique.id().to_owned()),
            ("severity", severity.name().to_owned()),
            ("change", change.name().to_owned()),
        ];
        (labels, *n as f64)
    });
    page.counter("trawlwatch_findings", "Findings told, by technique, severity and what became of them.", told);
    let severities = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];
    let open = severities.map(|severity| {
        let n = view.open.get(&severity).copied().unwrap_or(0);
        (vec![("severity", severity.name().to_owned())], n as f64)
    });
    page.gauge("trawlwatch_findings_open", "Findings that have not ended, by severity.", open.into_iter());
    page.counter(
        "trawlwatch_findings_folded",
        "Windows in which a finding went on untold.",
        one(view.open_and_folded.1 as f64),
    );
    let outlet = |value: fn(&super::outlet::OutletCounts) -> u64| {
        board.outlets.iter().map(move |(name, counts)| (vec![("outlet", (*name).to_owned())], value(counts) as f64))
    };
    page.counter("trawlwatch_outlet_messages", "News that arrived.", outlet(|counts| counts.carried.load(Relaxed)));
    page.counter("trawlwatch_outlet_drops", "News that was dropped.", outlet(|counts| counts.dropped.load(Relaxed)));
    page.counter("trawlwatch_outlet_failures", "Attempts that failed.", outlet(|counts| counts.failures.load(Relaxed)));
    if let Some((taken, at)) = view.reload {
        page.gauge(
            "trawlwatch_config_last_reload_successful",
            "Whether the last reload of the policy was taken.",
            one(f64::from(u8::from(taken))),
        );
        page.gauge("trawlwatch_config_last_reload_timestamp_seconds", "When it was tried.", one(at as f64));
    }
}

fn stages(page: &mut Page, view: &View) {
    let timings = &view.counted.timings;
    let name = "trawlwatch_stage_duration_seconds";
    page.family(name, "histogram", "Time of one unit of work by stage: a batch, a block of rows, a window.");
    for (stage, histogram) in [
        ("batch", &timings.batch_us),
        ("parse", &timings.parse_us),
        ("flow", &timings.flow_us),
        ("summary", &timings.summary_us),
    ] {
        page.histogram(name, stage, histogram);
    }
    page.histogram(name, "window", &view.detect.0);
}

fn process(page: &mut Page, board: &Board) {
    let one = |value: f64| std::iter::once((Vec::new(), value));
    if let Some(bytes) = resident_bytes() {
        page.gauge("process_resident_memory_bytes", "Resident memory.", one(bytes as f64));
    }
    let up = board.began.elapsed();
    let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(up);
    page.gauge("process_start_time_seconds", "When the run began, in seconds since 1970.", one(began.as_secs_f64()));
    let version = [(vec![("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0)];
    page.gauge("trawlwatch_build_info", "The program's version.", version.into_iter());
}

/// Resident memory now, where the system tells it (Linux).
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Text under construction.
struct Page {
    out: String,
    form: Form,
}

type Labels = Vec<(&'static str, String)>;

impl Page {
    /// `name` without `_total`: OpenMetrics' families have none, samples do.
    fn counter(&mut self, name: &str, about: &str, samples: impl Iterator<Item = (Labels, f64)>) {
        let total = format!("{name}_total");
        let family = if self.form == Form::OpenMetrics { name } else { &total };
        self.family(family, "counter", about);
        samples.for_each(|(labels, value)| self.sample(&total, &labels, value));
    }

    fn gauge(&mut self, name: &str, about: &str, samples: impl Iterator<Item = (Labels, f64)>) {
        self.family(name, "gauge", about);
        samples.for_each(|(labels, value)| self.sample(name, &labels, value));
    }

    fn family(&mut self, name: &str, kind: &str, about: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.out, "# HELP {name} {about}\n# TYPE {name} {kind}");
    }

    fn histogram(&mut self, name: &str, stage: &str, histogram: &Histogram<u64>) {
        let stage = ("stage", stage.to_owned());
        let (bucket, sum, count) = (format!("{name}_bucket"), format!("{name}_sum"), format!("{name}_count"));
        for bound in BUCKETS {
            let below = histogram.count_between(0, (bound * 1e6) as u64);
            self.sample(&bucket, &[stage.clone(), ("le", format!("{bound}"))], below as f64);
        }
        self.sample(&bucket, &[stage.clone(), ("le", "+Inf".to_owned())], histogram.len() as f64);
        self.sample(&sum, std::slice::from_ref(&stage), histogram.mean() * histogram.len() as f64 / 1e6);
        self.sample(&count, &[stage], histogram.len() as f64);
    }

    fn sample(&mut self, name: &str, labels: &[(&'static str, String)], value: f64) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
        let _ = match labels.is_empty() {
            true => writeln!(self.out, "{name} {value}"),
            false => writeln!(self.out, "{name}{{{}}} {value}", labels.join(",")),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::pipeline::live::Gauges;

    fn board() -> Board {
        Board::new(Arc::new(Gauges::new(["eth\"0".to_owned()], 2)), vec![("file", Arc::default())])
    }

    #[test]
    fn both_forms_follow_the_conventions() {
        let board = board();
        board.view().counted.timings.batch(Duration::from_micros(700));
        for form in [Form::Prometheus, Form::OpenMetrics] {
            let text = exposition(&board, form);
            let mut families = BTreeSet::new();
            let mut kind = String::new();
            for line in text.lines() {
                if let Some(rest) = line.strip_prefix("# TYPE ") {
                    let (name, of) = rest.split_once(' ').expect("a kind");
                    assert!(families.insert(name.to_owned()), "{name} twice");
                    assert_eq!(of == "counter" && form == Form::Prometheus, name.ends_with("_total"), "{name}");
                    kind = name.to_owned();
                } else if !line.starts_with('#') {
                    assert!(line.starts_with(kind.as_str()), "{line}: outside its family {kind}");
                    let (name, value) = line.rsplit_once(' ').expect("a value");
                    assert!(value.parse::<f64>().is_ok(), "{line}");
                    assert!(!name.contains("_ms") && !name.contains("_ns"), "{line}: seconds and bytes only");
                }
            }
            assert!(text.contains("interface=\"eth\\\"0\""), "{text}");
            assert!(text.contains("le=\"0.0005\"} 0\n") && text.contains("le=\"0.001\"} 1\n"), "{text}");
            assert_eq!(text.ends_with("# EOF\n"), form == Form::OpenMetrics);
        }
    }

    #[test]
    fn requests_are_answered_and_others_refused() {
        let listener = bind("127.0.0.1:0".parse().expect("an address")).expect("binds");
        let at = listener.local_addr().expect("bound");
        let health = Arc::new(Health::default());
        serve(listener, Arc::new(board()), Arc::clone(&health)).expect("a thread");
        let ask = |request: &str| {
            let mut peer = TcpStream::connect(at).expect("listens");
            peer.write_all(request.as_bytes()).expect("sends");
            let mut answer = String::new();
            peer.read_to_string(&mut answer).expect("answers");
            answer
        };
        for (request, wanted) in [
            ("GET /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4"),
            (
                "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\n\r\n",
                "HTTP/1.1 200 OK\r\ncontent-type: application/openmetrics-text",
            ),
            ("GET /readyz HTTP/1.1\r\n\r\n", "HTTP/1.1 503"),
            ("GET /healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 200"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405"),
            ("GET /etc/shadow HTTP/1.1\r\n\r\n", "HTTP/1.1 404"),
        ] {
            let answer = ask(request);
            assert!(answer.starts_with(wanted), "{request}: {answer}");
        }
        health.is_ready.store(true, Relaxed);
        assert!(ask("GET /readyz HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200"));
    }
}
