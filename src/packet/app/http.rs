//! HTTP/1 heads (RFC 9112): who is asked for what, and the answer's status. No body, no other header, no query.
//! In: one side's contiguous bytes. Out: notes; and whether the head opens a tunnel.
//! Bounds: a head of [`HEAD_BYTES_MAX`] with [`HEADERS_MAX`] lines. `httparse` reads it, once, when its end has come.

use super::notes::{AppEvent, NameRank, Notes};
use super::{Step, names};
use crate::packet::facts::AppProtocol;

/// Longest head that is waited for; of a longer one the lines so far are read.
pub const HEAD_BYTES_MAX: usize = 8 << 10;
/// Header lines read of one head.
const HEADERS_MAX: usize = 96;
/// Interim answers (1xx) passed over before the final one.
const INTERIM_MAX: u8 = 8;

/// Methods that begin a flow. Others exist, but a word and a space is no proof.
pub(super) const METHODS: [&[u8]; 26] = [
    b"GET ",
    b"POST ",
    b"PUT ",
    b"HEAD ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"CONNECT ",
    b"TRACE ",
    b"PROPFIND ",
    b"PROPPATCH ",
    b"MKCOL ",
    b"COPY ",
    b"MOVE ",
    b"LOCK ",
    b"UNLOCK ",
    b"REPORT ",
    b"SEARCH ",
    b"NOTIFY ",
    b"SUBSCRIBE ",
    b"UNSUBSCRIBE ",
    b"BITS_POST ",
    b"CCM_POST ",
    b"RPC_IN_DATA ",
    b"RPC_OUT_DATA ",
    b"MERGE ",
];

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing that we read.
    Body,
    /// Possibly a protocol of its own, through a proxy.
    Tunnel,
}

/// How far a head has come.
pub(super) enum Head {
    /// Its end is not here yet.
    Incomplete,
    /// Read: so many bytes, and what follows.
    Read(usize, After),
}

/// A request's head, awaited.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Request {
    scanned: usize,
}

impl Request {
    pub(super) fn advance(&mut self, ready: &[u8], notes: &mut Notes) -> Head {
        let Some((length, full)) = head_end(ready, &mut self.scanned) else { return Head::Incomplete };
        Head::Read(length, read_request(&ready[..length], full, notes))
    }

    /// The flow ends: uses the whole lines that there are.
    pub(super) fn finish(&self, ready: &[u8], notes: &mut Notes) {
        read_request(ready, AppEvent::Cut, notes);
    }
}

/// An answer's head, awaited.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Response {
    scanned: usize,
    interim: u8,
}

impl Response {
    pub(super) fn advance(&mut self, ready: &[u8], notes: &mut Notes) -> (usize, Step, After) {
        let mut read = 0;
        loop {
            let rest = ready.get(read..).unwrap_or_default();
            let Some((length, full)) = head_end(rest, &mut self.scanned) else {
                return (read, Step::More, After::Body);
            };
            self.scanned = 0;
            let (status, after) = read_response(&rest[..length], full, notes);
            read += length;
            // 101 is final: what follows is another protocol.
            let interim = matches!(status, Some(100 | 102..=199)) && self.interim < INTERIM_MAX;
            if !interim {
                return (read, Step::Done, after);
            }
            self.interim += 1;
        }
    }

    /// The flow ends: uses the whole lines that there are.
    pub(super) fn finish(&self, ready: &[u8], notes: &mut Notes) {
        read_response(ready, AppEvent::Cut, notes);
    }
}

/// Where the head ends (an empty line), or the bound; `scanned` bytes were searched before.
fn head_end(ready: &[u8], scanned: &mut usize) -> Option<(usize, AppEvent)> {
    let within = ready.get(..HEAD_BYTES_MAX).unwrap_or(ready);
    // An empty line may straddle what was searched before: step back over "\n\r".
    let from = scanned.saturating_sub(2);
    *scanned = within.len();
    let tail = within.get(from..).unwrap_or_default();
    for (at, _) in tail.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        match &tail[at + 1..] {
            [b'\n', ..] => return Some((from + at + 2, AppEvent::Parsed)),
            [b'\r', b'\n', ..] => return Some((from + at + 3, AppEvent::Parsed)),
            _ => {}
        }
    }
    (within.len() == HEAD_BYTES_MAX).then_some((HEAD_BYTES_MAX, AppEvent::BufferFull))
}

