//! Sandbox: what this process may still do once its sources are open: read packets, write its outputs, nothing else.
//! In: the user to become, the paths that stay in use. Out: what was given up, in words.
//! In this order, while there is one thread: another user and no group besides, no capability in any set, no new privileges,
//! Landlock over paths, then seccomp on each lane and worker as it starts. What the kernel lacks is said and not fatal; what
//! it refuses though it has it is.
#![expect(unsafe_code, reason = "users and groups are changed by system calls that the standard library does not wrap")]

use std::ffi::CString;
use std::io;
use std::path::PathBuf;

use caps::CapSet;
use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    path_beneath_rules,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// The user that a run under root becomes unless told otherwise.
pub const USER: &str = "nobody";
/// The newest Landlock rules that are asked for; older kernels give what they have.
const LANDLOCK: ABI = ABI::V5;

/// Who to become.
#[derive(Clone, Debug)]
pub struct User {
    name: String,
    uid: libc::uid_t,
    gid: libc::gid_t,
}

/// Paths that stay in use.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    /// Files or folders that are read.
    pub read: Vec<PathBuf>,
    /// Folders that are written.
    pub write: Vec<PathBuf>,
}

/// Why the process could not be confined.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}; --no-sandbox runs without it")]
pub struct SandboxError {
    what: &'static str,
    why: String,
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> SandboxError {
    move |error| SandboxError { what, why: error.to_string() }
}

impl User {
    /// The user of that name.
    pub fn named(name: &str) -> Result<Self, String> {
        let text = CString::new(name).map_err(|_| format!("{name:?} is no user name"))?;
        // SAFETY: the name ends with a zero byte. The entry lies in memory of the C library that the next call reuses; this
        // process has one thread when it asks, and the numbers are copied at once.
        let found = unsafe { libc::getpwnam(text.as_ptr()).as_ref().map(|entry| (entry.pw_uid, entry.pw_gid)) };
        match found {
            Some((0, _)) => Err(format!("{name} is root, under another name or its own")),
            Some((uid, gid)) => Ok(Self { name: name.to_owned(), uid, gid }),
            None => Err(format!("there is no user {name}; make one (`useradd --system {name}`) or name another")),
        }
    }

    /// Gives it a file or folder, so that what root has made can be opened again by it.
    pub fn give(&self, path: &std::path::Path) -> io::Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
    }
}

/// Whether this process is root.
pub fn is_root() -> bool {
    // SAFETY: takes nothing, changes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Gives up what is not needed any more; what was given up, in words. Must run before any thread is started.
pub fn enter(user: Option<&User>, paths: &Paths) -> Result<Vec<String>, SandboxError> {
    let mut words = Vec::new();
    if let Some(user) = user.filter(|_| is_root()) {
        drop_bounding();
        become_user(user)?;
        words.push(format!("user {}", user.name));
    }
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set)
            .map_err(|error| SandboxError { what: "giving up capabilities", why: error.to_string() })?;
    }
    words.push("no capability".to_owned());
    no_new_privileges()?;
    words.push("no new privileges".to_owned());
    words.push(confine_paths(paths)?);
    words.push("seccomp on lanes and workers".to_owned());
    Ok(words)
}

/// What capture threads and workers may ask of the kernel.
pub fn thread_filter() -> Result<BpfProgram, SandboxError> {
    let wrong = |error: seccompiler::BackendError| SandboxError { what: "seccomp", why: error.to_string() };
    let arch = std::env::consts::ARCH.try_into().map_err(wrong)?;
    let rules = ALLOWED.iter().map(|number| (*number, Vec::new())).collect();
    // A call that is not on the list fails with EPERM: a panic can still say what it has to say.
    let (refuse, allow) = (SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow);
    let filter = SeccompFilter::new(rules, refuse, allow, arch).map_err(wrong)?;
    filter.try_into().map_err(wrong)
}

/// Puts the filter on the thread that calls.
pub fn confine_thread(filter: &BpfProgram) -> Result<(), String> {
    seccompiler::apply_filter(filter).map_err(|error| error.to_string())
}

