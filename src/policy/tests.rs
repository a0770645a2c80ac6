//! What a policy means, what is refused by line, and each verdict.

use super::*;
use crate::detect::finding::{CollectorIdentity, Finding, PopulationShare, Severity, Verdict};
use crate::units::{Address, DurationNs};

/// The contract's example.
const CONTRACT: &str = r#"
[[population]]
name = "residents"
prefixes = ["10.20.0.0/16", "2001:db8:20::/48"]
jurisdiction = "NL"
resolvers = ["192.0.2.53"]           # the resolvers this population is meant to use

[[authorised]]
name = "Acme OS telemetry"
collectors = ["198.51.100.0/24", "sni:*.telemetry.acme.example", "asn:64500"]
populations = ["residents"]          # default: all
techniques = ["population-fan-in"]   # default: all
legal_basis = "contract"
reference = "DPIA-2026-014"
expires = 2027-01-01
max_bytes_per_subscriber_per_day = "2 MiB"

[[transfer]]
from = "NL"
allow = ["NL", "DE", "BE"]
min_bytes_per_day = "100 MiB"
"#;

/// 2026-03-01T12:00:00Z.
const NOON: TimestampNs = TimestampNs(1_772_366_400_000_000_000);
/// 2027-01-01T00:00:00Z.
const NEW_YEAR: TimestampNs = TimestampNs(1_798_761_600_000_000_000);

fn parse(text: &str) -> Result<(Policy, Vec<PolicyWarning>), PolicyError> {
    Policy::parse(text, "p.toml", jiff::civil::date(2026, 3, 1))
}

#[test]
fn the_contracts_policy_means_what_it_says() {
    let (policy, warnings) = parse(CONTRACT).expect("the contract's example");
    assert_eq!(warnings, []);
    let [population] = policy.populations() else { panic!("one population") };
    assert_eq!((population.name.as_str(), population.jurisdiction.as_deref()), ("residents", Some("NL")));
    assert_eq!(population.prefixes.len(), 2);
    assert_eq!(population.resolvers, ["192.0.2.53".parse::<std::net::IpAddr>().expect("an address")]);
    let [entry] = policy.entries() else { panic!("one entry") };
    assert_eq!((entry.expires(), entry.subscriber_day_bytes_max), (Some(NEW_YEAR), Some(2 << 20)));
    let country = |code| Country::of_code(code).expect("a country");
    let transfer = policy.transfer_from(country("NL")).expect("a transfer");
    assert!(transfer.allows(country("DE")) && !transfer.allows(country("US")));
    assert_eq!(transfer.day_bytes_min(), 100 << 20);
    assert_eq!(policy.transfer_from(country("DE")), None);
    assert_eq!(parse("").expect("an empty policy").0, Policy::default());
}

