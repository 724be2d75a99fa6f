// crossbeam-channel's answer to the rows that threads can do honestly. bench ROW N prints what
// ../../bench.c does; without arguments: the rows, each with what run.sh divides its N by.
//
// Every end is a thread: with W=1 all of them share one processor, with W=2 the kernel spreads
// them. A select of up to eight channels is the macro, 64 are a Select made once.
use crossbeam_channel::{bounded, select, Receiver, RecvTimeoutError, Select, Sender};
use std::thread;
use std::time::{Duration, Instant};

struct Row {
    name: &'static str,
    run: fn(&Row, i64) -> u64,
    a: usize,
    b: usize,
    cap: usize,
    shrink: i64, // of n, where a thread switch per message would take minutes
}

// A message of the given number of words, the value in the first.
fn message<const WORDS: usize>(v: i64) -> [i64; WORDS] {
    let mut m = [0; WORDS];
    m[0] = v;
    m
}

fn pairs(r: &Row, n: i64) -> u64 {
    let (tx, rx) = bounded(r.cap);
    let mut sum = 0;
    for i in 0..n {
        tx.send(i).unwrap();
        sum += rx.recv().unwrap();
    }
    sum as u64
}

fn seq(_: &Row, n: i64) -> u64 {
    let (tx, rx) = bounded(n as usize);
    let mut sum = 0;
    for i in 0..n {
        tx.send(i).unwrap();
    }
    for _ in 0..n {
        sum += rx.recv().unwrap();
    }
    sum as u64
}

// Receivers stop when the last sender has gone, which disconnects the channel.
fn stream<const WORDS: usize>(r: &Row, n: i64) -> u64 {
    let (tx, rx) = bounded(r.cap);
    thread::scope(|all| {
        let mut receivers = Vec::new();
        for _ in 0..r.b {
            let rx: Receiver<[i64; WORDS]> = rx.clone();
            receivers.push(all.spawn(move || rx.iter().map(|m| m[0]).sum::<i64>()));
        }
        for i in 0..r.a as i64 {
            let (tx, parts) = (tx.clone(), r.a as i64);
            all.spawn(move || {
                for v in n * i / parts..n * (i + 1) / parts {
                    tx.send(message(v)).unwrap();
                }
            });
        }
        drop(tx);
        receivers.into_iter().map(|t| t.join().unwrap()).sum::<i64>() as u64
    })
}

fn pingpong(_: &Row, n: i64) -> u64 {
    let (there, there_rx) = bounded(0);
    let (back, back_rx) = bounded(0);
    thread::scope(|all| {
        let other = all.spawn(move || {
            let mut sum = 0;
            for v in there_rx.iter() {
                sum += v;
                back.send(v + 1).unwrap();
            }
            sum
        });
        let (mut sum, mut v) = (0i64, 0i64);
        for _ in 0..n {
            there.send(v).unwrap();
            v = back_rx.recv().unwrap();
            sum += v;
            v += 1;
        }
        drop(there);
        (sum + other.join().unwrap()) as u64
    })
}

// As pingpong, but always the main thread's number goes there, and only what comes back counts.
fn foreign_two(_: &Row, n: i64) -> u64 {
    let (there, there_rx) = bounded(0);
    let (back, back_rx) = bounded(0);
    thread::scope(|all| {
        all.spawn(move || there_rx.iter().for_each(|v: i64| back.send(v + 1).unwrap()));
        let mut sum = 0;
        for i in 0..n {
            there.send(i).unwrap();
            sum += back_rx.recv().unwrap();
        }
        drop(there);
        sum as u64
    })
}

// pick receives from whichever is ready and returns the value and which channel it was. A channel
// whose sender is gone is ready, as a closed one is with us, and its value is 0.
fn pick(c: &[Receiver<i64>], more: &mut Option<Select>) -> (i64, usize) {
    match c {
        [p, q] => select! {
            recv(p) -> v => (v.unwrap_or(0), 0),
            recv(q) -> v => (v.unwrap_or(0), 1),
        },
        [p, q, r, s] => select! {
            recv(p) -> v => (v.unwrap_or(0), 0),
            recv(q) -> v => (v.unwrap_or(0), 1),
            recv(r) -> v => (v.unwrap_or(0), 2),
            recv(s) -> v => (v.unwrap_or(0), 3),
        },
        [p, q, r, s, t, u, v, w] => select! {
            recv(p) -> x => (x.unwrap_or(0), 0),
            recv(q) -> x => (x.unwrap_or(0), 1),
            recv(r) -> x => (x.unwrap_or(0), 2),
            recv(s) -> x => (x.unwrap_or(0), 3),
            recv(t) -> x => (x.unwrap_or(0), 4),
            recv(u) -> x => (x.unwrap_or(0), 5),
            recv(v) -> x => (x.unwrap_or(0), 6),
            recv(w) -> x => (x.unwrap_or(0), 7),
        },
        _ => {
            let ready = more.as_mut().unwrap().select();
            let which = ready.index();
            (ready.recv(&c[which]).unwrap_or(0), which)
        }
    }
}

