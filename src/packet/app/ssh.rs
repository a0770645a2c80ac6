//! SSH identification strings (RFC 4253 section 4.2): the one line that both sides send in the clear.
//! In: one side's contiguous bytes. Out: the line, printable.
//! Bounds: 255 bytes, the RFC's own limit.

use super::notes::{AppEvent, Notes};
use super::{Step, names};
use crate::packet::facts::AppProtocol;
use crate::units::Side;

/// How a line begins.
pub(super) const BEGINNING: &[u8] = b"SSH-";
const LINE_BYTES_MAX: usize = 255;

/// Waits for the line's end and notes it.
pub(super) fn advance(ready: &[u8], side: Side, notes: &mut Notes) -> Step {
    let ssh = Some(AppProtocol::Ssh);
    let within = ready.get(..LINE_BYTES_MAX).unwrap_or(ready);
    let Some(end) = within.iter().position(|byte| *byte == b'\n') else {
        if within.len() < LINE_BYTES_MAX {
            return Step::More;
        }
        notes.count(ssh, AppEvent::Malformed);
        return Step::Done;
    };
    notes.prove(AppProtocol::Ssh);
    notes.count(ssh, AppEvent::Parsed);
    let line = within[..end].strip_suffix(b"\r").unwrap_or(&within[..end]);
    notes.edit().seldom_mut().ssh_banners[side.index()] = Some(names::line(line));
    Step::Done
}
