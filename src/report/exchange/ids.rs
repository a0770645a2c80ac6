//! Identifiers of STIX objects.
//! In: an object's type and what makes it itself. Out: `type--uuid`, the same for the same thing in every run.
//! Cyber observables: UUIDv5 in the standard's own name space over the canonical JSON (RFC 8785) of their contributing
//! properties (STIX 2.1, section 2.9). Other objects: UUIDv5 in a name space of this project, since the standard only asks
//! that they be unique. Sources: OASIS STIX 2.1, RFC 8785, RFC 9562.

use serde_json::Value;
use uuid::Uuid;

/// Name space of cyber observables (STIX 2.1, section 2.9).
const OBSERVABLES: Uuid = Uuid::from_u128(0x00abedb4_aa42_466c_9c01_fed23315a9b7);

/// The id of a cyber observable: `contributing` is a JSON object of its contributing properties that are present.
pub(super) fn of_observable(kind: &str, contributing: &Value) -> String {
    format!("{kind}--{}", Uuid::new_v5(&OBSERVABLES, canonical(contributing).as_bytes()))
}

/// The id of any other object of this project.
pub(super) fn of_object(kind: &str, what: &str) -> String {
    format!("{kind}--{}", uuid_of(&format!("{kind} {what}")))
}

/// A UUID of this project.
pub(super) fn uuid_of(what: &str) -> Uuid {
    let ours = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"https://trawlwatch.example/ids");
    Uuid::new_v5(&ours, what.as_bytes())
}

/// Canonical JSON (RFC 8785) of what ids are made of: strings, whole numbers, lists and objects.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            // By UTF-16 units, as the RFC has it.
            entries.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::String(key.clone()), canonical(value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn observables_have_the_ids_that_others_give_them() {
        // As the OASIS reference library (stix2 3.0.2) computes them.
        let address = "ipv4-addr--9ddd739e-87b1-587d-83f2-62ef1130af2f";
        for (kind, contributing, wanted) in [
            ("ipv4-addr", json!({"value": "203.0.113.7"}), address),
            ("ipv6-addr", json!({"value": "2001:db8::7"}), "ipv6-addr--9ed76cd5-ab3b-55a5-b6ec-b55c3efb0be2"),
            ("domain-name", json!({"value": "c.example"}), "domain-name--4c5390da-0492-5b3d-85e3-081d52e3699d"),
            ("autonomous-system", json!({"number": 64500}), "autonomous-system--0a5f7072-df00-5729-9f0a-4eb18631a446"),
            (
                "network-traffic",
                json!({"dst_ref": address, "dst_port": 443, "protocols": ["ipv4", "tcp", "tls"]}),
                "network-traffic--6a944c30-f7bc-574f-a256-cbe2239c33a6",
            ),
        ] {
            assert_eq!(of_observable(kind, &contributing), wanted, "{kind}");
        }
    }

    #[test]
    fn canonical_json_sorts_keys_and_adds_no_space() {
        assert_eq!(
            canonical(&json!({"b": [1, "x\"y"], "a": {"d": "é", "c": 2}})),
            r#"{"a":{"c":2,"d":"é"},"b":[1,"x\"y"]}"#
        );
    }
}
