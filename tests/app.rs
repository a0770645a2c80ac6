//! Application facts on real captures: JA4 against its authors' own results, names, certificates, look-ups.

#[path = "app/walk.rs"]
mod walk;

use walk::{captures, walk};

/// JA4 values that differ from the captures' `.ja4.json` on purpose: (file, source port, theirs, ours, why).
const JA4_EXCEPTIONS: &[(&str, u16, &str, &str, &str)] = &[(
    "ja4__tls-non-ascii-alpn.pcapng",
    50112,
    "t13d151699_8daaf6152771_e5627efa2ab1",
    "t13d1516bd_8daaf6152771_e5627efa2ab1",
    "the first ALPN id is BA AD: the file holds the authors' first rule (\"99\"), the specification since then takes the \
     first and last character of its hexadecimal form",
)];

#[test]
fn ja4_equals_its_authors_results() {
    let Some(folder) = captures("ja4").map(|c| c.join("conformance/ja4")) else { return };
    let (mut compared, mut wrong) = (0, Vec::new());
    for entry in std::fs::read_dir(&folder).expect("the folder of JA4's captures can be listed") {
        let json = entry.expect("an entry of that folder").path();
        let Some(capture) = json.to_str().and_then(|p| p.strip_suffix(".ja4.json")) else { continue };
        let name = capture.rsplit('/').next().unwrap_or(capture);
        let flows = walk(capture.as_ref()).flows;
        let text = std::fs::read_to_string(&json).expect("a result file can be read");
        let streams: Vec<serde_json::Value> = serde_json::from_str(&text).expect("a result file is JSON");
        for stream in streams {
            let field = |key: &str| stream.get(key).and_then(|v| v.as_str());
            let port = |key: &str| field(key).and_then(|v| v.parse::<u16>().ok()).unwrap_or(0);
            let address = |key: &str| field(key).and_then(|v| v.parse::<std::net::IpAddr>().ok());
            let (Some(source), Some(destination)) = (address("src"), address("dst")) else { continue };
            let facts: Vec<_> = [6, 17]
                .iter()
                .filter_map(|p| flows.get(&(source, port("srcport"), destination, port("dstport"), *p)))
                .flatten()
                .collect();
            for (key, ours) in [("JA4.1", 0), ("JA4.2", 1)] {
                let Some(theirs) = field(key) else { continue };
                compared += 1;
                let exception = JA4_EXCEPTIONS.iter().find(|e| (e.0, e.1, e.2) == (name, port("srcport"), theirs));
                let wanted = exception.map_or(theirs, |e| e.3);
                let found: Vec<_> = facts
                    .iter()
                    .filter_map(|f| if ours == 0 { f.ja4.as_deref() } else { f.ja4_retry.as_deref() })
                    .collect();
                if found != [wanted] {
                    wrong.push(format!("{name} port {}: wanted {wanted}, found {found:?}", port("srcport")));
                }
            }
            if let (Some(_), Some(domain)) = (field("JA4.1"), field("domain")) {
                if !facts.iter().any(|f| f.server_name.as_deref() == Some(domain)) {
                    wrong.push(format!("{name} port {}: no name {domain}", port("srcport")));
                }
            }
        }
    }
    println!("{compared} JA4 values compared");
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= 80, "only {compared} values were found to compare with");
}
