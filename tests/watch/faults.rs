//! What goes wrong around a watch, and does not stop it.

use std::path::Path;
use std::process::Command;

use super::net::{Net, folder, shipped};
use super::program::{Watch, accounted, news, stats};

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn an_interface_that_goes_down_or_away_is_heard_again_when_it_is_back() {
    let Some(net) = Net::new(&["tcpreplay"]) else { return };
    let folder = folder();
    let (capture, _) = shipped("mirroring", folder.path());
    let watch = Watch::start(&net, &["--format", "json", "--window", "1s"]);
    let fast = ["--topspeed", "--limit", "2000"];
    let mut sent = net.send(&capture, &fast);
    watch.wait_for("the first packets", |watch| watch.stderr().contains("window to"));
    assert!(net.ip(&["link", "set", "vb", "down"]));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(net.ip(&["link", "set", "vb", "up"]));
    sent += net.send(&capture, &fast);
    watch.wait_for("packets after it was down", |watch| frames_told(&watch.stdout()) == sent);
    // Gone, and another one of that name.
    assert!(net.ip(&["link", "del", "va"]));
    watch.wait_for("word that it has gone", |watch| watch.stderr().contains("vb: has gone"));
    assert!(net.plug());
    watch.wait_for("word that it is back", |watch| watch.stderr().contains("vb: is back"));
    sent += net.send(&capture, &fast);
    watch.wait_for("packets after it was away", |watch| frames_told(&watch.stdout()) == sent);
    assert_eq!(accounted(&watch.stop().stats()), sent);
}

/// Packets of all windows told so far.
fn frames_told(stdout: &str) -> u64 {
    let lines = stdout.lines().filter(|line| line.contains("\"lost_share\""));
    lines.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()?["stats"]["frames"].as_u64()).sum()
}

#[test]
fn a_bad_policy_is_refused_a_good_one_taken_and_outputs_are_rotated() {
    let Some(net) = Net::new(&["tcpreplay"]) else { return };
    let folder = folder();
    let (capture, policy) = shipped("mirroring", folder.path());
    let (out, moved) = (folder.path().join("out.jsonl"), folder.path().join("out.1"));
    let good = std::fs::read_to_string(&policy).expect("reads");
    let watch = Watch::start(
        &net,
        &["--format", "json", "--window", "1s", "--policy", &text(&policy), "--output", &text(&out)],
    );
    let mut sent = net.send(&capture, &["--multiplier", "900"]);
    std::fs::write(&policy, "[[population]]\nnam = 1\n").expect("writes");
    watch.signal("-HUP");
    watch.wait_for("a refusal", |watch| watch.stderr().contains("the policy was refused"));
    std::fs::rename(&out, &moved).expect("moves");
    std::fs::write(&policy, &good).expect("writes");
    watch.signal("-HUP");
    watch.wait_for("a reload", |watch| watch.stderr().contains("the policy was loaded again"));
    watch.wait_for("a new file", |_| out.is_file());
    // Another population: the pipeline is built anew over the same sockets, and loses nothing.
    std::fs::write(&policy, good.replace("10.20.", "10.21.")).expect("writes");
    watch.signal("-HUP");
    watch.wait_for("another population", |watch| watch.stderr().contains("other populations"));
    sent += net.send(&capture, &["--topspeed"]);
    let ended = watch.stop();
    let (before, after) = (std::fs::read_to_string(&moved), std::fs::read_to_string(&out));
    let (before, after) = (before.expect("reads"), after.expect("reads"));
    assert!(!news(&before).is_empty(), "{before}");
    assert_eq!(accounted(&stats(&after)), sent, "{}", ended.stderr);
}

