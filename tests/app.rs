//! Application facts on real captures: JA4 against its authors' own results, names, certificates, look-ups.

#[path = "app/walk.rs"]
mod walk;

use trawlwatch::packet::app::registrable_domain;
use trawlwatch::packet::facts::{AppFacts, AppProtocol};
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
        let Some(walked) = walk(capture.as_ref()) else { continue };
        let flows = walked.flows;
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
                    .filter_map(|f| if ours == 0 { f.ja4.as_deref() } else { f.seldom().ja4_retry.as_deref() })
                    .collect();
                if found != [wanted] {
                    wrong.push(format!("{name} port {}: wanted {wanted}, found {found:?}", port("srcport")));
                }
            }
            if let (Some(_), Some(domain)) = (field("JA4.1"), field("domain"))
                && !facts.iter().any(|f| f.server_name.as_deref() == Some(domain))
            {
                wrong.push(format!("{name} port {}: no name {domain}", port("srcport")));
            }
        }
    }
    println!("{compared} JA4 values compared");
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= 80, "only {compared} values were found to compare with");
}

/// QUIC: (capture, client's port, SNI, first ALPN offered or chosen, cipher suite chosen). Checked with tshark 4.0; where it
/// shows nothing (a server's certificate, a client that it could not open) the row says what the capture's page says.
type QuicRow = (&'static str, u16, Option<&'static str>, &'static str, Option<u16>);
const QUIC: &[QuicRow] = &[
    ("conformance/ja4/ja4__quic-tls-handshake.pcapng", 59102, Some("www.google.com"), "h3", None),
    ("conformance/ndpi/ndpi__quic-29.pcap", 36588, Some("localhost"), "h3-29", Some(0x1303)),
    ("conformance/ndpi/ndpi__quic-34.pcap", 55880, None, "h3-34", Some(0x1301)),
    ("conformance/ndpi/ndpi__quic-mvfst-27.pcapng", 35957, Some("graph.facebook.com"), "h3-fb-05", Some(0x1301)),
    ("conformance/ndpi/ndpi__quic_frags_ch_in_multiple_packets.pcapng", 58822, None, "h3-34", Some(0x1301)),
    ("conformance/ndpi/ndpi__quic-forcing-vn-with-data.pcapng", 55523, None, "h3", Some(0x1301)),
    ("conformance/ndpi/ndpi__doq.pcapng", 47826, None, "doq-i00", Some(0x1301)),
    ("conformance/ndpi/ndpi__doq_adguard.pcapng", 41070, Some("dns.adguard.com"), "doq-i00", Some(0x1301)),
    ("conformance/ndpi/ndpi__dlt_ppp.pcap", 44083, Some("server4"), "hq-29", None),
    (
        "conformance/zeek/zeek__quic__curl-8.1.2-dev-http3-www-google-de.pcap",
        34347,
        Some("www.google.de"),
        "h3",
        Some(0x1301),
    ),
    ("conformance/zeek/zeek__quic__merlinc2_Zeek_example.pcapng", 53241, None, "h3", Some(0x1301)),
    ("conformance/zeek/zeek__quic__quic-39264-rand.pcap", 39264, Some("tr6.snapchat.com"), "h3", Some(0x1301)),
    (
        "conformance/zeek/zeek__quic__quic-decrypt-fail-google-de-51833.pcap",
        51883,
        Some("www.google.de"),
        "h3",
        Some(0x1301),
    ),
    ("conformance/zeek/zeek__quic__quicdoq.pcap", 46907, None, "doq", Some(0x1301)),
    ("conformance/zeek/zeek__quic__quicv2-http3-443.pcap", 50841, None, "h3", Some(0x1301)),
    ("robustness/tcpdump__quic_handshake.pcap", 50606, Some("localhost"), "h3", Some(0x1301)),
    ("robustness/suricata-verify__quic-v2-ja3__input.pcap", 64629, None, "h3", Some(0x1301)),
    ("robustness/arkime__pcap__quicietfooo.pcap", 53730, Some("ssl.gstatic.com"), "h3", None),
    (
        "robustness/ipfixprobe__functional__inputs__quic_initial-sample.pcap",
        58181,
        Some("www.google.com"),
        "h3-29",
        None,
    ),
];

#[test]
fn quic_hellos_are_opened() {
    let Some(folder) = captures("quic") else { return };
    for (capture, port, name, alpn, cipher) in QUIC {
        let Some(walked) = walk(&folder.join(capture)) else { continue };
        let mut flows = walked.flows.iter().filter(|(tuple, _)| tuple.1 == *port && tuple.4 == 17);
        let facts = flows.next().and_then(|(_, facts)| facts.first()).unwrap_or_else(|| panic!("{capture}: no flow"));
        assert_eq!(facts.protocol, Some(AppProtocol::Quic), "{capture}");
        assert_eq!(facts.server_name.as_deref(), *name, "{capture}");
        assert_eq!(facts.alpn.as_deref(), Some(*alpn), "{capture}");
        assert_eq!(facts.tls_cipher, *cipher, "{capture}");
        assert!(facts.ja4.as_deref().is_some_and(|ja4| ja4.len() == 36 && ja4.starts_with('q')), "{capture}");
    }
}

#[test]
fn old_quic_is_told_and_not_read() {
    let Some(folder) = captures("old quic") else { return };
    for capture in ["ndpi__quic_q39.pcap", "ndpi__quic_q43.pcap", "ndpi__quic_q46.pcap", "ndpi__quic046.pcap"] {
        let Some(walked) = walk(&folder.join("conformance/ndpi").join(capture)) else { continue };
        let facts: Vec<_> = walked.flows.values().flatten().collect();
        let told = |f: &&AppFacts| f.protocol == Some(AppProtocol::Quic) && f.server_name.is_none();
        assert!(facts.iter().any(told), "{capture}: {facts:?}");
    }
}

/// Certificates: (capture, client's port, issuer, first name, first 8 bytes of SHA-256 over the key). Checked with openssl
/// (`-nameopt RFC2253`, and SHA-256 over `-pubkey` in DER) on the certificate that tshark shows.
const CERTIFICATES: &[(&str, u16, &str, &str, u64)] = &[
    (
        "tls-interception/mitmengine__pcaps__antivirus__mac-10.11.4-avast-11.7-chrome-49__handshake.pcap",
        56500,
        "CN=StartCom Class 1 DV Server CA,OU=StartCom Certification Authority,O=StartCom Ltd.,C=IL",
        "fingerprint.zmap.io",
        0xa4a2_5fa7_efb9_9c35,
    ),
    (
        "tls-interception/mitmengine__pcaps__openssl__OpenSSL_0_9_8f.pcap",
        64003,
        "CN=StartCom Class 1 DV Server CA,OU=StartCom Certification Authority,O=StartCom Ltd.,C=IL",
        "fingerprint.zmap.io",
        0xa4a2_5fa7_efb9_9c35,
    ),
    (
        "tls-interception/mitmengine__pcaps__middleboxes__barracuda__barracuda-ie11__handshake.pcap",
        14547,
        "CN=StartCom Class 1 DV Server CA,OU=StartCom Certification Authority,O=StartCom Ltd.,C=IL",
        "encryptedstartssl.aaspring.xyz",
        0xf0b5_2389_1c05_951a,
    ),
    (
        "conformance/ndpi/ndpi__imap-starttls.pcap",
        49640,
        "CN=TeleSec ServerPass DE-1,STREET=Untere Industriestr. 20,L=Netphen,postalCode=57250,ST=NRW,\
         OU=T-Systems Trust Center,O=T-Systems International GmbH,C=DE",
        "imap.gmx.net",
        0xe263_1fc9_7a1d_6272,
    ),
    (
        "conformance/ndpi/ndpi__tls-rdn-extract.pcap",
        31337,
        "CN=Microsoft Secure Server Authority,DC=redmond,DC=corp,DC=microsoft,DC=com",
        "*.vo.msecnd.net",
        0x051e_e02e_0ca1_f7dc,
    ),
    (
        "conformance/ndpi/ndpi__ftp-start-tls.pcap",
        62092,
        "CN=Huawei Wireless Network Product CA,OU=Wireless Network Product Line,O=Huawei,C=CN",
        "oss.huawei.com",
        0xa65a_331c_0909_3ff5,
    ),
    (
        "conformance/zeek/zeek__tls__ocsp-stapling-digicert.pcap",
        51293,
        "CN=DigiCert SHA2 Extended Validation Server CA,OU=www.digicert.com,O=DigiCert Inc,C=US",
        "www.digicert.com",
        0x97a2_36bd_8172_ecad,
    ),
    (
        "injection/quantuminsert__qi_local_SYNACK_linkedin_redirect.pcap",
        49467,
        "CN=GlobalSign Extended Validation CA - SHA256 - G2,O=GlobalSign nv-sa,C=BE",
        "www.fox-it.com",
        0x31fa_770f_3396_3ade,
    ),
    (
        "bulk-extraction/arkime__pcap__mysql-tls.pcap",
        41324,
        "CN=MySQL_Server_5.7.12_Auto_Generated_CA_Certificate",
        "mysql_server_5.7.12_auto_generated_server_certificate",
        0xf1d6_1b79_b9ba_e72b,
    ),
    (
        "conformance/ja4/ja4__https3-301-get.pcap",
        62599,
        "CN=DigiCert High Assurance EV CA-1,OU=www.digicert.com,O=DigiCert Inc,C=US",
        "github.com",
        0x5fd8_b350_63bc_5b9d,
    ),
];

#[test]
fn certificates_are_read() {
    let Some(folder) = captures("certificates") else { return };
    for (capture, port, issuer, name, key_hash) in CERTIFICATES {
        let Some(walked) = walk(&folder.join(capture)) else { continue };
        let flows = walked.flows.iter().filter(|(tuple, _)| tuple.1 == *port && tuple.4 == 6);
        let found = flows.flat_map(|(_, facts)| facts).find_map(|facts| facts.certificate.as_deref());
        let certificate = found.unwrap_or_else(|| panic!("{capture}: no certificate"));
        assert_eq!(&*certificate.issuer, *issuer, "{capture}");
        assert_eq!(certificate.names.first().map(|n| &**n), Some(*name), "{capture}");
        assert_eq!(certificate.key_hash, *key_hash, "{capture}");
    }
}

#[test]
fn every_interception_capture_shows_its_server() {
    let Some(folder) = captures("tls-interception").map(|c| c.join("tls-interception")) else { return };
    let mut without = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the folder can be listed") {
        let path = entry.expect("an entry of that folder").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.contains("handshake") && !name.contains("openssl") {
            continue;
        }
        let Some(walked) = walk(&path) else { continue };
        let of_zmap = |f: &AppFacts| {
            f.certificate.as_deref().is_some_and(|c| {
                c.issuer.contains("StartCom")
                    && c.names.iter().any(|n| n.ends_with(".zmap.io") || n.ends_with(".aaspring.xyz"))
            })
        };
        if !walked.flows.values().flatten().any(of_zmap) {
            without.push(name);
        }
    }
    assert_eq!(without, WITHOUT_CERTIFICATE, "captures without a server's certificate");
}

