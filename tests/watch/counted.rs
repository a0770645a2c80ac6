//! Packets seen and packets counted as lost are the packets that were sent, exactly.

use super::net::{Net, folder, shipped};
use super::program::{Watch, accounted};

#[test]
fn at_top_speed_through_a_small_ring_every_packet_is_seen_or_counted() {
    for options in [&["--workers", "1"][..], &["--workers", "3"], &["--fanout", "2"]] {
        let Some(net) = Net::new(&["tcpreplay"]) else { return };
        let folder = folder();
        // Without fragments: fanout puts them together, and then two packets are one.
        let (capture, _) = shipped("injection", folder.path());
        let mut args = vec!["--format", "json", "--window", "1s", "--buffer-mib", "1"];
        args.extend(options);
        let watch = Watch::start(&net, &args);
        let sent = net.send(&capture, &["--topspeed", "--loop", "6", "-K"]);
        let ended = watch.stop();
        let stats = ended.stats();
        println!("{options:?}: {sent} sent, {} seen, lost {}", stats["frames"], stats["drops"]);
        assert_eq!(accounted(&stats), sent, "{options:?}: {stats}");
        let is_lossy = stats["drops"].as_object().is_some_and(|drops| !drops.is_empty());
        assert!(!is_lossy || [Some(1), Some(4)].contains(&ended.status), "{options:?}: loss shows in the status");
        // Each loss stands with the window that it fell into, and all of them together are the whole.
        let windows: Vec<_> = ended.stdout.lines().filter(|line| line.contains("\"lost_share\"")).collect();
        let sum = |key: &str| -> u64 {
            let each = windows.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
            each.map(|line| line["stats"]["drops"][key].as_u64().unwrap_or(0)).sum()
        };
        for cause in ["kernel-ring-full", "worker-queue-full"] {
            assert_eq!(sum(cause), stats["drops"][cause].as_u64().unwrap_or(0), "{options:?}: {cause} by window");
        }
    }
}

#[test]
fn several_interfaces_all_of_them_and_queues_of_one_count_each_packet_where_it_passed() {
    for (options, times) in [(&["-i", "va"][..], 2), (&["-i", "any"], 3), (&["--fanout", "2"], 1)] {
        let Some(net) = Net::new(&["tcpreplay"]) else { return };
        let folder = folder();
        // Without fragments, as above.
        let (capture, _) = shipped("injection", folder.path());
        let watch = Watch::start(&net, &[&["--format", "json"], options].concat());
        let sent = net.send(&capture, &["--topspeed", "--limit", "3000", "-K"]);
        let stats = watch.stop().stats();
        // It leaves by `va` and comes in by `vb`; `any` hears both.
        assert_eq!(accounted(&stats), sent * times, "{options:?}: {stats}");
        let times = ["first_packet", "last_packet"].map(|key| stats[key].as_str().unwrap_or_default().to_owned());
        assert_eq!(times[0][..10], times[1][..10], "{options:?}: a lane begins with its first packet: {times:?}");
    }
}

#[test]
fn a_filter_is_checked_before_the_start_and_kept_by_the_kernel() {
    let Some(net) = Net::new(&["tcpreplay"]) else { return };
    let program = env!("CARGO_BIN_EXE_trawlwatch");
    let table = [
        (&["-i", "vb", "--filter", "tcp prot 80"][..], 2, "pcap-filter"),
        (&["-i", "vx"], 2, "no such interface"),
        (&["-i", "lo"], 3, "ip link set lo up"),
        (&["-i", "vb", "-i", "vb"], 2, "twice"),
        (&["-i", "vb", "--syslog", "siem"], 2, "udp://host:514"),
        (&["-i", "vb", "--tui"], 2, "must be a terminal"),
    ];
    for (args, status, wanted) in table {
        let out = net.command(program).arg("watch").args(args).output().expect("starts");
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(status), "{args:?}: {said}");
        assert!(said.contains(wanted), "{args:?}: {said}");
    }
    let folder = folder();
    let (capture, _) = shipped("mirroring", folder.path());
    let watch = Watch::start(&net, &["--format", "json", "--filter", "udp"]);
    let sent = net.send(&capture, &["--topspeed"]);
    let stats = watch.stop().stats();
    let frames = stats["frames"].as_u64().expect("a number");
    assert!(frames > 0 && frames < sent, "{frames} of {sent}");
    let listed = net.command(program).args(["watch", "--list"]).output().expect("starts");
    let listed = String::from_utf8_lossy(&listed.stdout);
    assert!(listed.lines().any(|line| line.starts_with("vb ") && line.contains("Ethernet (1)")), "{listed}");
    assert!(listed.lines().any(|line| line.starts_with("lo ") && line.contains("is down")), "{listed}");
}
