//! What a service manager hears (sd_notify(3)), on a socket that stands for systemd's.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use super::net::{Net, folder, shipped};
use super::program::Watch;

/// What was heard until `is_enough`; panics when that is never.
fn hear(manager: &UnixDatagram, heard: &mut Vec<String>, what: &str, is_enough: impl Fn(&[String]) -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    let mut buffer = [0; 4096];
    while !is_enough(heard) {
        assert!(Instant::now() < until, "waited in vain for {what}: {heard:?}");
        if let Ok(n) = manager.recv(&mut buffer) {
            heard.push(String::from_utf8_lossy(&buffer[..n]).into_owned());
        }
    }
}

#[test]
fn a_service_manager_hears_of_start_life_reload_and_end() {
    let Some(net) = Net::new(&[]) else { return };
    let folder = folder();
    let (_, policy) = shipped("mirroring", folder.path());
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("binds");
    manager.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).expect("ours");
    let variables = [("NOTIFY_SOCKET", path.to_str().expect("UTF-8")), ("WATCHDOG_USEC", "1000000")];
    let watch = Watch::start_with(&net, &variables, &["--policy", policy.to_str().expect("UTF-8")]);
    let mut heard = Vec::new();
    let says = |heard: &[String], word: &str| heard.iter().filter(|said| said.lines().any(|line| line == word)).count();
    hear(&manager, &mut heard, "readiness", |heard| says(heard, "READY=1") == 1);
    assert!(watch.stderr().contains("confined:"), "ready only once it is confined");
    // Alive without a single packet, twice in the time that a manager gives it.
    let began = Instant::now();
    hear(&manager, &mut heard, "signs of life", |heard| says(heard, "WATCHDOG=1") >= 4);
    println!("four signs of life in {:?}", began.elapsed());
    // A process that stands still gives none: the manager would end it.
    watch.signal("-STOP");
    std::thread::sleep(Duration::from_millis(300));
    while manager.recv(&mut [0; 4096]).is_ok() {}
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(manager.recv(&mut [0; 4096]).is_err(), "a process that stands still gives no sign of life");
    watch.signal("-CONT");
    heard.clear();
    watch.signal("-HUP");
    hear(&manager, &mut heard, "the end of a reload", |heard| says(heard, "READY=1") == 1);
    let reloading = heard.iter().position(|said| said.lines().any(|line| line == "RELOADING=1"));
    let reloading = reloading.unwrap_or_else(|| panic!("a reload is announced: {heard:?}"));
    assert!(heard[reloading].contains("MONOTONIC_USEC="), "Type=notify-reload wants its time: {heard:?}");
    let ready = heard.iter().position(|said| said.lines().any(|line| line == "READY=1")).expect("heard");
    assert!(reloading < ready, "{heard:?}");
    heard.clear();
    let ended = watch.stop();
    hear(&manager, &mut heard, "the end", |heard| says(heard, "STOPPING=1") == 1);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}