fn select_over<'a>(c: &'a [Receiver<i64>]) -> Option<Select<'a>> {
    if c.len() <= 8 {
        return None;
    }
    let mut s = Select::new();
    for rx in c {
        s.recv(rx);
    }
    Some(s)
}

fn ends(count: usize) -> (Vec<Sender<i64>>, Vec<Receiver<i64>>) {
    (0..count).map(|_| bounded(0)).unzip()
}

// b: all channels are ready, and which of them is chosen is random: that form only counts.
fn select_ready(r: &Row, n: i64) -> u64 {
    let (mut tx, rx) = ends(r.a);
    let mut more = select_over(&rx);
    let mut sum = 0;
    if r.b != 0 {
        tx.clear();
    } else {
        tx.pop();
    }
    for _ in 0..n {
        let (v, which) = pick(&rx, &mut more);
        sum += v as u64 + if r.b != 0 { 1 } else { which as u64 };
    }
    sum
}

fn select_block(r: &Row, n: i64) -> u64 {
    let (tx, rx) = ends(r.a);
    let mut more = select_over(&rx);
    thread::scope(|all| {
        all.spawn(|| {
            for i in 0..n {
                tx[i as usize % tx.len()].send(i).unwrap();
            }
        });
        (0..n).map(|_| pick(&rx, &mut more).0).sum::<i64>() as u64
    })
}

fn try_recv(_: &Row, n: i64) -> u64 {
    let (_tx, rx) = bounded::<i64>(16);
    (0..n).filter(|_| rx.try_recv().is_err()).count() as u64
}

fn try_send(_: &Row, n: i64) -> u64 {
    let (tx, _rx) = bounded(1);
    tx.send(0).unwrap();
    (0..n).filter(|&i| tx.try_send(i).is_err()).count() as u64
}

fn select_default(_: &Row, n: i64) -> u64 {
    let (_tx, rx) = bounded::<i64>(16);
    let (_ty, ry) = bounded::<i64>(16);
    let mut sum = 0;
    for _ in 0..n {
        select! {
            recv(rx) -> _ => {}
            recv(ry) -> _ => {}
            default => sum += 1,
        }
    }
    sum
}

