//! After the start: an unprivileged user, no capability, no new privileges, threads that the kernel holds to a list.

use super::net::{Net, folder};
use super::program::Watch;

fn status_of(path: &std::path::Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| line.split_once(':')).map(|(k, v)| (k.to_owned(), v.trim().to_owned())).collect()
}

#[test]
fn the_process_has_no_privilege_left() {
    let Some(net) = Net::new(&[]) else { return };
    let folder = folder();
    let state = folder.path().join("state").to_str().expect("UTF-8").to_owned();
    let watch = Watch::start(&net, &["--workers", "2", "--state", &state]);
    let tasks = std::path::PathBuf::from(format!("/proc/{}/task", watch.pid()));
    let threads = || -> Vec<Vec<(String, String)>> {
        let entries = std::fs::read_dir(&tasks).expect("a process of ours");
        entries.flatten().map(|entry| status_of(&entry.path().join("status"))).collect()
    };
    let of = |status: &[(String, String)], key: &str| {
        status.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let confined = || threads().iter().filter(|status| of(status, "Seccomp") == "2").count();
    watch.wait_for("two workers and a lane under seccomp", |_| confined() == 3);
    for status in threads() {
        let name = of(&status, "Name");
        assert_eq!(of(&status, "NoNewPrivs"), "1", "{name}");
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(of(&status, set).trim_start_matches('0'), "", "{name}: {set}");
        }
        assert!(of(&status, "Uid").split_whitespace().all(|uid| uid != "0"), "{name}: {}", of(&status, "Uid"));
        assert!(of(&status, "Gid").split_whitespace().all(|gid| gid != "0"), "{name}: {}", of(&status, "Gid"));
        assert_eq!(of(&status, "Groups"), "", "{name}");
    }
    // It has tried /etc/shadow itself, and would say so.
    assert!(!watch.stderr().contains("/etc/shadow can be read"), "{}", watch.stderr());
    let ended = watch.stop();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

#[test]
fn without_the_capability_it_says_what_to_do() {
    let Some(net) = Net::new(&["setpriv"]) else { return };
    let program = env!("CARGO_BIN_EXE_trawlwatch");
    // The built program may lie where another user cannot reach it: a copy lies open.
    let folder = folder();
    let copy = folder.path().join("trawlwatch");
    std::fs::copy(program, &copy).expect("copies");
    let out = net
        .command("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set=-all"])
        .arg(&copy)
        .args(["watch", "-i", "vb"])
        .current_dir(folder.path())
        .output()
        .expect("starts");
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(3), "{said}");
    for wanted in [format!("sudo setcap cap_net_raw=ep {}", copy.display()).as_str(), "--print-unit", "systemctl"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_trawlwatch")).args(["watch", "--print-unit"]).output();
    let unit = String::from_utf8(out.expect("starts").stdout).expect("text");
    let folder = folder();
    let path = folder.path().join("trawlwatch.service");
    // The program that it names is not installed here: another one stands for it.
    std::fs::write(&path, unit.replace("/usr/local/bin/trawlwatch", "/bin/true")).expect("writes");
    let check = |args: &[&str]| std::process::Command::new("systemd-analyze").args(args).arg(&path).output();
    let Ok(verified) = check(&["verify", "--man=no"]) else {
        println!("not run: there is no systemd-analyze");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    let about_it: Vec<&str> = said.lines().filter(|line| line.contains("trawlwatch.service")).collect();
    assert!(about_it.is_empty(), "{about_it:?}");
    let scored = check(&["security", "--offline=true", "--no-pager"]).expect("starts");
    let said = String::from_utf8_lossy(&scored.stdout);
    let overall = said.lines().find(|line| line.contains("Overall exposure level"));
    let Some(score) = overall.and_then(|line| line.split_whitespace().find_map(|word| word.parse::<f64>().ok())) else {
        println!("not run: this systemd-analyze gives no score without a running systemd");
        return;
    };
    println!("exposure {score}");
    assert!(score <= 2.0, "{said}");
}