#[test]
fn a_kill_and_a_restart_repeat_nothing_that_was_told() {
    let Some(net) = Net::new(&["tcpreplay"]) else { return };
    let folder = folder();
    let (capture, policy) = shipped("mirroring", folder.path());
    let state = folder.path().join("state");
    let (policy, state_text) = (text(&policy), text(&state));
    let args = ["--format", "json", "--window", "1s", "--policy", &policy, "--state", &state_text];
    let watch = Watch::start(&net, &args);
    net.send(&capture, &["--multiplier", "600"]);
    watch.wait_for("findings", |watch| news(&whole_lines(&watch.stdout())).len() >= 2);
    // The state is written with the window that told them: when no window follows, it is there.
    let windows = |watch: &Watch| watch.stderr().matches("window to").count();
    while {
        let before = windows(&watch);
        std::thread::sleep(std::time::Duration::from_millis(2_500));
        windows(&watch) > before
    } {}
    watch.signal("-KILL");
    let told: Vec<_> = ids(&watch.ended().stdout, "new");
    let watch = Watch::start(&net, &args);
    watch.wait_for("what the last run knew", |watch| watch.stderr().contains("goes on from what the last run knew"));
    net.send(&capture, &["--multiplier", "600", "--limit", "20000"]);
    let again = ids(&watch.stop().stdout, "new");
    let repeated: Vec<_> = again.iter().filter(|id| told.contains(id)).collect();
    assert!(!told.is_empty() && repeated.is_empty(), "told {told:?}, told again {repeated:?}");
    // One that cannot be read is set aside, and the run begins anew.
    std::fs::write(&state, b"TRAWLST\nnonsense").expect("writes");
    let watch = Watch::start(&net, &args);
    watch.wait_for("a word about it", |watch| watch.stderr().contains("set aside as"));
    assert_eq!(watch.stop().status, Some(0));
    assert!(folder.path().join("state.unreadable").is_file());
}

/// Without a last line that is still being written.
fn whole_lines(text: &str) -> String {
    text[..text.rfind('\n').map_or(0, |end| end + 1)].to_owned()
}

