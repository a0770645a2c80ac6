//! What libpcap's binding does not reach: waiting with a limit, fanout, binding again, the precision in force.
//! In: an open capture. Out: what the system said. Linux has all of it; elsewhere fanout and binding again are refused.
#![expect(unsafe_code, reason = "system calls that neither the standard library nor the pcap crate wraps")]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use pcap::{Active, Capture};

use super::Promiscuous;

/// `PCAP_TSTAMP_PRECISION_NANO`.
const PRECISION_NANO: c_int = 1;

unsafe extern "C" {
    /// Of libpcap, which the pcap crate links; it has no wrapper for it.
    fn pcap_get_tstamp_precision(handle: *mut std::ffi::c_void) -> c_int;
}

/// Whether timestamps are told to the nanosecond.
pub(super) fn is_nanosecond(capture: &mut Capture<Active>) -> bool {
    // SAFETY: `as_ptr` gives the handle that `capture` keeps open for as long as it is borrowed here.
    unsafe { pcap_get_tstamp_precision(capture.as_ptr().cast()) == PRECISION_NANO }
}

/// Waits until there is something to read or to complain about.
pub(super) fn wait_readable(capture: &Capture<Active>, wait: Duration) -> io::Result<()> {
    let mut place = libc::pollfd { fd: capture.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let wait_ms = c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: one pollfd is given, and its file descriptor stays open while `capture` is borrowed.
    match unsafe { libc::poll(&mut place, 1, wait_ms) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Joins a fanout group: packets go to its queues by their flow's hash, fragments put together first so that they follow
/// their flow.
#[cfg(target_os = "linux")]
pub(super) fn join_fanout(capture: &Capture<Active>, group: u16) -> io::Result<()> {
    let kind = libc::PACKET_FANOUT_HASH | libc::PACKET_FANOUT_FLAG_DEFRAG;
    let word = u32::from(group) | kind << 16;
    // SAFETY: the option takes one u32, whose address and size are given.
    let done = unsafe {
        libc::setsockopt(
            capture.as_fd().as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_FANOUT,
            (&raw const word).cast(),
            size_of::<u32>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Binds the socket to the interface that now has this name, and asks it again for what is not addressed to it: that wish went
/// with the old one.
#[cfg(target_os = "linux")]
pub(super) fn bind_again(capture: &Capture<Active>, interface: &str, promiscuous: Promiscuous) -> io::Result<()> {
    let name = std::ffi::CString::new(interface)?;
    // SAFETY: the name ends with a zero byte and outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all-zero bytes are a valid value of this plain C structure.
    let mut place: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    place.sll_family = libc::AF_PACKET as u16;
    place.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    place.sll_ifindex = index as c_int;
    // SAFETY: address and size of one sockaddr_ll are given.
    let done = unsafe {
        libc::bind(
            capture.as_fd().as_raw_fd(),
            (&raw const place).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    if promiscuous == Promiscuous::No {
        return Ok(());
    }
    let wish = libc::packet_mreq {
        mr_ifindex: index as c_int,
        mr_type: libc::PACKET_MR_PROMISC as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    // SAFETY: address and size of one packet_mreq are given.
    let done = unsafe {
        libc::setsockopt(
            capture.as_fd().as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            (&raw const wish).cast(),
            size_of::<libc::packet_mreq>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn join_fanout(_: &Capture<Active>, _: u16) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has fanout"))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn bind_again(_: &Capture<Active>, _: &str, _: Promiscuous) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux binds a socket again"))
}