#[test]
fn what_is_wrong_is_refused_by_line() {
    let replaced = |from: &str, to: &str| {
        assert!(CONTRACT.contains(from), "{from}");
        CONTRACT.replacen(from, to, 1)
    };
    let twice = format!("{CONTRACT}\n[[population]]\nname = \"residents\"\nprefixes = [\"10.30.0.0/16\"]\n");
    let same_prefix =
        format!("{CONTRACT}\n[[population]]\nname = \"b\"\nprefixes = [\n \"10.30.0.0/16\",\n \"10.20.0.0/16\"]\n");
    let transfers = format!("{CONTRACT}\n[[transfer]]\nfrom = \"NL\"\nallow = []\n");
    let table = [
        ("not TOML", "name = = 1".to_owned(), 1, "extra `=`"),
        ("unknown key", replaced("resolvers", "resolver"), 6, "unknown field `resolver`"),
        ("unknown table", "\n[[populations]]\n".to_owned(), 2, "unknown field `populations`"),
        ("missing key", "[[population]]\nprefixes = [\"10.0.0.0/8\"]\n".to_owned(), 1, "missing field `name`"),
        ("another type", replaced("\"NL\"\nresolvers", "7\nresolvers"), 5, "invalid type"),
        ("bad prefix", replaced("10.20.0.0/16", "10.20.0.0/33"), 4, "\"10.20.0.0/33\" is no prefix"),
        ("host bits", replaced("10.20.0.0/16", "10.20.0.1/16"), 4, "did you mean 10.20.0.0/16?"),
        ("same prefix", same_prefix, 27, "prefix 10.20.0.0/16 already belongs to population \"residents\", line 4"),
        ("population twice", twice, 24, "population \"residents\" is already defined in line 3"),
        ("no name", replaced("\"residents\"\n", "\" \"\n"), 3, "the name of this population is empty"),
        ("no prefixes", "[[population]]\nname = \"a\"\nprefixes = []".to_owned(), 2, "\"a\" has no prefix"),
        ("bad country", replaced("jurisdiction = \"NL\"", "jurisdiction = \"Netherlands\""), 5, "is no country code"),
        ("bad resolver", replaced("192.0.2.53", "ns.example"), 6, "\"ns.example\" is no IP address"),
        ("bad collector", replaced("asn:64500", "as:64500"), 10, "\"as:64500\" is no collector"),
        ("collector's host bits", replaced("198.51.100.0/24", "198.51.100.7/24"), 10, "did you mean 198.51.100.0/24?"),
        (
            "unknown population",
            replaced("[\"residents\"]", "[\"resident\"]"),
            11,
            "unknown population \"resident\"; defined: residents",
        ),
        (
            "unknown technique",
            replaced("\"population-fan-in\"", "\"fan-in\""),
            12,
            "unknown technique \"fan-in\"; known: population-fan-in",
        ),
        ("day in quotes", replaced("2027-01-01", "\"2027-01-01\""), 15, ""),
        ("moment, not day", replaced("2027-01-01", "2027-01-01T12:00:00Z"), 15, "is no day"),
        ("no such day", replaced("2027-01-01", "2027-02-30"), 15, ""),
        ("bad size", replaced("2 MiB", "two MiB"), 16, "\"two MiB\" is no size"),
        ("negative size", replaced("\"2 MiB\"", "-1"), 16, "\"-1\" is no size"),
        ("size of another type", replaced("\"2 MiB\"", "true"), 16, ""),
        ("bad country in transfer", replaced("\"BE\"", "\"Belgium\""), 20, "\"Belgium\" is no country code"),
        ("bad transfer size", replaced("100 MiB", "lots"), 21, "\"lots\" is no size"),
        ("transfer twice", transfers, 24, "transfers from NL are already described in line 19"),
    ];
    let mut all = String::new();
    for (name, text, line, part) in table {
        let error = parse(&text).map(|_| ()).expect_err(name).to_string();
        assert!(error.starts_with(&format!("policy p.toml, line {line}: ")), "{name}: {error}");
        assert!(error.contains(part), "{name}: {error}");
        assert!(!error.contains('\n'), "{name}: {error}");
        all.push_str(&format!("{name}: {error}\n"));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn what_is_doubtful_is_warned_about_by_line() {
    let replaced = |from: &str, to: &str| CONTRACT.replacen(from, to, 1);
    let table = [
        ("nothing", CONTRACT.to_owned(), vec![]),
        ("expired", replaced("2027-01-01", "2026-02-28"), vec![(15, "\"Acme OS telemetry\" expired on 2026-02-28")]),
        ("expires today", replaced("2027-01-01", "2026-03-01"), vec![(15, "expired on 2026-03-01")]),
        ("expires tomorrow", replaced("2027-01-01", "2026-03-02"), vec![]),
        ("no papers", replaced("reference = \"DPIA-2026-014\"", ""), vec![(9, "names no reference")]),
        (
            "too wide",
            replaced("asn:64500", "sni:*.com"),
            vec![(10, "\"sni:*.com\" covers everyone below a public suffix")],
        ),
        (
            "no such jurisdiction",
            replaced("from = \"NL\"", "from = \"FR\""),
            vec![(19, "no population has the jurisdiction FR")],
        ),
    ];
    for (name, text, wanted) in table {
        let (_, warnings) = parse(&text).expect(name);
        assert_eq!(warnings.len(), wanted.len(), "{name}: {warnings:?}");
        for (warning, (line, part)) in warnings.iter().zip(wanted) {
            let text = warning.to_string();
            assert!(
                text.starts_with(&format!("policy p.toml, line {line}: ")) && text.contains(part),
                "{name}: {text}"
            );
        }
    }
}

#[test]
fn days_are_moments_within_the_clock() {
    let table = [
        ("1969-12-31", TimestampNs::ZERO),
        ("2027-01-01", NEW_YEAR),
        ("3000-01-01", TimestampNs::MAX),
        ("9999-12-31", TimestampNs::MAX),
    ];
    for (day, wanted) in table {
        let (policy, _) = parse(&CONTRACT.replacen("2027-01-01", day, 1)).expect(day);
        assert_eq!(policy.entries()[0].expires(), Some(wanted), "{day}");
    }
}

#[test]
fn a_file_is_read_or_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("a.policy.toml");
    std::fs::write(&path, CONTRACT).expect("a written file");
    assert_eq!(
        Policy::load(&path, jiff::civil::date(2026, 3, 1)).expect("a policy").0,
        parse(CONTRACT).expect("a policy").0
    );
    let none = dir.path().join("none.toml");
    let error = Policy::load(&none, jiff::civil::date(2026, 3, 1)).map(|_| ()).expect_err("no file").to_string();
    assert!(error.contains("none.toml") && error.contains("cannot be read"), "{error}");
}

/// A fan-in at the contract's collector that its entry allows.
fn finding() -> Finding {
    Finding {
        technique: Technique::PopulationFanIn,
        severity: Severity::High,
        score: 0.9,
        p_value: 0.001,
        collector: CollectorIdentity {
            addresses: vec![Address::v4([198, 51, 100, 7])],
            ..CollectorIdentity::default()
        },
        population: PopulationShare { name: "residents".into(), subscribers: 100, ..PopulationShare::default() },
        start: NOON,
        end: NOON.after(DurationNs::from_secs(3600)),
        proto: "TCP",
        app_proto: None,
        community_id: None,
        flows: 1,
        packets: 1,
        bytes_up: 100 << 20,
        bytes_down: 0,
        days: 1.0,
        evidence: vec![],
        verdict: Verdict::Unregistered,
        headline: String::new(),
        explanation: String::new(),
    }
}

fn collector(addresses: &[[u8; 4]], names: &[&str], asn: Option<u32>) -> CollectorIdentity {
    CollectorIdentity {
        addresses: addresses.iter().map(|octets| Address::v4(*octets)).collect(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        asn,
        ..CollectorIdentity::default()
    }
}

/// What the contract's entry says: none for unregistered, else the reason, empty where it authorises.
fn verdict_of(policy: &Policy, mut finding: Finding) -> Option<String> {
    let severity = finding.severity;
    policy.judge(&mut finding);
    let again = finding.clone();
    policy.judge(&mut finding);
    assert_eq!(finding, again, "judging twice");
    match finding.verdict {
        Verdict::Unregistered => {
            assert_eq!(finding.severity, severity);
            None
        }
        Verdict::Authorised { name, reference } => {
            assert_eq!((name.as_str(), reference.as_str()), ("Acme OS telemetry", "DPIA-2026-014"));
            assert_eq!(finding.severity, Severity::Info);
            Some(String::new())
        }
        Verdict::Refused { reason, .. } => {
            assert_eq!(finding.severity, severity);
            Some(reason)
        }
    }
}

#[test]
fn each_verdict() {
    let (policy, _) = parse(CONTRACT).expect("the contract's example");
    let of = |collector: CollectorIdentity| Finding { collector, ..finding() };
    let inside = [198, 51, 100, 7];
    let outside = [203, 0, 113, 7];
    let table: Vec<(&str, Finding, Option<&str>)> = vec![
        ("by prefix", finding(), Some("")),
        ("all addresses", of(collector(&[inside, [198, 51, 100, 8]], &[], None)), Some("")),
        (
            "one address, called through a translator too",
            of(CollectorIdentity {
                addresses: vec![Address::v4(inside), Address::v4(inside).translated().expect("IPv4")],
                ..CollectorIdentity::default()
            }),
            Some(""),
        ),
        ("by system", of(collector(&[outside], &["x.example"], Some(64500))), Some("")),
        (
            "by names",
            of(collector(&[outside], &["a.telemetry.acme.example", "b.telemetry.acme.example"], None)),
            Some(""),
        ),
        ("someone else", of(collector(&[outside], &["x.example"], Some(64501))), None),
        ("no one", of(CollectorIdentity::default()), None),
        (
            "part of the addresses",
            of(collector(&[inside, outside], &[], None)),
            Some("it covers 1 of the collector's 2 addresses"),
        ),
        (
            "part of the names",
            of(collector(&[outside], &["a.telemetry.acme.example", "x.example", "y.example"], None)),
            Some("it covers 1 of the collector's 3 names"),
        ),
        ("at the limit", Finding { bytes_up: 200 << 20, ..finding() }, Some("")),
        (
            "over the limit",
            Finding { bytes_up: 310 << 20, ..finding() },
            Some("3.1 MiB a subscriber and day, limit 2.0 MiB"),
        ),
        ("over the limit, in two days", Finding { bytes_up: 310 << 20, days: 2.0, ..finding() }, Some("")),
        ("days below one count as one", Finding { bytes_up: 200 << 20, days: 0.01, ..finding() }, Some("")),
        (
            "no subscriber counted",
            Finding {
                population: PopulationShare { name: "residents".into(), ..PopulationShare::default() },
                bytes_up: 3 << 20,
                ..finding()
            },
            Some("3.0 MiB a subscriber and day, limit 2.0 MiB"),
        ),
        ("the last moment", Finding { end: NEW_YEAR.before(DurationNs(1)), ..finding() }, Some("")),
        ("went on too long", Finding { end: NEW_YEAR, ..finding() }, Some("expired on 2027-01-01")),
        (
            "another population",
            Finding { population: PopulationShare { name: "staff".into(), ..finding().population }, ..finding() },
            Some("it is for the population residents, not for staff"),
        ),
        (
            "another technique",
            Finding { technique: Technique::ShadowUpload, ..finding() },
            Some("it is for the technique population-fan-in, not for shadow-upload"),
        ),
        ("no technique at all", Finding { technique: Technique::UnattributedCluster, ..finding() }, Some("")),
    ];
    for (name, finding, wanted) in table {
        assert_eq!(verdict_of(&policy, finding).as_deref(), wanted, "{name}");
    }
}

#[test]
fn an_interceptor_is_meant_by_most_of_the_servers_as_which_it_poses() {
    let named = CONTRACT.replacen("\"population-fan-in\"", "\"tls-interception\"", 1);
    let unnamed = CONTRACT.replacen("techniques = [\"population-fan-in\"]", "", 1);
    let fan_in = CONTRACT.to_owned();
    let inside = |last: u8| [198, 51, 100, last];
    let (two_of_three, one_of_two) = (vec![inside(7), inside(8), [203, 0, 113, 7]], vec![inside(7), [203, 0, 113, 7]]);
    use Technique::{PopulationFanIn, TlsInterception};
    let table = [
        ("most of it", &named, TlsInterception, &two_of_three, Severity::Low, "it names 2 of the 3 servers"),
        ("half of it", &named, TlsInterception, &one_of_two, Severity::High, "it covers 1 of the collector's 2"),
        ("no entry for interception", &unnamed, TlsInterception, &two_of_three, Severity::High, "it covers 2 of the"),
        ("another technique", &fan_in, PopulationFanIn, &two_of_three, Severity::High, "it covers 2 of the"),
    ];
    for (name, text, technique, addresses, severity, wanted) in table {
        let collector = collector(addresses, &[], None);
        let mut finding = Finding { technique, collector, severity: Severity::High, ..finding() };
        parse(text).expect("a policy").0.judge(&mut finding);
        let Verdict::Refused { reason, .. } = &finding.verdict else { panic!("{name}: {:?}", finding.verdict) };
        assert!(reason.starts_with(wanted) && finding.severity == severity, "{name}: {reason}, {:?}", finding.severity);
    }
}

#[test]
fn injection_is_excused_only_by_its_name() {
    let unnamed = CONTRACT.replacen("techniques = [\"population-fan-in\"]", "", 1);
    let named = CONTRACT.replacen("\"population-fan-in\"", "\"packet-injection\"", 1);
    let injection = Finding { technique: Technique::PacketInjection, severity: Severity::Critical, ..finding() };
    let reason = "packet-injection is excused only by an entry that names the technique";
    for (text, wanted) in [(unnamed, Some(reason)), (named, Some(""))] {
        assert_eq!(verdict_of(&parse(&text).expect("a policy").0, injection.clone()).as_deref(), wanted);
    }
}

#[test]
fn the_nearest_entry_is_named_and_order_breaks_ties() {
    let entry = |name: &str, more: &str| {
        format!(
            "[[authorised]]\nname = \"{name}\"\ncollectors = [\"198.51.100.0/24\"]\nlegal_basis = \"b\"\nreference = \"r\"\n{more}\n"
        )
    };
    let expired = entry("expired", "expires = 2020-01-01");
    let limited = entry("limited", "max_bytes_per_subscriber_per_day = 10");
    let (one, two) = (entry("one", ""), entry("two", ""));
    let table = [
        ("an authorisation beats all", [&expired, &limited, &one], "one"),
        ("order breaks ties", [&expired, &two, &one], "two"),
        ("a limit is nearer than a day", [&expired, &limited, &expired], "limited"),
    ];
    for (case, entries, wanted) in table {
        let (policy, _) = parse(&entries.map(String::as_str).concat()).expect(case);
        let mut judged = finding();
        policy.judge(&mut judged);
        let (Verdict::Authorised { name, .. } | Verdict::Refused { name, .. }) = judged.verdict else {
            panic!("{case}")
        };
        assert_eq!(name, wanted, "{case}");
    }
}

#[test]
fn detectors_may_ask_who_may() {
    use crate::detect::register::Register;
    use crate::population::populations::EVERYBODY;
    let (policy, _) = parse(CONTRACT).expect("the contract's example");
    let inside = collector(&[[198, 51, 100, 7]], &[], None);
    let mixed = collector(&[[198, 51, 100, 7], [203, 0, 113, 7]], &[], None);
    let table = [
        ("an address of the entry", &inside, Technique::PopulationFanIn, "residents", NOON, true),
        ("another technique", &inside, Technique::ShadowUpload, "residents", NOON, false),
        ("another population", &inside, Technique::PopulationFanIn, "staff", NOON, false),
        ("all populations, of which it names one", &inside, Technique::PopulationFanIn, EVERYBODY, NOON, false),
        ("expired", &inside, Technique::PopulationFanIn, "residents", NEW_YEAR, false),
        ("a stranger among them", &mixed, Technique::PopulationFanIn, "residents", NOON, false),
    ];
    for (name, party, technique, population, at, wanted) in table {
        assert_eq!(policy.allows(technique, party, population, at), wanted, "{name}");
    }
}
