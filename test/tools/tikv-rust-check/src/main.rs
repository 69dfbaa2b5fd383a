//! tikv-rust-check drives a cluster with TiKV's official Rust client: put, get, scan, batches, delete, compare-and-swap;
//! and, with `-watch 30000ms`, one write every 50 ms for that long, so that something can be broken meanwhile.
//!
//! ```text
//! tikv-rust-check [-n 500] [-watch 30000ms] pd0:2379,pd1:2379,pd2:2379
//! ```
//!
//! Exit 0 when every acknowledged write was read back with its value. It prints what tikv-raw-check prints. The addresses
//! that PD names for its members and stores must resolve and be reachable from here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tikv_client::{Error, Key, KvPair, RawClient, Value};

/// The client itself gives up after two seconds a request and some retries; whoever reads back has more patience.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

struct Options {
    keys: usize,
    watch: Duration,
    members: Vec<String>,
}

fn options() -> Option<Options> {
    let mut found = Options { keys: 500, watch: Duration::ZERO, members: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-n" => found.keys = arguments.next()?.parse().ok()?,
            "-watch" => found.watch = Duration::from_millis(arguments.next()?.strip_suffix("ms")?.parse().ok()?),
            members => found.members = members.split(',').map(str::to_owned).collect(),
        }
    }
    (!found.members.is_empty()).then_some(found)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let Some(options) = options() else {
        eprintln!("usage: tikv-rust-check [-n 500] [-watch 30000ms] PD[,PD...]");
        std::process::exit(2);
    };
    if let Err(problem) = check(options).await {
        eprintln!("tikv-rust-check: {problem}");
        std::process::exit(1);
    }
}

async fn check(options: Options) -> Result<(), String> {
    let client = RawClient::new(options.members).await.map_err(|error| format!("connect: {error}"))?;
    let mut acknowledged = BTreeMap::new();

    let start = Instant::now();
    for number in 0..options.keys {
        let (key, value) = (format!("check-rust-{number:06}"), number.to_string());
        client.put(key.clone(), value.clone()).await.map_err(|error| format!("put {key}: {error}"))?;
        acknowledged.insert(key, value);
    }
    println!("{} puts, {:.0}/s", options.keys, options.keys as f64 / start.elapsed().as_secs_f64());

    watch(&client, options.watch, &mut acknowledged).await;
    for (key, value) in &acknowledged {
        let found = patiently(|| client.get(key.clone())).await.map_err(|error| format!("get {key}: {error}"))?;
        if found.as_deref() != Some(value.as_bytes()) {
            return Err(format!("get {key}: acknowledged {value:?}, read {found:?}"));
        }
    }
    ranges(&client, options.keys).await?;
    batches(&client).await?;
    swaps(&client).await?;
    println!("ok: {} acknowledged writes read back", acknowledged.len());
    Ok(())
}

async fn watch(client: &RawClient, length: Duration, acknowledged: &mut BTreeMap<String, String>) {
    let (start, mut number, mut refused, mut slowest) = (Instant::now(), 0, 0, Duration::ZERO);
    while start.elapsed() < length {
        let (key, value, before) = (format!("check-rust-w-{number:06}"), number.to_string(), Instant::now());
        match client.put(key.clone(), value.clone()).await {
            Ok(()) => {
                acknowledged.insert(key, value);
            }
            Err(_) => refused += 1,
        }
        slowest = slowest.max(before.elapsed());
        number += 1;
        tokio::time::sleep(PAUSE).await;
    }
    if length > Duration::ZERO {
        println!("watched {length:?}: {refused} refused or unknown, slowest write {slowest:.0?}");
    }
}

/// Once more until it works, for as long as anybody would wait.
async fn patiently<T, F: Future<Output = Result<T, Error>>>(ask: impl Fn() -> F) -> Result<T, Error> {
    let start = Instant::now();
    loop {
        match ask().await {
            Err(_) if start.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
            ended => return ended,
        }
    }
}

/// Limits are what there is to be found: a scan that reaches the end of the last region with less goes on from the first
/// key of all in tikv-client 0.4.0 (src/raw/client.rs, scan_inner: no key is greater than an empty end).
async fn ranges(client: &RawClient, written: usize) -> Result<(), String> {
    let range = || "check-rust-0".to_owned().."check-rust-9".to_owned();
    let found =
        patiently(|| client.scan_keys(range(), written as u32)).await.map_err(|error| format!("scan: {error}"))?;
    expect("keys of a scan", found, (0..written).map(|number| Key::from(format!("check-rust-{number:06}"))).collect())?;
    let last = patiently(|| client.scan_reverse(range(), 1)).await.map_err(|error| format!("scan back: {error}"))?;
    let wanted = Key::from(format!("check-rust-{:06}", written - 1));
    expect("the last key, scanned backwards", last.iter().map(KvPair::key).collect(), vec![&wanted])?;
    patiently(|| client.delete("check-rust-000000".to_owned())).await.map_err(|error| format!("delete: {error}"))?;
    let gone =
        patiently(|| client.get("check-rust-000000".to_owned())).await.map_err(|error| format!("get: {error}"))?;
    expect("what was deleted", gone, None)
}

async fn batches(client: &RawClient) -> Result<(), String> {
    let name = |number: u32| format!("check-rust-batch-{number:02}");
    let pairs = |from: u32, to: u32| (from..to).map(move |number| (name(number), number.to_string()));
    let kept = |from: u32, to: u32| pairs(from, to).map(|(key, value)| (Key::from(key), value.into_bytes())).collect();
    patiently(|| client.batch_put(pairs(0, 20))).await.map_err(|error| format!("batch put: {error}"))?;
    expect("what was written as a batch", all(client, name).await?, kept(0, 20))?;
    patiently(|| client.batch_delete((0..10).map(name))).await.map_err(|error| format!("batch delete: {error}"))?;
    expect("what is left of a batch", all(client, name).await?, kept(10, 20))?;
    let range = || name(15)..name(99);
    patiently(|| client.delete_range(range())).await.map_err(|error| format!("delete range: {error}"))?;
    expect("what is left of a deleted range", all(client, name).await?, kept(10, 15))
}

async fn all(client: &RawClient, name: impl Fn(u32) -> String) -> Result<BTreeMap<Key, Value>, String> {
    let found =
        patiently(|| client.batch_get((0..21).map(&name))).await.map_err(|error| format!("batch get: {error}"))?;
    Ok(found.into_iter().map(|KvPair(key, value)| (key, value)).collect())
}

async fn swaps(client: &RawClient) -> Result<(), String> {
    let client = client.with_atomic_for_cas();
    let key = || "check-rust-swap".to_owned();
    patiently(|| client.delete(key())).await.map_err(|error| format!("delete: {error}"))?;
    let bytes = |text: &str| Some(text.as_bytes().to_vec());
    // Expected before, wanted after, what was there, whether it was swapped. Not patient: a second try would find the first.
    let cases = [
        (None, "a", None, true),
        (None, "b", bytes("a"), false),
        (bytes("x"), "b", bytes("a"), false),
        (bytes("a"), "b", bytes("a"), true),
    ];
    for (before, after, there, swapped) in cases {
        let done = client.compare_and_swap(key(), before, after).await.map_err(|error| format!("swap: {error}"))?;
        expect("a compare-and-swap", done, (there, swapped))?;
    }
    expect("what was swapped", client.get(key()).await.map_err(|error| format!("get: {error}"))?, bytes("b"))
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, wanted: T) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{what}: found {found:?}, wanted {wanted:?}")) }
}
