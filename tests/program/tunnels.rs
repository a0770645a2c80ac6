//! Real tunnels: whose inner addresses are a population, that population's traffic is told of.

use crate::captures;
use crate::every_file::in_parallel;
use crate::run::replay;

/// File, an inner address, the least severity that it must have: `critical` where both directions travel one way.
const TUNNELS: &[(&str, &str, &str)] = &[
    ("ndpi__4in4tunnel.pcap", "10.10.100.25", "low"),
    ("ndpi__4in6tunnel.pcap", "192.168.0.1", "low"),
    ("zeek__tunnels__4in4.pcap", "10.0.0.1", "low"),
    ("zeek__tunnels__4in6.pcap", "70.55.213.211", "low"),
    ("zeek__tunnels__6in6-tunnel-change.pcap", "cafe::babe", "low"),
    ("zeek__tunnels__6in6in6.pcap", "dead::beef", "low"),
    ("suricata-verify__decode-erspan-typeII-01__input.pcap", "23.0.0.2", "critical"),
    ("tcpdump__erspan-type-i-1.pcap", "10.52.128.233", "critical"),
    ("tcpdump__erspan-type-ii-2.pcap", "10.200.101.2", "high"),
    ("tcpdump__erspan-type-iii-ft-0.pcap", "10.29.11.1", "high"),
    ("zeek__erspanIII.pcap", "192.168.15.47", "critical"),
    ("tcpdump__wccp_redirect_gre.pcap", "10.254.108.228", "low"),
    ("suricata-verify__vxlan-decoder-01__input.pcap", "10.96.0.10", "low"),
    ("suricata-verify__vxlan-decoder-02__vxlan.pcap", "192.168.203.3", "low"),
    ("suricata-verify__vxlan-decoder-03__vxlan.pcap", "172.31.0.238", "critical"),
    ("suricata-verify__vxlan-non-zero-reserved-fields__input.pcap", "192.168.1.134", "critical"),
    ("tcpdump__vxlan_port_8472.pcap", "192.168.203.3", "low"),
    ("tcpdump__bigtcp-ipv4-vxlan-ipv4.pcap", "192.168.1.1", "low"),
    ("tcpdump__bigtcp-ipv6-vxlan-ipv6.pcap", "fd00::1", "low"),
    ("zeek__tunnels__vxlan.pcap", "10.0.0.1", "low"),
    ("zeek__tunnels__vxlan-triple-v2.pcap", "4.4.4.4", "low"),
    ("tcpdump__bigtcp-ipv4-geneve-ipv6.pcap", "fd00::1", "low"),
    ("tcpdump__gso-ipv4-geneve-ipv4.pcap", "192.168.1.1", "low"),
    ("tcpdump__geneve-gcp.pcap", "192.168.100.1", "low"),
    ("zeek__tunnels__geneve-ipv6.pcap", "fd00::1", "low"),
    // What gives people their access is told of, and no more.
    ("zeek__tunnels__6in4.pcap", "cafe::babe", "info"),
    ("zeek__tunnels__ayiya-large-identity.pcap", "fd00::1", "info"),
    ("zeek__tunnels__gtp__gtp1_gn_normal_incl_fragmentation.pcap", "79.101.110.141", "info"),
];

const SEVERITIES: [&str; 5] = ["info", "low", "medium", "high", "critical"];

#[test]
fn whoever_carries_a_population_is_told_of() {
    let files = captures::below("tunnels");
    let wrong = in_parallel(&files, |file| {
        let name = file.file_name()?.to_str()?;
        let (_, inner, least) = TUNNELS.iter().find(|(known, ..)| *known == name)?;
        let ran = replay(file, &["--population", inner]);
        let rank = |word: &str| SEVERITIES.iter().position(|severity| *severity == word);
        let worst = ran
            .findings()
            .iter()
            .filter(|finding| finding["trawl"]["technique"] == "traffic-mirroring")
            .filter_map(|finding| rank(finding["trawl"]["severity"].as_str()?))
            .max();
        (worst < rank(least)).then(|| format!("{name}: {:?} instead of {least}", worst.map(|at| SEVERITIES[at])))
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
