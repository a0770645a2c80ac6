//! Notify: one POST of what is news.
//! In: an address, a JSON value. Out: a request that arrived, or why none did. Bounds: [`ATTEMPTS_MAX`] requests of at most
//! [`PATIENCE`] each. Redirects are not followed: news goes where it was meant to.

use std::time::Duration;

use anyhow::bail;

/// Longest time of one request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests made before it is given up.
const ATTEMPTS_MAX: u32 = 4;

/// A place that takes news.
pub struct Webhook {
    url: String,
    agent: ureq::Agent,
}

impl Webhook {
    /// At this address; said before the work when it is none.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        let is_http = url.starts_with("http://") || url.starts_with("https://");
        if !is_http || url.parse::<ureq::http::Uri>().is_err() {
            bail!("--notify {url:?}: is no address; write for example https://siem.example/hook");
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

    /// Sends it; what may be a passing trouble is tried again.
    pub fn send(&self, news: &serde_json::Value) -> anyhow::Result<()> {
        let body = serde_json::to_vec(news)?;
        let mut trouble = String::new();
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                std::thread::sleep(Duration::from_millis(250 << (2 * attempt)));
            }
            let answer = self.agent.post(&self.url).header("content-type", "application/json").send(&body[..]);
            match answer.map(|answer| answer.status().as_u16()) {
                Ok(200..=299) => return Ok(()),
                Ok(status @ (408 | 425 | 429 | 500..)) => trouble = format!("answered {status}"),
                Ok(status) => bail!("--notify {}: answered {status}", self.url),
                Err(error) => trouble = error.to_string(),
            }
        }
        bail!("--notify {}: {trouble}, {ATTEMPTS_MAX} times", self.url)
    }
}
