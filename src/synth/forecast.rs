//! Forecast: how large a capture will be, before a byte of it lies on a disk, and how much room there is.
//! In: a scenario, a folder. Out: packets and bytes, exact where the whole scenario could be played without writing it.
//! Bounds: a play ends after [`PLAYED_MAX`] packets (some hundredths of a second). What is larger is played with fewer subscribers, twice:
//! what grows with them and what does not are told apart by the difference. A world begins with nobody in the middle of
//! anything, so the first minutes of the whole one would tell too little.

use std::path::Path;

use super::dice::Seeds;
use super::faults::CapturePoint;
use super::scenario::{Beside, Scenario};
use super::stage::Stage;
use super::town::rhythm;
use super::write::{CaptureWriter, WriteError};
use crate::units::{DurationNs, TimestampNs};

/// Packets played at first, some hundredths of a second; what is smaller than that is told exactly.
const GLANCED_MAX: u64 = 100_000;
/// Packets played at most at once where that says that it may come to much.
const PLAYED_MAX: u64 = 200_000;
/// What a glance must be below: it sees the slow beginning alone, and may be wrong by this factor.
const LITTLE_BYTES: f64 = (1u64 << 30) as f64 / 4.0;
/// Plays with ever fewer subscribers before the beginning of one has to do.
const PLAYS_MAX: u32 = 5;
/// Fewer subscribers are no town.
const SUBSCRIBERS_MIN: u32 = 12;
/// Headers of a record and of the file.
const RECORD_BYTES: f64 = 16.0;
const FILE_BYTES: f64 = 24.0;
/// What zstd leaves of such traffic at most: shipped captures keep a twelfth to a fortieth.
const PACKED: f64 = 0.1;
/// Steps in which an hour's rhythm is summed.
const STEP: DurationNs = DurationNs::from_secs(60);

/// What a capture will come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Frames.
    pub packets: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Whether all of it was played; otherwise it is an estimate, good to a factor of three or so.
    pub is_exact: bool,
}

impl Forecast {
    fn of([packets, frame_bytes]: [f64; 2], packed: bool, is_whole: bool) -> Self {
        let file_bytes = frame_bytes + packets * RECORD_BYTES + FILE_BYTES;
        let kept = if packed { PACKED } else { 1.0 };
        Self { packets: packets as u64, file_bytes: (file_bytes * kept) as u64, is_exact: is_whole && !packed }
    }
}

/// What a play came to.
#[derive(Clone, Copy, Debug)]
struct Played {
    subscribers: u32,
    packets: f64,
    frame_bytes: f64,
    /// Up to when.
    until: TimestampNs,
    is_whole: bool,
}

impl Scenario {
    /// Plays the scenario without writing it, as far as that takes no time.
    ///
    /// # Errors
    /// A name that no capture can have.
    pub fn forecast(&self, path: &Path) -> Result<Forecast, WriteError> {
        Beside::of(path)?;
        let packed = path.extension().is_some_and(|ending| ending == "zst");
        let glance = self.play_unwritten(self.subscribers(), GLANCED_MAX)?;
        let more = if glance.is_whole { 1.0 } else { 1.0 / self.share_until(glance.until).max(1e-9) };
        let [packets, frame_bytes] = [glance.packets * more, glance.frame_bytes * more];
        match glance.is_whole || frame_bytes < LITTLE_BYTES {
            true => Ok(Forecast::of([packets, frame_bytes], packed, glance.is_whole)),
            false => self.forecast_within(packed, PLAYED_MAX),
        }
    }

    fn forecast_within(&self, packed: bool, played_max: u64) -> Result<Forecast, WriteError> {
        let all = self.play_unwritten(self.subscribers(), played_max)?;
        let [packets, frame_bytes] = match all.is_whole {
            true => [all.packets, all.frame_bytes],
            false => self.scaled_up(all, played_max)?,
        };
        Ok(Forecast::of([packets, frame_bytes], packed, all.is_whole))
    }

    /// Packets and bytes of the whole, from plays with fewer subscribers; `beginning` is as far as all of them came.
    fn scaled_up(&self, beginning: Played, played_max: u64) -> Result<[f64; 2], WriteError> {
        let all = f64::from(self.subscribers());
        let mut play = beginning;
        for _ in 0..PLAYS_MAX {
            // A third of what the pace so far would bear: the beginning is slow.
            let fewer = f64::from(play.subscribers) * self.share_until(play.until) / 3.0;
            let fewer = (fewer as u32).clamp(SUBSCRIBERS_MIN, (play.subscribers / 2).max(SUBSCRIBERS_MIN));
            if fewer >= play.subscribers {
                break;
            }
            play = self.play_unwritten(fewer, played_max)?;
            if play.is_whole {
                break;
            }
        }
        if !play.is_whole {
            let more = all / f64::from(play.subscribers) / self.share_until(play.until).max(1e-9);
            return Ok([play.packets * more, play.frame_bytes * more]);
        }
        let half = self.play_unwritten(play.subscribers.div_ceil(2), played_max)?;
        let apart = f64::from(play.subscribers - half.subscribers).max(1.0);
        let grown = |more: f64, less: f64| {
            let each = ((more - less) / apart).clamp(0.0, more / f64::from(play.subscribers));
            more + each * (all - f64::from(play.subscribers))
        };
        Ok([grown(play.packets, half.packets), grown(play.frame_bytes, half.frame_bytes)])
    }

