//! HTTP/1.1 heads (RFC 9112). In: a host, a path, lengths. Out: whole heads; bodies are opaque.

/// A request's head.
pub(crate) fn request(method: &str, host: &str, path: &str, agent: &str, body_bytes: u64) -> Vec<u8> {
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\nConnection: keep-alive\r\n"
    );
    if body_bytes > 0 {
        head += &format!("Content-Type: application/octet-stream\r\nContent-Length: {body_bytes}\r\n");
    }
    head += "\r\n";
    head.into_bytes()
}

/// A response's head.
pub(crate) fn response(status: &str, server: &str, kind: &str, body_bytes: u64) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nServer: {server}\r\nContent-Type: {kind}\r\nContent-Length: {body_bytes}\r\nConnection: keep-alive\r\n\r\n"
    )
    .into_bytes()
}

/// A redirection to another place.
pub(crate) fn redirect(location: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
}
