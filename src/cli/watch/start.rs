//! Start: options of `watch` become open sources, outlets and a confined process.
//! In: options, the setting. Out: what the run needs, with every privilege given up.
//! Threads start last: what is given up is given up for all of them.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use seccompiler::BpfProgram;

use super::super::options::{Shared, parse_duration};
use super::super::setting::Setting;
use super::super::talk::Talk;
use super::super::{Failed, Status};
use super::board::Board;
use super::confidence::LossLog;
use super::metrics::{self, Health};
use super::options::Watch;
use super::outlet::file::LineFile;
use super::outlet::syslog::{Syslog, Target};
use super::outlet::webhook::Webhook;
use super::outlet::{Complaints, Outlet};
use super::sandbox::{self, Paths, User};
use super::session::{Kit, Outlets, Signals};
use super::state::{Found, Kept, StateFile};
use super::tui::Tui;
use super::voice::Voice;
use crate::capture::live::{LiveConfig, LiveError, LiveSource, Promiscuous};
use crate::detect::finding::Severity;
use crate::pipeline::live::Gauges;
use crate::policy::PolicyInForce;
use crate::privacy::{Key, Reveal};
use crate::report::live::SyslogSender;
use crate::units::DurationNs;

/// Most queues of one interface: past it the kernel's own limit is near.
const FANOUT_MAX: u16 = 64;

/// What a run needs.
pub struct Started {
    /// The analysis side.
    pub kit: Kit,
    /// Open interfaces.
    pub sources: Vec<LiveSource>,
    /// The pseudonym key.
    pub key: Key,
    /// What lanes and workers are confined with.
    pub filter: Option<BpfProgram>,
    /// Whether it is well.
    pub health: Arc<Health>,
    /// What the last run kept.
    pub kept: Option<Box<Kept>>,
}

/// Opens all that is named, then gives up what is not needed any more.
pub fn start(shared: &Shared, watch: &Watch, setting: &mut Setting, talk: &Talk) -> anyhow::Result<Started> {
    let window = parse_duration(watch.window.as_deref().unwrap_or("60s")).map_err(anyhow::Error::msg)?;
    if window < DurationNs::from_secs(1) {
        bail!("--window: a live window takes at least 1s");
    }
    let sources = open_sources(shared, watch)?;
    let key = key_of(setting, watch.state.as_deref(), talk)?;
    let wants_view = watch.tui.unwrap_or(false);
    if wants_view && !(std::io::stdout().is_terminal() && std::io::stdin().is_terminal()) {
        bail!("--tui: standard input and output must be a terminal; leave it out for a line a window");
    }
    let syslog = watch.syslog.as_deref().map(Target::parse).transpose().map_err(|e| anyhow!("--syslog {e}"))?;
    let webhook = watch.webhook.as_deref().map(Webhook::new).transpose().map_err(|e| anyhow!("--webhook {e}"))?;
    let lines = open_lines(watch, wants_view)?;
    let listener = watch.metrics.as_deref().map(bind_metrics).transpose()?;
    let mut state = watch.state.as_deref().map(StateFile::at);
    let kept = match state.as_ref().map(StateFile::read).transpose().context("--state")? {
        Some(Found::Kept(kept)) => Some(kept),
        Some(Found::SetAside { why, to }) => {
            talk.warn(&format!("--state: {why}; set aside as {}, and begun anew", to.display()));
            None
        }
        Some(Found::Nothing) | None => None,
    };
    let (signals, host) = (heed_signals(wants_view)?, host_name());
    let filter = confine(shared, watch, talk)?;
    let announcer = kept.as_ref().map(|kept| kept.announcer()).unwrap_or_default();
    if let Some(state) = &mut state {
        let first = kept.as_ref().map(|kept| Kept::of(kept.memory.clone(), &announcer)).unwrap_or_default();
        state.write(&first).with_context(|| {
            "--state: cannot be written by the user that the run becomes (--user); give it the folder".to_owned()
        })?;
    }

    let (complaints_to, complaints) = Complaints::new();
    let outlets = Outlets {
        lines: lines.map(|lines| Outlet::start("lines", lines, &complaints_to)).transpose()?,
        syslog: syslog.map(|target| Outlet::start("syslog", Syslog::new(target), &complaints_to)).transpose()?,
        webhook: webhook.map(|webhook| Outlet::start("webhook", webhook, &complaints_to)).transpose()?,
    };
    let workers = setting.workers();
    let gauges = Arc::new(Gauges::new(sources.iter().map(|source| source.config().interface.clone()), workers));
    let counts = [&outlets.lines, &outlets.syslog, &outlets.webhook];
    let counts = counts.into_iter().flatten().map(|outlet| (outlet.name(), Arc::clone(outlet.counts())));
    let board = Arc::new(Board::new(gauges, counts.collect()));
    let health = Arc::new(Health::default());
    if let Some(listener) = listener {
        metrics::serve(listener, Arc::clone(&board), Arc::clone(&health))?;
    }
    let ended_after = parse_duration(watch.ended_after.as_deref().unwrap_or("1h"));
    let reveal = if setting.reveal { Reveal::with_key(&key) } else { Reveal::Nothing };
    let kit = Kit {
        voice: Voice::start(talk)?,
        has_view: wants_view,
        signals,
        control: super::control(),
        board,
        outlets,
        complaints,
        announcer,
        losses: LossLog::new(watch.sampling.unwrap_or(1)),
        state,
        format: super::format_of(watch.format),
        floor: watch.min_severity.map_or(Severity::Info, Severity::from),
        ended_after: ended_after.map_err(anyhow::Error::msg).context("--ended-after")?,
        reveal,
        policy_path: shared.policy.clone(),
        policy: Arc::new(PolicyInForce::of(std::mem::take(&mut setting.policy))),
        pending: None,
        sender: SyslogSender { host, pid: std::process::id() },
        worst: None,
        pinged: Instant::now(),
    };
    Ok(Started { kit, sources, key, filter, health, kept })
}