fn ids(stdout: &str, change: &str) -> Vec<String> {
    let told = news(&whole_lines(stdout)).into_iter().filter(|line| line["trawl"]["change"] == change);
    told.map(|line| line["trawl"]["finding_id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn a_full_disk_stops_the_file_and_not_the_capture() {
    let Some(net) = Net::new(&["tcpreplay"]) else { return };
    let outer = folder();
    let disk = Disk::mount(&outer.path().join("disk"));
    let Some(disk) = disk else {
        println!("not run: this user may not mount");
        return;
    };
    let (capture, policy) = shipped("mirroring", outer.path());
    let ballast = disk.0.join("ballast");
    std::fs::write(&ballast, vec![0; 4096 * 14]).expect("writes");
    let out = disk.0.join("out.jsonl");
    let watch = Watch::start(
        &net,
        &["--format", "json", "--window", "1s", "--policy", &text(&policy), "--output", &text(&out)],
    );
    let mut sent = net.send(&capture, &["--multiplier", "300"]);
    watch.wait_for("word of a full disk", |watch| watch.stderr().contains("No space left"));
    sent += net.send(&capture, &["--topspeed"]);
    std::fs::remove_file(&ballast).expect("removes");
    watch.wait_for("word that it works again", |watch| watch.stderr().contains("works again"));
    let ended = watch.stop();
    // Not a line is broken, and the account is whole.
    let written = std::fs::read_to_string(&out).expect("reads");
    assert_eq!(accounted(&stats(&written)), sent, "{}", ended.stderr);
}

#[test]
fn a_state_that_finds_no_room_stays_as_it_was() {
    let Some(net) = Net::new(&["tcpreplay"]) else { return };
    let outer = folder();
    let Some(disk) = Disk::mount(&outer.path().join("disk")) else {
        println!("not run: this user may not mount");
        return;
    };
    let (capture, policy) = shipped("demo", outer.path());
    let (state, policy) = (text(&disk.0.join("state")), text(&policy));
    let args = ["--format", "json", "--window", "1s", "--policy", &policy, "--state", &state];
    let watch = Watch::start(&net, &args);
    let mut sent = net.send(&capture, &["--topspeed"]);
    watch.wait_for("word of a state without room", |watch| watch.stderr().contains("--state: cannot be written"));
    sent += net.send(&capture, &["--topspeed", "--limit", "2000"]);
    let ended = watch.stop();
    assert_eq!(accounted(&ended.stats()), sent, "{}", ended.stderr);
    assert!(!disk.0.join("state.part").exists(), "half a state is not left behind");
    // What is there is whole: the one that was written last, or the first.
    let watch = Watch::start(&net, &args);
    watch.wait_for("what the last run knew", |watch| watch.stderr().contains("goes on from what the last run knew"));
    watch.stop();
}

/// A tiny file system; unmounted when dropped.
struct Disk(std::path::PathBuf);

impl Disk {
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir(at).expect("a folder of ours");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k,mode=777", "tmpfs"]).arg(at).status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_webhook_that_hangs_delays_nothing() {
    let Some(net) = Net::new(&["tcpreplay"]) else { return };
    let folder = folder();
    let (capture, policy) = shipped("mirroring", folder.path());
    // A neighbour that nobody is: what is sent to it goes out and is never answered.
    assert!(net.ip(&["link", "add", "hole", "type", "veth", "peer", "name", "nobody"]));
    assert!(net.ip(&["link", "set", "hole", "up"]) && net.ip(&["link", "set", "nobody", "up"]));
    assert!(net.ip(&["address", "add", "192.0.2.1/24", "dev", "hole"]));
    assert!(net.ip(&["neighbour", "add", "192.0.2.99", "lladdr", "02:00:00:00:00:63", "dev", "hole"]));
    let watch = Watch::start(
        &net,
        &["--format", "json", "--window", "1s", "--policy", &text(&policy), "--webhook", "http://192.0.2.99/hook"],
    );
    let sent = net.send(&capture, &["--multiplier", "600"]);
    watch.wait_for("findings", |watch| !news(&whole_lines(&watch.stdout())).is_empty());
    let ended = watch.stop();
    assert_eq!(accounted(&ended.stats()), sent, "{}", ended.stderr);
    assert!(ended.stderr.contains("webhook: "), "{}", ended.stderr);
    println!("ended {:?} after the signal", ended.took);
}

#[test]
fn a_reader_that_goes_away_does_not_end_the_capture() {
    let Some(net) = Net::new(&["tcpreplay"]) else { return };
    let folder = folder();
    let (capture, policy) = shipped("mirroring", folder.path());
    let (policy, error) = (text(&policy), folder.path().join("stderr"));
    let pipe = format!(
        "{} watch -i vb --format json --window 1s --policy {policy} 2>{} | head -n 1",
        env!("CARGO_BIN_EXE_trawlwatch"),
        error.display()
    );
    let mut child = net.command("sh").args(["-c", &pipe]).stdout(std::process::Stdio::null()).spawn().expect("starts");
    let said = || std::fs::read_to_string(&error).unwrap_or_default();
    let wait = |wanted: &str| {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !said().contains(wanted) {
            assert!(std::time::Instant::now() < until, "waited in vain for {wanted}: {}", said());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    wait("confined:");
    net.send(&capture, &["--multiplier", "600"]);
    wait("whoever read it has gone");
    let before = said().matches("window to").count();
    net.send(&capture, &["--multiplier", "900"]);
    wait("window to");
    assert!(said().matches("window to").count() >= before);
    let found = Command::new("pgrep").args(["-f", &format!("watch -i vb.*{policy}")]).output().expect("pgrep starts");
    for pid in String::from_utf8_lossy(&found.stdout).split_whitespace() {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if name.trim() == "trawlwatch" {
            assert!(Command::new("kill").args(["-TERM", pid]).status().expect("kill starts").success());
        }
    }
    child.wait().expect("ends");
}