// a = 0: the value is buffered already; a = 1: the receiver blocks until the sender comes.
fn timeouts(r: &Row, n: i64) -> u64 {
    let (tx, rx) = bounded(1 - r.a);
    let late = |e: RecvTimeoutError| -> i64 { panic!("{e}") };
    let second = Duration::from_secs(1);
    thread::scope(|all| {
        if r.a != 0 {
            let tx = tx.clone();
            all.spawn(move || (0..n).for_each(|i| tx.send(i).unwrap()));
        }
        let mut sum = 0;
        for i in 0..n {
            if r.a == 0 {
                tx.send(i).unwrap();
            }
            sum += rx.recv_timeout(second).unwrap_or_else(late);
        }
        sum as u64
    })
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { name: "pingpong_same",  run: pingpong,       a: 1,  b: 1, cap: 0,   shrink: 200 },
    Row { name: "pingpong_cross", run: pingpong,       a: 1,  b: 1, cap: 0,   shrink: 1 },
    Row { name: "foreign_two",    run: foreign_two,    a: 1,  b: 1, cap: 0,   shrink: 1 },
    Row { name: "buf_pair",       run: pairs,          a: 0,  b: 0, cap: 16,  shrink: 1 },
    Row { name: "spsc0",          run: stream::<1>,    a: 1,  b: 1, cap: 0,   shrink: 100 },
    Row { name: "spsc1",          run: stream::<1>,    a: 1,  b: 1, cap: 1,   shrink: 100 },
    Row { name: "spsc16",         run: stream::<1>,    a: 1,  b: 1, cap: 16,  shrink: 20 },
    Row { name: "spsc128",        run: stream::<1>,    a: 1,  b: 1, cap: 128, shrink: 4 },
    Row { name: "spsc128_64b",    run: stream::<8>,    a: 1,  b: 1, cap: 128, shrink: 4 },
    Row { name: "spsc128_256b",   run: stream::<32>,   a: 1,  b: 1, cap: 128, shrink: 4 },
    Row { name: "mpsc4_0",        run: stream::<1>,    a: 4,  b: 1, cap: 0,   shrink: 100 },
    Row { name: "mpsc4_1",        run: stream::<1>,    a: 4,  b: 1, cap: 1,   shrink: 100 },
    Row { name: "mpsc4_16",       run: stream::<1>,    a: 4,  b: 1, cap: 16,  shrink: 20 },
    Row { name: "mpsc4_128",      run: stream::<1>,    a: 4,  b: 1, cap: 128, shrink: 4 },
    Row { name: "spmc4_0",        run: stream::<1>,    a: 1,  b: 4, cap: 0,   shrink: 100 },
    Row { name: "spmc4_1",        run: stream::<1>,    a: 1,  b: 4, cap: 1,   shrink: 100 },
    Row { name: "spmc4_16",       run: stream::<1>,    a: 1,  b: 4, cap: 16,  shrink: 20 },
    Row { name: "spmc4_128",      run: stream::<1>,    a: 1,  b: 4, cap: 128, shrink: 4 },
    Row { name: "mpmc4x4_0",      run: stream::<1>,    a: 4,  b: 4, cap: 0,   shrink: 100 },
    Row { name: "mpmc4x4_1",      run: stream::<1>,    a: 4,  b: 4, cap: 1,   shrink: 100 },
    Row { name: "mpmc4x4_16",     run: stream::<1>,    a: 4,  b: 4, cap: 16,  shrink: 20 },
    Row { name: "mpmc4x4_128",    run: stream::<1>,    a: 4,  b: 4, cap: 128, shrink: 4 },
    Row { name: "mpmc32x32_128",  run: stream::<1>,    a: 32, b: 32, cap: 128, shrink: 4 },
    Row { name: "seq",            run: seq,            a: 0,  b: 0, cap: 0,   shrink: 1 },
    Row { name: "select_all2",    run: select_ready,   a: 2,  b: 1, cap: 0,   shrink: 1 },
    Row { name: "select_all4",    run: select_ready,   a: 4,  b: 1, cap: 0,   shrink: 1 },
    Row { name: "select_all8",    run: select_ready,   a: 8,  b: 1, cap: 0,   shrink: 1 },
    Row { name: "select_all64",   run: select_ready,   a: 64, b: 1, cap: 0,   shrink: 1 },
    Row { name: "select_one2",    run: select_ready,   a: 2,  b: 0, cap: 0,   shrink: 1 },
    Row { name: "select_one4",    run: select_ready,   a: 4,  b: 0, cap: 0,   shrink: 1 },
    Row { name: "select_one8",    run: select_ready,   a: 8,  b: 0, cap: 0,   shrink: 1 },
    Row { name: "select_one64",   run: select_ready,   a: 64, b: 0, cap: 0,   shrink: 1 },
    Row { name: "select_block2",  run: select_block,   a: 2,  b: 0, cap: 0,   shrink: 100 },
    Row { name: "select_block4",  run: select_block,   a: 4,  b: 0, cap: 0,   shrink: 100 },
    Row { name: "select_block8",  run: select_block,   a: 8,  b: 0, cap: 0,   shrink: 100 },
    Row { name: "select_block64", run: select_block,   a: 64, b: 0, cap: 0,   shrink: 10 },
    Row { name: "try_recv_empty", run: try_recv,       a: 0,  b: 0, cap: 16,  shrink: 1 },
    Row { name: "try_send_full",  run: try_send,       a: 0,  b: 0, cap: 1,   shrink: 1 },
    Row { name: "select_default", run: select_default, a: 0,  b: 0, cap: 16,  shrink: 1 },
    Row { name: "timeout_ready",  run: timeouts,       a: 0,  b: 0, cap: 1,   shrink: 1 },
    Row { name: "timeout_block",  run: timeouts,       a: 1,  b: 0, cap: 0,   shrink: 100 },
];

//------------------------------------------------------------------------------
// The frame

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

extern "C" {
    fn clock_gettime(clock: i32, t: *mut Timespec) -> i32;
}

fn cpu_time() -> i64 {
    const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;
    let mut t = Timespec { seconds: 0, nanoseconds: 0 };
    unsafe { clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    t.seconds * 1_000_000_000 + t.nanoseconds
}

fn peak_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
}

fn measure(r: &Row, n: i64) {
    let (cpu, wall) = (cpu_time(), Instant::now());
    let sum = (r.run)(r, n);
    let (wall, cpu) = (wall.elapsed().as_nanos() as f64, cpu_time() - cpu);
    let (wall, cpu) = (wall / n as f64, cpu as f64 / n as f64);
    println!("{} {:.2} {:.2} {} {}", r.name, wall, cpu, peak_kib(), sum);
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.is_empty() {
        ROWS.iter().for_each(|r| println!("{} {}", r.name, r.shrink));
        return;
    }
    let row = ROWS.iter().find(|r| r.name == args[0]);
    let n = args.get(1).and_then(|s| s.parse().ok()).filter(|&n: &i64| n > 0);
    match (row, n) {
        (Some(r), Some(n)) => measure(r, n),
        _ => {
            eprintln!("usage: bench [ROW N]   (no arguments: the rows)");
            std::process::exit(2);
        }
    }
}