/// Takes the screen, where that is wanted.
pub fn view(watch: &Watch, kit: &Kit) -> anyhow::Result<Option<Tui>> {
    if !watch.tui.unwrap_or(false) {
        return Ok(None);
    }
    let (board, stop) = (Arc::clone(&kit.board), Arc::clone(&kit.signals.stop));
    Ok(Some(Tui::start(board, kit.reveal.clone(), stop)?))
}

fn open_sources(shared: &Shared, watch: &Watch) -> anyhow::Result<Vec<LiveSource>> {
    let interfaces = watch.interface.as_deref().unwrap_or_default();
    if interfaces.is_empty() {
        bail!("no interface named: give --interface NAME (several times for several); `watch --list` shows them");
    }
    let queues = watch.fanout.unwrap_or(1);
    if queues == 0 || queues > FANOUT_MAX {
        bail!("--fanout {queues}: takes a number from 1 to {FANOUT_MAX}");
    }
    let mib = watch.buffer_mib.unwrap_or(64);
    if !(1..=2047).contains(&mib) {
        bail!("--buffer-mib {mib}: takes a number from 1 to 2047");
    }
    let mut sources = Vec::new();
    for (place, interface) in interfaces.iter().enumerate() {
        if interfaces[..place].contains(interface) {
            bail!("--interface {interface}: named twice, which would count every packet twice");
        }
        // Groups are known by number in a network namespace; a process id keeps two runs apart.
        let group = (std::process::id() as u16).wrapping_mul(31).wrapping_add(place as u16);
        for _ in 0..queues {
            let config = LiveConfig {
                interface: interface.clone(),
                snap_bytes: watch.snap_bytes.unwrap_or(crate::capture::live::SNAP_BYTES).max(64),
                buffer_bytes: mib << 20,
                promiscuous: if watch.promiscuous.unwrap_or(true) { Promiscuous::Yes } else { Promiscuous::No },
                filter: shared.filter.clone(),
                fanout_group: (queues > 1).then_some(group),
            };
            sources.push(LiveSource::open(config, sources.len() as u16).map_err(refused)?);
        }
    }
    Ok(sources)
}

/// A refusal, with the two ways out of a missing permission.
fn refused(error: LiveError) -> anyhow::Error {
    let (status, cure) = match &error {
        LiveError::Permission { .. } => (Status::Unreadable, permission_cure()),
        LiveError::Unknown { .. } | LiveError::Filter { .. } => (Status::Usage, String::new()),
        _ => (Status::Unreadable, String::new()),
    };
    Failed { status, message: format!("{error}{cure}") }.into()
}

/// What gives the right to capture.
pub fn permission_cure() -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("trawlwatch"));
    format!(
        "; give it the one capability that this needs:\n    sudo setcap cap_net_raw=ep {}\nor run it as a service:\n    \
         trawlwatch watch --print-unit | sudo tee /etc/systemd/system/trawlwatch.service && sudo systemctl enable --now trawlwatch",
        program.display()
    )
}

