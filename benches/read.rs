//! Reading captures: nanoseconds a frame beside a bare libpcap loop and a bare read of the same file.
//! In: captures that this bench writes under the target folder. Out: one line a stage, with a check of the answer.
//! `TRAWLWATCH_BENCH=smoke` makes it small. Processor time of the reading thread, best of several rounds.
#![allow(clippy::print_stdout, reason = "a bench's output is for people")]

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use trawlwatch::capture::{Captures, Frame, FrameBatch, InputPath};

/// What a stage found: frames, and a hash over times, lengths and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Answer {
    frames: u64,
    check: u64,
}

impl Answer {
    /// Touches the first and the last byte: what a parser does at the least.
    #[inline]
    fn add(&mut self, ts: u64, wire: u32, bytes: &[u8]) {
        let ends = u64::from(bytes.first().copied().unwrap_or(0)) << 8 | u64::from(bytes.last().copied().unwrap_or(0));
        self.frames += 1;
        self.check =
            (self.check.rotate_left(5) ^ ts ^ u64::from(wire) << 20 ^ ends).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    #[inline]
    fn add_frame(&mut self, frame: &Frame<'_>) {
        self.add(frame.ts.0, frame.wire_bytes, frame.bytes);
    }
}

/// Time that this thread spent on a processor, where the system tells; else time that passed. Neighbours on the
/// machine slow the former less.
struct Clock {
    cpu: Option<Duration>,
    wall: Instant,
}

impl Clock {
    fn now() -> Self {
        Self { cpu: Self::cpu(), wall: Instant::now() }
    }

    fn cpu() -> Option<Duration> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
    }

    fn elapsed(&self) -> Duration {
        Self::cpu().zip(self.cpu).map_or_else(|| self.wall.elapsed(), |(now, then)| now - then)
    }
}

/// A traffic mix: its name and the sizes of its frames.
struct Mix {
    name: &'static str,
    frames: u64,
    size: fn(u64) -> usize,
}

fn main() {
    let is_smoke = std::env::var("TRAWLWATCH_BENCH").is_ok_and(|size| size == "smoke");
    let (scale, rounds) = if is_smoke { (20_000, 2) } else { (1_500_000, 5) };
    let mixes = [
        Mix { name: "min64", frames: scale, size: |_| 64 },
        // Heavy-tailed: half are acknowledgements, a third are full, the rest lie between.
        Mix {
            name: "imix",
            frames: scale / 3,
            size: |random| match random % 100 {
                0..50 => 54 + (random >> 32) as usize % 16,
                50..83 => 1514,
                _ => 70 + (random >> 32) as usize % 1400,
            },
        },
    ];
    for mix in &mixes {
        bench_mix(mix, rounds);
    }
}

fn bench_mix(mix: &Mix, rounds: u32) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-read");
    std::fs::create_dir_all(&folder).expect("a folder under target");
    let path = |end: &str| folder.join(format!("{}.{end}", mix.name));
    let files = Files {
        pcap: write(&path("pcap"), &pcap(mix, 0, 1)),
        pcapng: write(&path("pcapng"), &pcapng(mix)),
        gzip: write(&path("pcap.gz"), &gzip(&pcap(mix, 0, 1))),
        zstd: write(&path("pcap.zst"), &zstd::encode_all(&pcap(mix, 0, 1)[..], 1).expect("memory")),
        halves: [0, 1].map(|half| write(&path(&format!("{half}.pcap")), &pcap(mix, half, 2))),
    };
    type Stage<'a> = (&'static str, Box<dyn Fn(&Files) -> Option<Answer> + 'a>);
    let stages: [Stage<'_>; 9] = [
        ("read(2)", Box::new(|files| bare_read(&files.pcap))),
        ("libpcap", Box::new(|files| libpcap(&files.pcap))),
        ("mapped", Box::new(|files| ours(&[&files.pcap]))),
        ("mapped+batch", Box::new(|files| batched(&files.pcap))),
        ("piped", Box::new(|files| piped(&files.pcap))),
        ("pcapng", Box::new(|files| ours(&[&files.pcapng]))),
        ("merged-2", Box::new(|files| ours(&[&files.halves[0], &files.halves[1]]))),
        ("gzip", Box::new(|files| ours(&[&files.gzip]))),
        ("zstd", Box::new(|files| ours(&[&files.zstd]))),
    ];
    let mut best = [Duration::MAX; 9];
    let mut answers = [None; 9];
    for _ in 0..rounds {
        for (i, (_, stage)) in stages.iter().enumerate() {
            let start = Clock::now();
            answers[i] = stage(&files);
            best[i] = best[i].min(start.elapsed());
        }
    }
    let wanted = answers[1].expect("libpcap's answer");
    for (i, (name, _)) in stages.iter().enumerate() {
        let ns = best[i].as_secs_f64() * 1e9 / mix.frames as f64;
        let against = |other: usize| best[i].as_secs_f64() / best[other].as_secs_f64();
        let check = answers[i].map_or_else(|| "-".to_owned(), |answer| format!("{:08x}", answer.check >> 32));
        println!(
            "capture/{name:<13} {:<6} n={:<8} {ns:>7.1} ns/frame {:>7.1} Mframe/s  x{:.2} of libpcap  x{:.2} of read(2)  check={check}",
            mix.name,
            mix.frames,
            1e3 / ns,
            against(1),
            against(0),
        );
        assert!(answers[i].is_none_or(|answer| answer == wanted), "{name} on {}: another answer", mix.name);
    }
    drop(std::fs::remove_dir_all(&folder));
}

