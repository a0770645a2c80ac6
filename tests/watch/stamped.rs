//! Sends frames with times of their own. A packet's departure time (SO_TXTIME) stays with it through a veth pair, and the
//! kernel hands it on as the time of arrival: half an hour of traffic arrives in seconds, at its own pace by its own clock,
//! and a clock can step without anybody's clock being set.
#![expect(unsafe_code, reason = "departure times and network namespaces have no wrapper in the standard library")]

use std::fs::File;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// Frames sent between two pauses, and the pause: some 12,000 a second, which a slow build keeps up with.
const BURST: usize = 24;
const PAUSE: Duration = Duration::from_millis(2);

/// Of asm-generic/socket.h, which the libc crate lacks; the control message has the same number.
const SO_TXTIME: libc::c_int = 61;

/// A frame and its time, nanoseconds since 1970.
pub type Stamped = (u64, Vec<u8>);

/// All frames of a classic pcap.
pub fn frames(capture: &Path) -> Vec<Stamped> {
    let bytes = std::fs::read(capture).expect("a capture");
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let ns_per_tick = if word(0) == 0xa1b2_3c4d { 1 } else { 1_000 };
    let (mut frames, mut at) = (Vec::new(), 24);
    while at + 16 <= bytes.len() {
        let length = word(at + 8) as usize;
        let ts = u64::from(word(at)) * 1_000_000_000 + u64::from(word(at + 4)) * ns_per_tick;
        frames.push((ts, bytes[at + 16..at + 16 + length].to_vec()));
        at += 16 + length;
    }
    frames
}

/// Sends frames into `interface` of a namespace, each with its time.
pub fn send(namespace: &str, interface: &str, frames: &[Stamped]) -> io::Result<u64> {
    // A namespace is a thread's own: the tests beside this one stay where they are.
    std::thread::scope(|scope| scope.spawn(|| send_here(namespace, interface, frames)).join().expect("no panic"))
}

fn send_here(namespace: &str, interface: &str, frames: &[Stamped]) -> io::Result<u64> {
    let place = File::open(Path::new("/run/netns").join(namespace))?;
    // SAFETY: an open file descriptor and a flag are given.
    checked(unsafe { libc::setns(place.as_raw_fd(), libc::CLONE_NEWNET) })?;
    // SAFETY: plain numbers. Protocol zero: it sends, and hears nothing.
    let raw = checked(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) })?;
    // SAFETY: the descriptor was just opened and belongs to nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    let clock = libc::sock_txtime { clockid: libc::CLOCK_REALTIME, flags: 0 };
    let clock_bytes = size_of::<libc::sock_txtime>() as libc::socklen_t;
    // SAFETY: address and size of one sock_txtime are given.
    checked(unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_TXTIME, (&raw const clock).cast(), clock_bytes)
    })?;
    let name = std::ffi::CString::new(interface)?;
    // SAFETY: all-zero bytes are a valid value of this plain C structure.
    let mut at: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    at.sll_family = libc::AF_PACKET as u16;
    // SAFETY: the name ends with a zero byte and outlives the call.
    at.sll_ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) } as libc::c_int;
    let at_bytes = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: address and size of one sockaddr_ll are given.
    checked(unsafe { libc::bind(socket.as_raw_fd(), (&raw const at).cast(), at_bytes) })?;
    for (n, (ts, frame)) in frames.iter().enumerate() {
        send_one(&socket, *ts, frame)?;
        if n % BURST == BURST - 1 {
            std::thread::sleep(PAUSE);
        }
    }
    Ok(frames.len() as u64)
}

fn send_one(socket: &OwnedFd, ts: u64, frame: &[u8]) -> io::Result<()> {
    let mut part = libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
    // As aligned and as large as one control message of eight bytes needs.
    let mut control = [0_u64; 4];
    // SAFETY: all-zero bytes are a valid value of this plain C structure.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
    message.msg_control = control.as_mut_ptr().cast();
    // SAFETY: the control message lies in `control`, which is aligned for its head and holds 24 of 32 bytes of it; frame,
    // part and control outlive the call, which only reads them.
    checked(unsafe {
        message.msg_controllen = libc::CMSG_SPACE(size_of::<u64>() as u32) as usize;
        let head = libc::CMSG_FIRSTHDR(&raw const message);
        (*head).cmsg_level = libc::SOL_SOCKET;
        (*head).cmsg_type = SO_TXTIME;
        (*head).cmsg_len = libc::CMSG_LEN(size_of::<u64>() as u32) as usize;
        libc::CMSG_DATA(head).cast::<u64>().write_unaligned(ts);
        libc::sendmsg(socket.as_raw_fd(), &raw const message, 0) as libc::c_int
    })?;
    Ok(())
}

fn checked(done: libc::c_int) -> io::Result<libc::c_int> {
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done) }
}
