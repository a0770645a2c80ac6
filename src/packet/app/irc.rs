//! Internet Relay Chat (RFC 2812): how a client registers, in lines of text in the clear.
//! In: one side's contiguous bytes. Out: whether they are that. No nickname, channel or word is kept.
//! Bounds: lines of 512 bytes, the RFC's own limit (section 2.3), and one line for a password before the first that tells.

use super::Step;
use super::notes::{AppEvent, Notes};
use crate::packet::facts::AppProtocol;

/// Commands with which a client begins (RFC 2812 section 3.1; IRCv3 capability negotiation).
pub(super) const BEGINNINGS: [&[u8]; 5] = [b"NICK ", b"USER ", b"PASS ", b"CAP LS", b"CAP REQ"];
const LINE_BYTES_MAX: usize = 512;
/// Parameters of USER: name, mode, one unused, real name. A mail or file server's USER has one.
const USER_PARAMETERS: usize = 4;

/// Waits for the lines that tell. Gives whether it is settled, and whether it is IRC then.
pub(super) fn advance(ready: &[u8], notes: &mut Notes) -> (Step, bool) {
    let mut rest = ready;
    loop {
        let within = rest.get(..LINE_BYTES_MAX).unwrap_or(rest);
        let Some(end) = within.iter().position(|byte| *byte == b'\n') else {
            let is_hopeless = within.len() == LINE_BYTES_MAX;
            return (if is_hopeless { Step::Done } else { Step::More }, false);
        };
        let (line, after) = (&within[..end], &rest[end + 1..]);
        // One password, and only before anything else.
        if line.starts_with(b"PASS ") && rest.len() == ready.len() {
            rest = after;
            continue;
        }
        let is_irc = match line.split(|byte| *byte == b' ').next() {
            Some(b"NICK" | b"CAP") => true,
            Some(b"USER") => line.splitn(1 + USER_PARAMETERS, |byte| *byte == b' ').count() > USER_PARAMETERS,
            _ => false,
        };
        if is_irc {
            notes.prove(AppProtocol::Irc);
            notes.count(Some(AppProtocol::Irc), AppEvent::Parsed);
        }
        return (Step::Done, is_irc);
    }
}