struct Files {
    pcap: PathBuf,
    pcapng: PathBuf,
    gzip: PathBuf,
    zstd: PathBuf,
    halves: [PathBuf; 2],
}

fn bare_read(path: &Path) -> Option<Answer> {
    let mut file = File::open(path).expect("written before");
    let mut buffer = vec![0; 256 << 10];
    while file.read(&mut buffer).expect("readable") > 0 {}
    None
}

fn libpcap(path: &Path) -> Option<Answer> {
    let mut capture = pcap::Capture::from_file_with_precision(path, pcap::Precision::Nano).expect("a capture");
    let mut answer = Answer::default();
    while let Ok(packet) = capture.next_packet() {
        let ts = packet.header.ts.tv_sec as u64 * 1_000_000_000 + packet.header.ts.tv_usec as u64;
        answer.add(ts, packet.header.len, packet.data);
    }
    Some(answer)
}

fn open(paths: &[&PathBuf]) -> Captures {
    let paths: Vec<_> = paths.iter().map(InputPath::parse).collect();
    Captures::open(&paths).expect("captures")
}

fn ours(paths: &[&PathBuf]) -> Option<Answer> {
    let mut captures = open(paths);
    let mut answer = Answer::default();
    while let Some(frame) = captures.next_frame() {
        answer.add_frame(&frame);
    }
    Some(answer)
}

fn batched(path: &PathBuf) -> Option<Answer> {
    let mut captures = open(&[path]);
    let mut answer = Answer::default();
    let mut batch = FrameBatch::new(captures.maps());
    let mut count = |batch: &FrameBatch| {
        for frame in batch.frames() {
            answer.add(frame.ts.0, frame.wire_bytes, batch.bytes(frame));
        }
    };
    while let Some(frame) = captures.next_frame() {
        batch.push(&frame);
        if batch.is_full() {
            count(&batch);
            batch.clear();
        }
    }
    count(&batch);
    Some(answer)
}

/// The file through a pipe, as from `cat FILE |`.
fn piped(path: &PathBuf) -> Option<Answer> {
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let fifo = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
    if !Path::new(&fifo).exists() {
        io::copy(&mut reader, &mut io::sink()).expect("an empty pipe");
        return None;
    }
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut writer = writer;
            let mut file = File::open(path).expect("written before");
            let mut buffer = vec![0; 64 << 10];
            while let Ok(n @ 1..) = file.read(&mut buffer) {
                writer.write_all(&buffer[..n]).expect("the reader reads all");
            }
        });
        ours(&[&PathBuf::from(fifo)])
    })
}

/// Every `of`-th frame from the `part`-th on, as a pcap file.
fn pcap(mix: &Mix, part: u64, of: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend(field.to_le_bytes());
    }
    let mut i = 0;
    each_frame(mix, |ts, frame| {
        if i % of == part {
            for field in
                [(ts / 1_000_000_000) as u32, (ts % 1_000_000_000) as u32, frame.len() as u32, frame.len() as u32]
            {
                bytes.extend(field.to_le_bytes());
            }
            bytes.extend(frame);
        }
        i += 1;
    });
    bytes
}

fn pcapng(mix: &Mix) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in [0x0a0d_0d0a_u32, 28, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 28] {
        bytes.extend(field.to_le_bytes());
    }
    // One interface of nanoseconds: option if_tsresol (9) of one byte, 9.
    for field in [1_u32, 32, 1, 65_535, 0x0001_0009, 9, 0, 32] {
        bytes.extend(field.to_le_bytes());
    }
    each_frame(mix, |ts, frame| {
        let padded = frame.len().next_multiple_of(4);
        let total = 32 + padded as u32;
        let captured = frame.len() as u32;
        for field in [6, total, 0, (ts >> 32) as u32, ts as u32, captured, captured] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(frame);
        bytes.resize(bytes.len() + padded - frame.len(), 0);
        bytes.extend(total.to_le_bytes());
    });
    bytes
}

fn each_frame(mix: &Mix, mut take: impl FnMut(u64, &[u8])) {
    let (mut random, mut ts) = (1_u64, 1_700_000_000_000_000_000_u64);
    let mut frame = vec![0; 2048];
    for _ in 0..mix.frames {
        // Knuth's MMIX generator: any would do, this one needs no crate.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Never equal times: files that were split by turns then merge into the same order.
        ts += 1 + (random >> 48);
        let size = (mix.size)(random >> 8).min(frame.len());
        frame[..8].copy_from_slice(&random.to_le_bytes());
        frame[size - 1] = random as u8;
        take(ts, &frame[..size]);
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn write(path: &Path, bytes: &[u8]) -> PathBuf {
    let mut file = BufWriter::new(File::create(path).expect("a file under target"));
    file.write_all(bytes).expect("room under target");
    file.flush().expect("room under target");
    path.to_owned()
}