/// Memory, waiting, clocks, ends; for lanes besides, what libpcap does to a socket that is open. No open of a path for
/// writing and no process: those are left out, and what a lane opens (counters under /sys) Landlock allows for reading only.
const ALLOWED: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_openat,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_lseek,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_bind,
    libc::SYS_socket,
    libc::SYS_ioctl,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_getrandom,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_tgkill,
    libc::SYS_getcwd,
    libc::SYS_prctl,
    libc::SYS_membarrier,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What can be taken from the bounding set is taken; without CAP_SETPCAP nothing can, and nothing is lost.
fn drop_bounding() {
    for capability in caps::read(None, CapSet::Bounding).unwrap_or_default() {
        let _kept = caps::drop(None, CapSet::Bounding, capability);
    }
}

fn become_user(user: &User) -> Result<(), SandboxError> {
    let check = |done: libc::c_int, what| match done {
        0 => Ok(()),
        _ => Err(failed(what)(io::Error::last_os_error())),
    };
    // SAFETY: an empty list of groups is given; its address is not read.
    check(unsafe { libc::setgroups(0, std::ptr::null()) }, "giving up groups")?;
    // SAFETY: plain numbers. In this order: who is no longer root can no longer change groups.
    check(unsafe { libc::setresgid(user.gid, user.gid, user.gid) }, "changing the group")?;
    // SAFETY: plain numbers.
    check(unsafe { libc::setresuid(user.uid, user.uid, user.uid) }, "changing the user")
}

fn no_new_privileges() -> Result<(), SandboxError> {
    // SAFETY: this operation takes numbers only.
    match unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(failed("no new privileges")(io::Error::last_os_error())),
    }
}

/// Everything that is not named can be neither read nor written any more.
fn confine_paths(paths: &Paths) -> Result<String, SandboxError> {
    let wrong = |error: landlock::RulesetError| SandboxError { what: "Landlock", why: error.to_string() };
    let (all, read) = (AccessFs::from_all(LANDLOCK), AccessFs::from_read(LANDLOCK) & !AccessFs::Execute);
    // Time zones, name resolution for outlets, counters of interfaces, this process's own memory.
    let always =
        ["/proc", "/sys", "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf"];
    let libraries = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"];
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .and_then(Ruleset::create)
        .and_then(|rules| rules.add_rules(path_beneath_rules(always, read)))
        .and_then(|rules| rules.add_rules(path_beneath_rules(libraries, AccessFs::from_read(LANDLOCK))))
        .and_then(|rules| rules.add_rules(path_beneath_rules(["/dev/null", "/dev/tty", "/dev/log"], all)))
        .and_then(|rules| rules.add_rules(path_beneath_rules(&paths.read, read)))
        .and_then(|rules| rules.add_rules(path_beneath_rules(&paths.write, all & !AccessFs::Execute)))
        .and_then(|rules| rules.restrict_self())
        .map_err(wrong)?;
    Ok(match restricted.ruleset {
        RulesetStatus::FullyEnforced => "Landlock".to_owned(),
        RulesetStatus::PartiallyEnforced => "Landlock (as far as this kernel has it)".to_owned(),
        RulesetStatus::NotEnforced => "no Landlock (this kernel has none)".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_compiles_and_root_is_no_user_to_become() {
        assert!(!thread_filter().expect("compiles").is_empty());
        assert!(User::named("root").is_err());
        assert!(User::named("no such user").is_err());
    }

    #[test]
    fn a_confined_thread_works_and_can_start_no_program() {
        let filter = thread_filter().expect("compiles");
        let thread = std::thread::spawn(move || {
            no_new_privileges().expect("always allowed");
            confine_thread(&filter).expect("applies");
            let many: Vec<u8> = vec![1; 10 << 20];
            let started = std::process::Command::new("/bin/true").spawn();
            (many.len(), started.is_err())
        });
        assert_eq!(thread.join().expect("no panic"), (10 << 20, true));
    }
}