    /// Share of all that people do that lies before a time.
    fn share_until(&self, until: TimestampNs) -> f64 {
        let ([start, end], shape) = (self.span(), self.world().rhythm);
        busyness(shape, start, until) / busyness(shape, start, end).max(1e-12)
    }

    fn play_unwritten(&self, subscribers: u32, packets_max: u64) -> Result<Played, WriteError> {
        let [start, end] = self.span();
        let seeds = Seeds::new(self.seed());
        let mut stage = Stage::new(start, end);
        let (mut town, mut taps, _) = self.set(&seeds, subscribers, &mut stage);
        let mut point = CapturePoint::new(CaptureWriter::nowhere(), self.faults(), [start, end], &seeds);
        stage.packets_left = packets_max;
        stage.run(&mut town, &mut taps, &mut point)?;
        let (until, is_whole) = (stage.now(), stage.is_over());
        let written = point.finish()?;
        let (packets, frame_bytes) = (written.packets as f64, written.frame_bytes as f64);
        Ok(Played { subscribers, packets, frame_bytes, until, is_whole })
    }
}

/// The rhythm summed over a span, in busiest seconds.
fn busyness(shape: rhythm::Shape, from: TimestampNs, until: TimestampNs) -> f64 {
    let (mut at, mut sum) = (from, 0.0);
    while at < until {
        let next = at.after(STEP).min(until);
        sum += rhythm::activity_of(shape, at) * next.since(at).as_secs_f64();
        at = next;
    }
    sum
}

/// Bytes that may still be written to the file system of a folder; none where the system does not say.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[expect(unsafe_code, reason = "the standard library has no way to ask how full a disk is")]
pub fn room_bytes(folder: &Path) -> Option<u64> {
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::CString::new(folder.as_os_str().as_bytes()).ok()?;
    let mut said = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the name ends in a zero byte, as `CString` made it, and `said` has room for the one structure that is filled.
    let done = unsafe { libc::statvfs(name.as_ptr(), said.as_mut_ptr()) };
    // SAFETY: all bytes were zero before, which every field of the structure may be, whether or not the call filled it.
    let said = unsafe { said.assume_init() };
    (done == 0).then(|| said.f_bavail.saturating_mul(said.f_frsize))
}

/// Bytes that may still be written to the file system of a folder; none where the system does not say.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub fn room_bytes(_folder: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::{Overwrite, ScenarioWords};

    fn scenario(subscribers: u32) -> Scenario {
        let words = ScenarioWords {
            subscribers,
            hours: 0.2,
            activity: 0.5,
            volume: 0.01,
            operations: vec!["population-fan-in:period=60s".to_owned()],
            seed: 1_003,
            ..ScenarioWords::default()
        };
        Scenario::try_from(words).expect("a good scenario")
    }

    #[test]
    fn what_is_played_whole_is_foreseen_to_the_byte() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.pcap");
        let forecast = scenario(40).forecast(&path).expect("a forecast");
        let written = scenario(40).write(&path, Overwrite::Never).expect("a capture").written;
        assert_eq!((forecast.packets, forecast.file_bytes), (written.packets, written.file_bytes));
        assert!(forecast.is_exact);
    }

    #[test]
    fn a_part_tells_the_order_of_the_whole() {
        let whole = scenario(120).forecast_within(false, u64::MAX).expect("a forecast");
        for part in [4, 40] {
            let part = scenario(120).forecast_within(false, whole.packets / part).expect("a forecast");
            let ratio = part.file_bytes as f64 / whole.file_bytes as f64;
            assert!(!part.is_exact && (0.4..2.5).contains(&ratio), "{ratio}: {part:?} of {whole:?}");
        }
        let packed = scenario(120).forecast(Path::new("a.pcap.zst")).expect("a forecast");
        assert!(!packed.is_exact && packed.file_bytes < whole.file_bytes / 5);
    }

    #[test]
    fn a_folder_has_room_and_one_that_is_not_there_has_none() {
        if cfg!(target_os = "linux") {
            assert!(room_bytes(&std::env::temp_dir()).is_some_and(|bytes| bytes > 0));
        }
        assert_eq!(room_bytes(Path::new("/no/such/folder")), None);
    }
}