/// The whole lines of a cut head, closed by an empty one, so that `httparse` gives what there is.
fn closed(head: &[u8]) -> Vec<u8> {
    let newline = head.iter().rposition(|byte| *byte == b'\n');
    let mut text = newline.map_or_else(Vec::new, |at| head[..=at].to_vec());
    text.extend_from_slice(b"\r\n");
    text
}

fn read_request(head: &[u8], extent: AppEvent, notes: &mut Notes) -> After {
    let text = if extent == AppEvent::Parsed { head.to_vec() } else { closed(head) };
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let mut config = httparse::ParserConfig::default();
    config.ignore_invalid_headers_in_requests(true);
    let parsed = config.parse_request(&mut request, &text);
    if let (Ok(httparse::Status::Complete(_)), Some(method), Some(target)) = (parsed, request.method, request.path) {
        let host = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("host"));
        return note_request(method, target, host.map(|header| header.value), extent, notes);
    }
    if let Some((method, target)) = request_line(head) {
        return note_request(method, target, host_line(head), extent, notes);
    }
    notes.count(Some(AppProtocol::Http), if extent == AppEvent::Cut { extent } else { AppEvent::Malformed });
    After::Body
}

/// Method and target of a request line that `httparse` refuses: an odd version (`HTTP/1.0.8`), a word too many before it,
/// or cut behind the target.
fn request_line(head: &[u8]) -> Option<(&str, &str)> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let (method, target, version) = (words.next()?, words.next()?, words.next_back()?);
    let sound = version.starts_with("HTTP/1.") || "HTTP/1.".starts_with(version) && line.len() == head.len();
    sound.then_some((method, target))
}

/// The Host line of a head that `httparse` refuses.
fn host_line(head: &[u8]) -> Option<&[u8]> {
    let lines = head.split_inclusive(|byte| *byte == b'\n').skip(1).filter(|line| line.ends_with(b"\n"));
    let mut lines = lines.take(HEADERS_MAX).filter_map(|line| line.split_first_chunk::<5>());
    lines.find(|(name, _)| name.eq_ignore_ascii_case(b"host:")).map(|(_, value)| value)
}

fn note_request(method: &str, target: &str, host: Option<&[u8]>, extent: AppEvent, notes: &mut Notes) -> After {
    notes.prove(AppProtocol::Http);
    notes.count(Some(AppProtocol::Http), extent);
    let connect = method == "CONNECT";
    let facts = notes.edit().seldom_mut();
    facts.http_method = Some(names::token(method.as_bytes()));
    facts.http_path = Some(names::token(if connect { target.as_bytes() } else { path(target) }));
    notes.name(NameRank::Host, host.and_then(host_name));
    if connect {
        notes.name(NameRank::Indirect, host_name(target.as_bytes()));
    }
    if connect { After::Tunnel } else { After::Body }
}

fn read_response(head: &[u8], extent: AppEvent, notes: &mut Notes) -> (Option<u16>, After) {
    let text = if extent == AppEvent::Parsed { head.to_vec() } else { closed(head) };
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let mut config = httparse::ParserConfig::default();
    config.ignore_invalid_headers_in_responses(true);
    let parsed = config.parse_response(&mut response, &text);
    let (status, has_body) = match (parsed, response.code) {
        (Ok(httparse::Status::Complete(_)), code) => {
            let has_body =
                |name: &str| ["content-length", "transfer-encoding"].iter().any(|n| name.eq_ignore_ascii_case(n));
            (code, response.headers.iter().any(|header| has_body(header.name)))
        }
        // Its headers are odd, or it is cut behind its first words.
        _ => (status_line(head), true),
    };
    let Some(status) = status else {
        notes.count(Some(AppProtocol::Http), if extent == AppEvent::Cut { extent } else { AppEvent::Malformed });
        return (None, After::Body);
    };
    notes.prove(AppProtocol::Http);
    notes.count(Some(AppProtocol::Http), extent);
    notes.edit().seldom_mut().http_status = Some(status);
    // A 2xx answer to CONNECT has no body (RFC 9110 section 9.3.6).
    let tunnel = (200..300).contains(&status) && !has_body;
    (Some(status), if tunnel { After::Tunnel } else { After::Body })
}

