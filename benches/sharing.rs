//! How frames reach many workers: handed over in batches by one reader, or every worker walks the whole mapped file and keeps
//! its own share.
//! In: captures of the whole bench, made under the target folder. Out: a line a way and number of workers: processor time of all
//! threads together, and of the busiest one, which is what the wall time comes to where every thread has a core.
//! Work is the parser's alone; what follows it is the same in both ways. `TRAWLWATCH_BENCH=smoke` makes it small.
#![allow(clippy::print_stdout, reason = "a bench's output is for people")]
#![allow(missing_docs, reason = "a bench has no users")]

#[allow(dead_code, reason = "the whole bench reads all of it")]
#[path = "whole/captures.rs"]
mod captures;
#[allow(dead_code, reason = "the whole bench reads all of it")]
#[path = "whole/frames.rs"]
mod frames;

use std::path::Path;
use std::time::Duration;

use crossbeam::channel::bounded;
use trawlwatch::capture::{Captures, Frame, FrameBatch, InputPath};
use trawlwatch::packet::columns::PacketColumns;
use trawlwatch::packet::{Parser, ParserLimits, shard_addresses};

/// Batches on a worker's queue at most, one by one; the pipeline hands them over by eights, which costs less still.
const QUEUE_BATCHES: usize = 8;
/// More than the machine has cores: processor time is told apart from waiting, so that they need none.
const WORKERS: [usize; 4] = [1, 2, 4, 16];

/// What a run came to; sums, so that neither order nor shares matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Answer {
    packets: u64,
    check: u64,
}

/// What a run cost.
#[derive(Clone, Copy)]
struct Cost {
    all: Duration,
    busiest: Duration,
}

type Way = fn(&Path, usize) -> Vec<(Answer, Duration)>;

fn main() {
    let is_smoke = std::env::var("TRAWLWATCH_BENCH").is_ok_and(|size| size == "smoke");
    let (packets, rounds) = if is_smoke { (10_000, 1) } else { (500_000, 5) };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-sharing");
    let ways: [(&str, Way); 2] = [("hand-over", hand_over), ("shared-nothing", shared_nothing)];
    for mix in captures::MIXES.iter().filter(|mix| ["imix", "min64"].contains(&mix.name)) {
        let (capture, count) =
            captures::make(&folder, mix, packets).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let runs: Vec<_> =
            WORKERS.into_iter().flat_map(|workers| ways.map(|(name, way)| (name, way, workers))).collect();
        let mut best = vec![Cost { all: Duration::MAX, busiest: Duration::MAX }; runs.len()];
        let mut answers = vec![Answer::default(); runs.len()];
        for _ in 0..rounds {
            for (i, (_, way, workers)) in runs.iter().enumerate() {
                let threads = way(&capture, *workers);
                answers[i] = threads.iter().fold(Answer::default(), |sum, (answer, _)| sum.with(answer));
                best[i].all = best[i].all.min(threads.iter().map(|(_, cpu)| *cpu).sum());
                best[i].busiest = best[i].busiest.min(threads.iter().map(|(_, cpu)| *cpu).max().unwrap_or_default());
            }
        }
        for (((name, _, workers), cost), answer) in runs.iter().zip(&best).zip(&answers) {
            let ns = |time: Duration| time.as_secs_f64() * 1e9 / count as f64;
            println!(
                "sharing/{name:<14} {:<6} workers={workers:<3} n={count:<8} {:>7.1} ns/frame in all  {:>7.1} ns/frame busiest thread  \
                 check={:08x}",
                mix.name,
                ns(cost.all),
                ns(cost.busiest),
                answer.check >> 32
            );
            assert_eq!(*answer, answers[0], "{name}, {workers} workers, {}: another answer", mix.name);
            assert_eq!(answer.packets, count, "every frame is parsed once");
        }
    }
    drop(std::fs::remove_dir_all(&folder));
}

impl Answer {
    fn with(self, other: &Self) -> Self {
        Self { packets: self.packets + other.packets, check: self.check.wrapping_add(other.check) }
    }