/// The key of the setting; with `--state` one that is kept beside it, so that a restart knows its subscribers; else a
/// random one that ends with the run.
fn key_of(setting: &Setting, state: Option<&Path>, talk: &Talk) -> anyhow::Result<Key> {
    if let Some(key) = &setting.key {
        return Ok(key.clone());
    }
    if let Some(state) = state {
        let mut name = state.as_os_str().to_owned();
        name.push(".key");
        let path = PathBuf::from(name);
        let key = match path.exists() {
            true => Key::from_file(&path)?.0,
            false => {
                let key = Key::create_file(&path)?;
                talk.note(&format!("{}: a new pseudonym key; it alone turns pseudonyms back", path.display()));
                key
            }
        };
        return Ok(key);
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| anyhow!("no random key: {error}"))?;
    Ok(Key::from_bytes(key))
}

fn open_lines(watch: &Watch, wants_view: bool) -> anyhow::Result<Option<LineFile>> {
    let path = watch.output.as_deref().filter(|path| *path != Path::new("-"));
    Ok(match path {
        Some(path) => Some(LineFile::open(path).with_context(|| format!("--output {}", path.display()))?),
        // The view has the screen.
        None if wants_view => None,
        None => Some(LineFile::stdout()),
    })
}

fn bind_metrics(text: &str) -> anyhow::Result<std::net::TcpListener> {
    let address: SocketAddr =
        text.parse().map_err(|_| anyhow!("--metrics {text:?}: write an address and a port, as 127.0.0.1:9477"))?;
    metrics::bind(address).with_context(|| format!("--metrics {address}: cannot listen there"))
}

fn heed_signals(wants_view: bool) -> anyhow::Result<Signals> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let signals = Signals::default();
    for signal in [SIGINT, SIGTERM] {
        if !wants_view {
            // A second one ends at once: somebody is in a hurry. The view must give its screen back first.
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&signals.stop))?;
        }
        signal_hook::flag::register(signal, Arc::clone(&signals.stop))?;
    }
    signal_hook::flag::register(SIGHUP, Arc::clone(&signals.reload))?;
    Ok(signals)
}

/// Gives up what is not needed any more; what lanes and workers are confined with.
fn confine(shared: &Shared, watch: &Watch, talk: &Talk) -> anyhow::Result<Option<BpfProgram>> {
    if watch.no_sandbox.unwrap_or(false) {
        talk.warn(
            "--no-sandbox: keeps its user and capabilities, may read and write every path of that user, and its workers may \
             ask anything of the kernel",
        );
        return Ok(None);
    }
    let user = match sandbox::is_root() {
        true => {
            let name = watch.user.as_deref().unwrap_or(sandbox::USER);
            Some(User::named(name).map_err(|error| anyhow!("--user: {error}"))?)
        }
        false => None,
    };
    let folder = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.map_or_else(|| PathBuf::from("."), Path::to_owned)
    };
    let written = [&watch.output, &watch.state];
    let written: Vec<&Path> =
        written.into_iter().flatten().map(PathBuf::as_path).filter(|p| *p != Path::new("-")).collect();
    if let Some(user) = &user {
        for path in written.iter().filter(|path| path.is_file()) {
            user.give(path).with_context(|| format!("{}: cannot be given to {user:?}", path.display()))?;
        }
    }
    let paths = Paths {
        read: shared.policy.iter().map(|path| folder(path)).collect(),
        write: written.into_iter().map(folder).collect(),
    };
    let given_up = sandbox::enter(user.as_ref(), &paths)?;
    let filter = sandbox::thread_filter()?;
    let tried = filter.clone();
    let tried = std::thread::spawn(move || sandbox::confine_thread(&tried)).join();
    tried.unwrap_or_else(|_| Err("the trial ended badly".to_owned())).map_err(|error| anyhow!("seccomp: {error}"))?;
    let shadow = match std::fs::File::open("/etc/shadow") {
        Err(_) => "",
        Ok(_) => "; and yet /etc/shadow can be read",
    };
    talk.note(&format!("confined: {}{shadow}", given_up.join(", ")));
    Ok(Some(filter))
}

fn host_name() -> String {
    // The first is hidden where a service sees only its own processes.
    let read = |path| std::fs::read_to_string(path).ok();
    let name = read("/proc/sys/kernel/hostname").or_else(|| read("/etc/hostname"));
    name.map(|name| name.trim().to_owned()).unwrap_or_default()
}
