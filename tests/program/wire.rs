//! Names, answers and server identities in real captures: what is there is found, and the clean ones beside it stay quiet.

use std::path::Path;

use crate::captures;
use crate::every_file::in_parallel;
use crate::run::replay;

/// The worst severity of a technique in one file.
fn worst(file: &Path, technique: &str, more: &[&str]) -> Option<String> {
    let order = ["info", "low", "medium", "high", "critical"];
    let ran = replay(file, more);
    let found: Vec<usize> = (ran.findings().iter())
        .filter(|finding| finding["trawl"]["technique"] == technique)
        .filter_map(|finding| order.iter().position(|word| finding["trawl"]["severity"] == *word))
        .collect();
    found.iter().max().map(|at| order[*at].to_owned())
}

fn named<'a>(files: &'a [std::path::PathBuf], name: &str) -> Option<&'a Path> {
    files.iter().find(|file| file.file_name().is_some_and(|n| n.to_string_lossy().contains(name))).map(AsRef::as_ref)
}

#[test]
fn what_is_in_names_and_answers_is_found() {
    // The fourth file of `dns-tunnel` is TLS to a public resolver: nothing of a tunnel shows in it.
    let table = [
        ("dns-tunnel", "iodine-cname", Some("high")),
        ("dns-tunnel", "dns-tunnel-iodine.pcap", Some("high")),
        ("dns-tunnel", "dns_exfiltration", Some("high")),
        ("dns-tunnel", "dns2tcp_tunnel", None),
        ("dns-hijack", "normal_00027", Some("medium")),
        ("dns-hijack", "dns_isp_hijack", Some("low")),
    ];
    for (folder, name, wanted) in table {
        let files: Vec<_> = captures::below(folder)
            .into_iter()
            .filter(|file| file.extension().is_none_or(|ending| ending != "out"))
            .collect();
        let Some(file) = named(&files, name) else {
            println!("not run: no capture {name}");
            continue;
        };
        assert_eq!(worst(file, folder, &[]).as_deref(), wanted, "{name}");
    }
}

/// All but 128.0.0.0 to 143.255.255.255, where the server of those captures stands.
const CLIENTS: &str = "0.0.0.0/1,144.0.0.0/4,160.0.0.0/3,192.0.0.0/2";

#[test]
fn known_interceptors_are_hinted_at_and_clean_hellos_are_not() {
    let files = captures::below("tls-interception");
    // Bitdefender's client stands in the server's own network here, so it is no subscriber.
    let known = ["avast", "dr-web", "net-nanny", "netnanny", "cybersitter"];
    let wrong = in_parallel(&files, |file| {
        let name = file.file_name()?.to_string_lossy().into_owned();
        let is_known = known.iter().any(|product| name.contains(product));
        let severity = worst(file, "tls-interception", &["--population", CLIENTS]);
        let wanted = is_known.then_some("low");
        (severity.as_deref() != wanted).then(|| format!("{name}: {severity:?}"))
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