/// The status of a first line that `httparse` refuses.
fn status_line(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let after_version = line.strip_prefix(b"HTTP/1.")?;
    let at = after_version.iter().position(|byte| *byte == b' ')?;
    let digits = after_version.get(at + 1..at + 4).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let ends = after_version.get(at + 4).is_some_and(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
    ends.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

/// The path of a request target: no scheme, no credentials, no host, and nothing from `?`, `#` or `;` on, where
/// searches and session ids stand.
fn path(target: &str) -> &[u8] {
    let end = target.find(['?', '#', ';']).unwrap_or(target.len());
    let target = &target[..end];
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    path.as_bytes()
}

/// A Host value without its port; an IPv6 literal keeps its brackets.
fn host_name(value: &[u8]) -> Option<Box<str>> {
    let value = value.trim_ascii();
    let bare = match value.iter().position(|byte| *byte == b']') {
        Some(at) if value.starts_with(b"[") => &value[..=at],
        _ => match value.iter().rposition(|byte| *byte == b':') {
            Some(at) if value[at + 1..].iter().all(u8::is_ascii_digit) => &value[..at],
            _ => value,
        },
    };
    names::host_name(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        /// Name, head, method, path, host.
        type Row = (&'static str, &'static str, Option<&'static str>, Option<&'static str>, Option<&'static str>);
        let table: &[Row] = &[
            (
                "plain",
                "GET /a/b?token=secret HTTP/1.1\r\nHost: WWW.Example.com:8080\r\nCookie: x\r\n\r\n",
                Some("GET"),
                Some("/a/b"),
                Some("www.example.com"),
            ),
            (
                "bare newlines",
                "GET / HTTP/1.0\nHost: [2001:db8::1]:80\n\n",
                Some("GET"),
                Some("/"),
                Some("[2001:db8::1]"),
            ),
            (
                "absolute with credentials",
                "GET http://user:pass@h.example/x;sid=1#f HTTP/1.1\r\nHost: h.example\r\n\r\n",
                Some("GET"),
                Some("/x"),
                Some("h.example"),
            ),
            (
                "connect",
                "CONNECT h.example:443 HTTP/1.0\r\n\r\n",
                Some("CONNECT"),
                Some("h.example:443"),
                Some("h.example"),
            ),
            ("odd header", "POST /p HTTP/1.1\r\n: no name\r\nHost: h\r\n\r\n", Some("POST"), Some("/p"), Some("h")),
            ("odd version", "GET /p?x HTTP/1.0.8\r\nHOST: h\r\n\r\n", Some("GET"), Some("/p"), Some("h")),
            ("a word too many", "CONNECT h:25 / HTTP/1.0\r\n\r\n", Some("CONNECT"), Some("h:25"), Some("h")),
            ("not HTTP", "OPTIONS sip:a@b SIP/2.0\r\n\r\n", None, None, None),
        ];
        for (name, text, method, path, host) in table {
            let mut notes = Notes::default();
            let read = Request::default().advance(text.as_bytes(), &mut notes);
            assert!(matches!(read, Head::Read(length, _) if length == text.len()), "{name}");
            let facts = notes.facts();
            assert_eq!(facts.seldom().http_method.as_deref(), *method, "{name}: method");
            assert_eq!(facts.seldom().http_path.as_deref(), *path, "{name}: path");
            assert_eq!(facts.server_name.as_deref(), *host, "{name}: host");
        }
    }

    #[test]
    fn a_cut_request_gives_its_whole_lines() {
        let mut notes = Notes::default();
        Request::default().finish(b"GET /x HTTP/1.1\r\nHost: h.example\r\nCookie: abc", &mut notes);
        assert_eq!(notes.facts().server_name.as_deref(), Some("h.example"));
        assert_eq!(notes.facts().seldom().http_path.as_deref(), Some("/x"));
        for (text, path) in [("GET /a/b HTT", Some("/a/b")), ("GET /a/b", None), ("GET /a/b ", None)] {
            let mut notes = Notes::default();
            Request::default().finish(text.as_bytes(), &mut notes);
            assert_eq!(notes.facts().seldom().http_path.as_deref(), path, "{text}");
        }
    }

    #[test]
    fn the_final_answer_counts() {
        let mut notes = Notes::default();
        let text = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
        let (read, step, after) = Response::default().advance(text, &mut notes);
        assert_eq!((read, step, after), (text.len(), Step::Done, After::Tunnel));
        assert_eq!(notes.facts().seldom().http_status, Some(204));
    }
}