/// Captures of the folder in whose every flow the session is resumed or the server's side is missing.
const WITHOUT_CERTIFICATE: [&str; 1] = ["mitmengine__pcaps__browsers__computer-OS_X-Yosemite-opera-35__handshake.pcap"];

/// DNS over UDP: (capture, queries, responses, a registrable domain and how many of the names are under it); tshark's counts.
const LOOKUPS: &[(&str, usize, usize, &str, usize)] = &[
    ("dns-tunnel/dns-tunnel__tunnel__iodine-cname.pcap", 9089, 8360, "ggy666.tk", 17445),
    ("dns-tunnel/ndpi__dns-tunnel-iodine.pcap", 222, 212, "pirate.sea", 434),
    ("dns-tunnel/ndpi__dns_exfiltration.pcap", 150, 150, "", 0),
    ("dns-hijack/chrissanders__dns_isp_hijack.pcapng", 2, 2, "level3.com", 2),
    ("dns-hijack/dns-tunnel__normal__normal__normal_00027_20230806095642.pcap", 15000, 15000, "", 0),
];

#[test]
fn every_dns_message_is_told() {
    let Some(folder) = captures("dns") else { return };
    for (capture, queries, responses, domain, under) in LOOKUPS {
        let Some(walked) = walk(&folder.join(capture)) else { continue };
        let counts =
            walked.lookups.iter().fold((0, 0), |(q, r), l| if l.rcode.is_none() { (q + 1, r) } else { (q, r + 1) });
        assert_eq!(counts, (*queries, *responses), "{capture}");
        let found = walked.lookups.iter().filter(|l| registrable_domain(&l.name) == Some(*domain)).count();
        assert_eq!(found, *under, "{capture}: names under {domain}");
    }
}

#[test]
fn tunnelled_and_proxied_hellos_are_found() {
    let Some(folder) = captures("proxies").map(|c| c.join("conformance/ja4")) else { return };
    let facts = |name: &str| -> Vec<AppFacts> {
        walk(&folder.join(name)).map(|w| w.flows.into_values().flatten().collect()).unwrap_or_default()
    };
    let connect = facts("ja4__https-connect.pcap");
    assert!(connect.iter().any(|f| {
        f.protocol == Some(AppProtocol::Tls)
            && f.server_name.as_deref() == Some("ts01-b.cloudsink.net")
            && f.seldom().http_method.as_deref() == Some("CONNECT")
            && f.seldom().http_status == Some(200)
            && f.ja4.is_some()
            && f.certificate.is_some()
    }));
    // Its client hello is missing from the capture: the name is the one that the client gave the proxy.
    let socks = facts("ja4__socks4-https.pcap");
    assert!(socks.iter().any(|f| f.server_name.as_deref() == Some("login.live.com") && f.certificate.is_some()));
}
