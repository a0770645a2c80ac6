//! Notify: one piece of news that is waited for until it arrived, or will not.
//! In: a webhook, a JSON value. Out: nothing, or why it did not arrive. Bounds: [`ATTEMPTS_MAX`] requests; a pause of a
//! quarter, one and four seconds between them.

use std::time::Duration;

use anyhow::bail;

use super::watch::outlet::webhook::Webhook;
use super::watch::outlet::{Carrier, Failure};

/// Requests made before it is given up: a sweep has nothing else to do, and its scheduler will start it again.
const ATTEMPTS_MAX: u32 = 4;

/// Sends it; what may be a passing trouble is tried again.
pub fn notify(webhook: &mut Webhook, news: &serde_json::Value) -> anyhow::Result<()> {
    let body = serde_json::to_vec(news)?;
    let mut trouble = String::new();
    for attempt in 0..ATTEMPTS_MAX {
        if attempt > 0 {
            std::thread::sleep(Duration::from_millis(250 << (2 * (attempt - 1))));
        }
        match webhook.carry(&body) {
            Ok(()) => return Ok(()),
            Err(Failure::Never(why)) => bail!("--webhook: {why}"),
            Err(Failure::Later(why)) => trouble = why,
        }
    }
    bail!("--webhook: {trouble}, {ATTEMPTS_MAX} times")
}
