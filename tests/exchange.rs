//! What `replay` writes for other systems, held against their own readers: the OASIS STIX validator, PyMISP, DuckDB, pandas,
//! and Chromium for the page. In: a shipped capture. Where a reader is not installed (`make validators`, `make browser`) the
//! test says "not run" and passes.
#![allow(clippy::print_stdout, reason = "a test's output is for people")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Everything that `replay` writes beside its findings.
struct Papers {
    folder: tempfile::TempDir,
}

impl Papers {
    fn write() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let at = |name: &str| folder.path().join(name);
        let status = Command::new(env!("CARGO_BIN_EXE_trawlwatch"))
            .args(["replay", "--quiet", "--fail-on", "never", "--tlp", "green", "--format", "json"])
            .arg(root.join("captures/demo.pcap.zst"))
            .arg("--policy")
            .arg(root.join("captures/demo.policy.toml"))
            .arg("--output")
            .arg(at("findings.jsonl"))
            .arg("--report")
            .arg(at("report.html"))
            .arg("--stix")
            .arg(at("stix.json"))
            .arg("--misp")
            .arg(at("misp.json"))
            .arg("--findings-table")
            .arg(at("findings.parquet"))
            .arg("--windows-table")
            .arg(at("windows.parquet"))
            .status()
            .expect("the built program starts");
        assert_eq!(status.code(), Some(0));
        Self { folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).expect("written")
    }

    /// Findings as the stream has them.
    fn findings(&self) -> Vec<serde_json::Value> {
        let lines = self.text("findings.jsonl");
        let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        lines.filter(|line| line["event_type"] == "alert").collect()
    }
}

/// The folder that `make validators` fills, beside the build's own.
fn validators() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let python = target.join("validators/bin/python");
    if !python.exists() {
        println!("not run: {} is missing (make validators)", python.display());
        return None;
    }
    python.parent().map(Path::to_owned)
}

fn ran(what: &str, output: Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{what}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn python(bin: &Path, papers: &Papers, script: &str) -> String {
    let output = Command::new(bin.join("python")).arg("-c").arg(script).arg(papers.folder.path()).output();
    ran(script, output.expect("Python starts"))
}

#[test]
fn the_oasis_validator_takes_the_bundle() {
    let Some(bin) = validators() else { return };
    let papers = Papers::write();
    let output = Command::new(bin.join("stix2_validator")).arg(papers.at("stix.json")).output();
    let said = ran("stix2_validator", output.expect("it starts"));
    assert!(said.contains("STIX JSON: Valid"), "{said}");
}

#[test]
fn pymisp_reads_the_event() {
    let Some(bin) = validators() else { return };
    let papers = Papers::write();
    let said = python(
        &bin,
        &papers,
        "import sys, pymisp\nevent = pymisp.MISPEvent()\nevent.load_file(sys.argv[1] + '/misp.json')\n\
         print(sorted({a.type for a in event.attributes}), sum(a.to_ids for a in event.attributes))",
    );
    // What blocks or alarms elsewhere is what is worth an alarm here.
    let is_loud = |severity: &serde_json::Value| ["medium", "high", "critical"].iter().any(|loud| severity == loud);
    let loud = papers.findings().iter().filter(|f| is_loud(&f["trawl"]["severity"])).count();
    assert!(said.contains("'comment'") && said.contains("ip-dst"), "{said}");
    assert!(said.trim().rsplit(' ').next().and_then(|n| n.parse::<usize>().ok()) >= Some(loud), "{said}");
}

#[test]
fn duckdb_and_pandas_read_the_tables() {
    let Some(bin) = validators() else { return };
    let papers = Papers::write();
    let said = python(
        &bin,
        &papers,
        "import sys, duckdb, pandas\nfolder = sys.argv[1]\n\
         print(duckdb.sql(f\"select count(*), max(subscribers) from '{folder}/findings.parquet'\").fetchall()[0])\n\
         print(duckdb.sql(f\"select sum(bytes_up) from '{folder}/windows.parquet' where collector is null\").fetchall()[0])\n\
         table = pandas.read_parquet(folder + '/findings.parquet')\nprint(sorted(table.technique))\n\
         windows = pandas.read_parquet(folder + '/windows.parquet')\n\
         print(str(windows.window_start.dtype), windows.collector.isna().sum() > 0)",
    );
    let findings = papers.findings();
    assert!(said.starts_with(&format!("({},", findings.len())), "{said}");
    assert!(said.contains("'population-fan-in'") && said.contains("datetime64[ns, UTC]"), "{said}");
}

#[test]
fn no_paper_holds_an_address_of_the_population() {
    let papers = Papers::write();
    for name in ["findings.jsonl", "report.html", "stix.json", "misp.json"] {
        let text = papers.text(name);
        // The population is 10.20.0.0/16; its own prefix may stand there, an address of it may not.
        for (at, _) in text.match_indices("10.20.") {
            let rest: String = text[at..].chars().take_while(|c| c.is_ascii_digit() || ".//".contains(*c)).collect();
            assert!(rest.starts_with("10.20.0.0"), "{name}: {rest}");
        }
    }
    assert!(!papers.text("stix.json").contains("\"sample\""));
}

#[test]
fn a_folder_that_cannot_be_written_is_said_before_the_work() {
    let output = Command::new(env!("CARGO_BIN_EXE_trawlwatch"))
        .args(["replay", "captures/none.pcap", "--report", "/nonexistent/folder/report.html"])
        .output()
        .expect("the built program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("/nonexistent/folder/report.html"), "{said}");
}

#[test]
fn chromium_shows_the_page_without_a_message_or_a_request() {
    let Some(browser) = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].into_iter().find(|p| Path::new(p).exists())
    else {
        println!("not run: Chromium is not installed (make browser)");
        return;
    };
    let papers = Papers::write();
    let (log, picture) = (papers.at("net.json"), papers.at("page.png"));
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--disable-quic", "--enable-logging=stderr"])
        .args(["--window-size=380,2000", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", papers.at("profile").display()))
        .arg(format!("--log-net-log={}", log.display()))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", papers.at("report.html").display()))
        .output()
        .expect("Chromium starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("CONSOLE"), "{said}");
    let picture = std::fs::metadata(&picture).unwrap_or_else(|e| panic!("no picture: {e}: {said}"));
    assert!(picture.len() > 20_000, "an empty page: {} bytes", picture.len());
    let log = std::fs::read_to_string(&log).expect("a log of the network");
    // What the page itself would fetch: the browser's own calls home go to its maker.
    let asked = log.match_indices("\"url\":\"http").map(|(at, _)| log[at..].chars().take(120).collect::<String>());
    let strange: Vec<String> = asked.filter(|url| !url.contains("google") && !url.contains("gvt1")).collect();
    assert!(strange.is_empty(), "{strange:?}");
}