    fn add(&mut self, packets: &PacketColumns) {
        self.packets += packets.key.len() as u64;
        for ((key, ts), payload) in packets.key.iter().zip(&packets.ts).zip(&packets.payload_bytes) {
            let ports = u64::from(key.ports[0]) << 16 | u64::from(key.ports[1]);
            let mixed = (ts.0 ^ ports << 32 ^ u64::from(*payload)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.check = self.check.wrapping_add(mixed ^ mixed >> 29);
        }
    }
}

/// One worker's parser and what it found.
struct Worker {
    parser: Parser,
    packets: PacketColumns,
    answer: Answer,
}

impl Worker {
    fn new() -> Self {
        Self {
            parser: Parser::new(ParserLimits::default()),
            packets: PacketColumns::default(),
            answer: Answer::default(),
        }
    }

    fn batch(&mut self, frames: &FrameBatch) {
        self.packets.clear();
        self.parser.parse_batch(frames, &mut self.packets);
        self.answer.add(&self.packets);
    }
}

/// One thread reads and hands on, each worker has a queue; used batches come back.
fn hand_over(capture: &Path, workers: usize) -> Vec<(Answer, Duration)> {
    let mut captures = open(capture);
    let (free_to, free) = bounded::<FrameBatch>(workers * (QUEUE_BATCHES + 2));
    let (tasks_to, tasks): (Vec<_>, Vec<_>) = (0..workers).map(|_| bounded::<FrameBatch>(QUEUE_BATCHES)).unzip();
    std::thread::scope(|scope| {
        let threads: Vec<_> = tasks
            .into_iter()
            .map(|tasks| {
                let free_to = free_to.clone();
                scope.spawn(move || {
                    let mut worker = Worker::new();
                    for frames in tasks {
                        worker.batch(&frames);
                        let _enough = free_to.try_send(frames);
                    }
                    (worker.answer, cpu())
                })
            })
            .collect();
        let reader = scope.spawn(move || {
            let maps = captures.maps();
            let new = || FrameBatch::new(maps.clone());
            let mut open: Vec<FrameBatch> = (0..workers).map(|_| new()).collect();
            while let Some(frame) = captures.next_frame() {
                let worker = owner(&frame, workers);
                open[worker].push(&frame);
                if open[worker].is_full() {
                    let mut next = free.try_recv().unwrap_or_else(|_| new());
                    next.clear();
                    let full = std::mem::replace(&mut open[worker], next);
                    tasks_to[worker].send(full).expect("workers live as long as their queues");
                }
            }
            for (batch, tasks) in open.into_iter().zip(tasks_to) {
                tasks.send(batch).expect("workers live as long as their queues");
            }
            (Answer::default(), cpu())
        });
        threads.into_iter().chain([reader]).map(|thread| thread.join().expect("no thread panics")).collect()
    })
}

/// Each worker maps the file, steps over all of its records and keeps those that are its own.
fn shared_nothing(capture: &Path, workers: usize) -> Vec<(Answer, Duration)> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|me| {
                scope.spawn(move || {
                    let mut captures = open(capture);
                    let mut worker = Worker::new();
                    let mut batch = FrameBatch::new(captures.maps());
                    while let Some(frame) = captures.next_frame() {
                        if owner(&frame, workers) != me {
                            continue;
                        }
                        batch.push(&frame);
                        if batch.is_full() {
                            worker.batch(&batch);
                            batch.clear();
                        }
                    }
                    worker.batch(&batch);
                    (worker.answer, cpu())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    })
}

fn open(capture: &Path) -> Captures {
    Captures::open(&[InputPath::parse(capture)]).expect("a capture")
}

/// The worker of a frame's address pair, as the pipeline chooses it: the same for both directions.
fn owner(frame: &Frame<'_>, workers: usize) -> usize {
    if workers == 1 {
        return 0;
    }
    let Some((a, b)) = shard_addresses(frame.link, frame.bytes) else { return 0 };
    let half = |address: [u8; 16]| {
        let word = u128::from_be_bytes(address);
        (word as u64 ^ (word >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    };
    let mixed = (half(a.0) ^ half(b.0)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    ((u128::from(mixed) * workers as u128) >> 64) as usize
}

/// Time that this thread has spent on a processor; nothing where the system does not tell.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default())
}
