//! Application stage: nanoseconds a call, with a sum that says what was computed.
//! Lines: the look at a first payload that is foreign (what most flows cost), a packet of a side that is done, and each
//! protocol's whole opening from start to facts.
#![allow(clippy::print_stdout, reason = "a bench's output is for people")]

use std::hint::black_box;
use std::time::Instant;

use trawlwatch::packet::app::{AppContext, AppState};
use trawlwatch::units::{Address, Side, TimestampNs};

/// Rounds, of which the fastest is printed: others share the machine.
const ROUNDS: usize = 20;

const CTX: AppContext = AppContext { ts: TimestampNs(1), orig: Address([1; 16]), resp: Address([2; 16]) };

fn line(name: &str, per_round: usize, mut call: impl FnMut(usize) -> u64) {
    let (mut best, mut check) = (f64::INFINITY, 0);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        check = (0..per_round).fold(0u64, |sum, n| sum.wrapping_mul(31).wrapping_add(black_box(call(black_box(n)))));
        best = best.min(started.elapsed().as_nanos() as f64 / per_round as f64);
    }
    println!("packet/app  {name:28}  n={per_round}  {best:8.1} ns/call  check={check:016x}");
}

fn client_hello() -> Vec<u8> {
    let sized = |bytes: usize, content: &[u8]| {
        let length = (content.len() as u32).to_be_bytes();
        [&length[4 - bytes..], content].concat()
    };
    let extension = |number: u16, content: &[u8]| [&number.to_be_bytes()[..], &sized(2, content)].concat();
    let host = [&[0][..], &sized(2, b"www.example.net")].concat();
    let others: Vec<u8> = [5u16, 10, 11, 18, 23, 27, 35, 45, 51].iter().flat_map(|n| extension(*n, &[1; 30])).collect();
    let extensions = [
        extension(0, &sized(2, &host)),
        extension(16, &sized(2, b"\x02h2\x08http/1.1")),
        extension(13, &sized(2, &[4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1])),
        extension(43, &sized(1, &[3, 4, 3, 3])),
        others,
    ]
    .concat();
    let suites: Vec<u8> = (0u16..15).flat_map(|n| (0xc02b + n).to_be_bytes()).collect();
    let body = [&[3, 3][..], &[7; 32], &[0], &sized(2, &suites), &[1, 0], &sized(2, &extensions)].concat();
    let message = [&[1][..], &sized(3, &body)].concat();
    [&[22, 3, 1][..], &sized(2, &message)].concat()
}

fn main() {
    let foreign: [&[u8]; 4] = [&[23, 3, 3, 0, 40, 1, 2, 3], &[0x13; 60], b"hello world\n", b"Something else entirely"];
    line("start, foreign TCP", 1 << 16, |n| {
        u64::from(AppState::start(6, [40000, 4444], foreign[n % foreign.len()]).is_some())
    });
    let foreign: [&[u8]; 3] = [&[0x80; 60], &[0x23; 48], &[1, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]];
    line("start, foreign UDP", 1 << 16, |n| {
        u64::from(AppState::start(17, [40000, 4444], foreign[n % foreign.len()]).is_some())
    });

    let hello = client_hello();
    let mut lookups = Vec::new();
    line("TLS client hello, JA4", 1 << 10, |_| {
        let mut state = AppState::start(6, [40000, 443], &hello).expect("a hello begins a state");
        state.stream(Side::Orig, 0, &hello, &CTX, &mut lookups);
        state.facts().ja4.as_deref().map_or(0, |ja4| u64::from(ja4.as_bytes()[20]))
    });
    line("TLS client hello, 3 segments", 1 << 10, |_| {
        let mut state = AppState::start(6, [40000, 443], &hello[..200]).expect("a hello begins a state");
        for (start, end) in [(0, 200), (300, hello.len()), (200, 300)] {
            state.stream(Side::Orig, start as u32, &hello[start..end], &CTX, &mut lookups);
        }
        state.facts().ja4.as_deref().map_or(0, |ja4| u64::from(ja4.as_bytes()[20]))
    });
    let mut done = AppState::start(6, [40000, 443], &hello).expect("a hello begins a state");
    done.stream(Side::Orig, 0, &hello, &CTX, &mut lookups);
    done.stream(Side::Orig, hello.len() as u32, &[23, 3, 3, 0, 1, 0], &CTX, &mut lookups);
    line("a segment of a side that is done", 1 << 16, |n| {
        done.stream(Side::Orig, n as u32, &hello, &CTX, &mut lookups) as u64
    });

    let answer = b"\x12\x34\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00\x03www\x07example\x03net\x00\x00\x01\x00\x01\
        \xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x02";
    let mut dns = AppState::start(17, [40000, 53], answer).expect("DNS begins a state");
    line("DNS answer", 1 << 12, |_| {
        lookups.clear();
        dns.datagram(Side::Resp, answer, &CTX, &mut lookups);
        lookups.first().map_or(0, |lookup| u64::from(lookup.id) + lookup.answers.len() as u64)
    });

    let request = b"GET /index.html?q=1 HTTP/1.1\r\nHost: www.example.net\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n";
    line("HTTP request", 1 << 12, |_| {
        let mut state = AppState::start(6, [40000, 80], request).expect("a request begins a state");
        state.stream(Side::Orig, 0, request, &CTX, &mut lookups);
        state.facts().seldom().http_path.as_deref().map_or(0, |path| path.len() as u64)
    });

    // Protected by nobody: the keys are derived and the tag is refused, which is all the work but the reading of frames.
    let mut initial = vec![0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0xb0];
    initial.resize(1218, 0x5a);
    line("QUIC Initial, keys and opening", 1 << 8, |_| {
        let mut state = AppState::start(17, [40000, 443], &initial).expect("an Initial begins a state");
        state.datagram(Side::Orig, &initial, &CTX, &mut lookups);
        u64::from(state.facts().protocol.is_some())
    });
    println!("packet/app  a state takes {} bytes", std::mem::size_of::<AppState>());
}
