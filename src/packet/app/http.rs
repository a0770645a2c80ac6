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
const METHODS: [&[u8]; 26] = [
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

/// The beginnings of requests, for telling the protocol.
pub(super) fn request_beginnings() -> impl Iterator<Item = &'static [u8]> {
    METHODS.into_iter()
}

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

/// The whole lines of a cut head, closed by an empty one, so that `httparse` gives what there is; or its first line only.
fn closed(head: &[u8], lines: Lines) -> Vec<u8> {
    let newline = match lines {
        Lines::All => head.iter().rposition(|byte| *byte == b'\n'),
        Lines::First => head.iter().position(|byte| *byte == b'\n'),
    };
    let mut text = newline.map_or_else(Vec::new, |at| head[..=at].to_vec());
    text.extend_from_slice(b"\r\n");
    text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    All,
    First,
}

fn read_request(head: &[u8], extent: AppEvent, notes: &mut Notes) -> After {
    let whole = if extent == AppEvent::Parsed { head.to_vec() } else { closed(head, Lines::All) };
    for text in [whole, closed(head, Lines::First)] {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        let mut config = httparse::ParserConfig::default();
        config.ignore_invalid_headers_in_requests(true);
        let parsed = config.parse_request(&mut request, &text);
        let (Ok(httparse::Status::Complete(_)), Some(method), Some(target)) = (parsed, request.method, request.path)
        else {
            continue;
        };
        notes.prove(AppProtocol::Http);
        notes.count(Some(AppProtocol::Http), extent);
        let connect = method == "CONNECT";
        let facts = notes.edit();
        facts.http_method = Some(names::token(method.as_bytes()));
        facts.http_path = Some(names::token(if connect { target.as_bytes() } else { path(target) }));
        let host = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("host"));
        notes.name(NameRank::Host, host.and_then(|header| host_name(header.value)));
        if connect {
            notes.name(NameRank::Indirect, host_name(target.as_bytes()));
            return After::Tunnel;
        }
        return After::Body;
    }
    notes.count(Some(AppProtocol::Http), if extent == AppEvent::Cut { extent } else { AppEvent::Malformed });
    After::Body
}

fn read_response(head: &[u8], extent: AppEvent, notes: &mut Notes) -> (Option<u16>, After) {
    let whole = if extent == AppEvent::Parsed { head.to_vec() } else { closed(head, Lines::All) };
    for text in [whole, closed(head, Lines::First)] {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let mut config = httparse::ParserConfig::default();
        config.ignore_invalid_headers_in_responses(true);
        let parsed = config.parse_response(&mut response, &text);
        let (Ok(httparse::Status::Complete(_)), Some(status)) = (parsed, response.code) else { continue };
        notes.prove(AppProtocol::Http);
        notes.count(Some(AppProtocol::Http), extent);
        notes.edit().http_status = Some(status);
        let has_body = response.headers.iter().any(|header| {
            header.name.eq_ignore_ascii_case("content-length") || header.name.eq_ignore_ascii_case("transfer-encoding")
        });
        // A 2xx answer to CONNECT has neither (RFC 9110 section 9.3.6).
        let after = if (200..300).contains(&status) && !has_body { After::Tunnel } else { After::Body };
        return (Some(status), after);
    }
    notes.count(Some(AppProtocol::Http), if extent == AppEvent::Cut { extent } else { AppEvent::Malformed });
    (None, After::Body)
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
        let table: &[(&str, &str, Option<&str>, Option<&str>, Option<&str>)] = &[
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
            ("not HTTP", "OPTIONS sip:a@b SIP/2.0\r\n\r\n", None, None, None),
        ];
        for (name, text, method, path, host) in table {
            let mut notes = Notes::default();
            let read = Request::default().advance(text.as_bytes(), &mut notes);
            assert!(matches!(read, Head::Read(length, _) if length == text.len()), "{name}");
            let facts = notes.facts();
            assert_eq!(facts.http_method.as_deref(), *method, "{name}: method");
            assert_eq!(facts.http_path.as_deref(), *path, "{name}: path");
            assert_eq!(facts.server_name.as_deref(), *host, "{name}: host");
        }
    }

    #[test]
    fn a_cut_request_gives_its_whole_lines() {
        let mut notes = Notes::default();
        Request::default().finish(b"GET /x HTTP/1.1\r\nHost: h.example\r\nCookie: abc", &mut notes);
        assert_eq!(notes.facts().server_name.as_deref(), Some("h.example"));
        assert_eq!(notes.facts().http_path.as_deref(), Some("/x"));
    }

    #[test]
    fn the_final_answer_counts() {
        let mut notes = Notes::default();
        let text = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
        let (read, step, after) = Response::default().advance(text, &mut notes);
        assert_eq!((read, step, after), (text.len(), Step::Done, After::Tunnel));
        assert_eq!(notes.facts().http_status, Some(204));
    }
}
