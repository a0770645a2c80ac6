//! Webhook: one POST a piece of news, `application/json`.
//! In: JSON objects. Out: requests; an answer of 2xx is arrival, 408, 425, 429, 5xx and silence are tried again, any other is
//! final.
//! Bounds: [`PATIENCE`] a request, [`ATTEMPTS_MAX`] requests a piece. Redirects are not followed: news goes where it was meant to.

use std::time::Duration;

use super::{Carrier, Failure};

/// Longest time of one request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests for one piece of news: the pauses between them add up to some 25 seconds.
const ATTEMPTS_MAX: u32 = 8;

/// A place that takes news by HTTP.
pub struct Webhook {
    url: String,
    agent: ureq::Agent,
}

impl Webhook {
    /// At this address.
    pub fn new(url: &str) -> Result<Self, String> {
        let is_http = url.starts_with("http://") || url.starts_with("https://");
        if !is_http || url.parse::<ureq::http::Uri>().is_err() {
            return Err(format!("{url:?}: write an address such as https://siem.example/hook"));
        }
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("trawlwatch/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Ok(Self { url: url.to_owned(), agent })
    }
}

impl Carrier for Webhook {
    fn carry(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let answer = self.agent.post(&self.url).header("content-type", "application/json").send(bytes);
        match answer.map(|answer| answer.status().as_u16()) {
            Ok(200..=299) => Ok(()),
            Ok(status @ (408 | 425 | 429 | 500..)) => Err(Failure::Later(format!("answered {status}"))),
            Ok(status) => Err(Failure::Never(format!("answered {status}"))),
            Err(error) => Err(Failure::Later(error.to_string())),
        }
    }

    fn attempts_max(&self) -> Option<u32> {
        Some(ATTEMPTS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_answer_says_whether_to_try_again() {
        for (status, wanted) in
            [("200 OK", "arrived"), ("503 Busy", "later"), ("302 Found", "never"), ("404 No", "never")]
        {
            let server = TcpListener::bind("127.0.0.1:0").expect("binds");
            let url = format!("http://{}/hook", server.local_addr().expect("bound"));
            let answering = std::thread::spawn(move || {
                let (mut peer, _) = server.accept().expect("a peer");
                let mut request = Vec::new();
                let mut part = [0; 1024];
                while !request.ends_with(b"{}") {
                    let n = peer.read(&mut part).expect("reads");
                    request.extend_from_slice(&part[..n]);
                }
                let head =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nlocation: /x\r\nconnection: close\r\n\r\n");
                peer.write_all(head.as_bytes()).expect("answers");
                String::from_utf8_lossy(&request).into_owned()
            });
            let came = match Webhook::new(&url).expect("an address").carry(b"{}") {
                Ok(()) => "arrived",
                Err(Failure::Later(_)) => "later",
                Err(Failure::Never(_)) => "never",
            };
            assert_eq!(came, wanted, "{status}");
            let request = answering.join().expect("answered");
            assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
            assert!(request.contains("content-type: application/json"), "{request}");
        }
        assert!(Webhook::new("siem.example").is_err());
    }
}
