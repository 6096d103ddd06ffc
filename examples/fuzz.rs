//! Fuzzes one of the targets of `tests/fuzz/targets.rs`: changes inputs by chance, and goes on from those that reach something new.
//!
//! `tests/fuzz/run` builds it so that the library counts which of its branches an input takes (the sanitizer coverage of LLVM, which stable
//! Rust can switch on) and runs one target after the other. Built without, it still runs, but only throws dice.
//!
//!     fuzz TARGET [--seconds N] [--seed N] [--out DIR]      fuzz; findings and new inputs go to DIR (target/fuzz)
//!     fuzz TARGET --keep                                    write those of DIR that matter to tests/fuzz/corpus
//!     fuzz TARGET FILE…                                     run these inputs once
//!
//! A finding is an input that panics, takes longer than a second, or wants more than 512 MiB. What kills the process outright (a stack that
//! overflows) is in DIR/TARGET/current. Exit code 1 if there was one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/fuzz/targets.rs"]
mod targets;

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use targets::{Golden, TARGETS, Target, kept, line_of};

/// Longest input that is made, in bytes.
const LONGEST: usize = 16 << 10;
/// Longest line of what is kept, in bytes: the corpus stays small, and its replay quick.
const LONGEST_KEPT: usize = 600;
/// A kept input is cut down in pieces of at least this part of its length.
const FINEST: usize = 40;
/// Slower than this is a finding.
const SLOW: Duration = Duration::from_secs(1);
/// More than this, in bytes, is a finding.
const MUCH: usize = 512 << 20;
/// After so long the process gives up on an input, and ends.
const HANGS: Duration = Duration::from_secs(30);

/// Counts what is allocated, for the most that one input wants.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything on to the system's allocator and only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static FIRST: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);

/// Called by instrumented code before `main`: where its counters are, one byte a branch.
#[unsafe(no_mangle)]
pub extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    let first = FIRST.load(Relaxed);
    if first == 0 || (start as usize) < first {
        FIRST.store(start as usize, Relaxed);
    }
    END.fetch_max(stop as usize, Relaxed);
}

/// The counters; none where the library was built without.
fn counters() -> &'static mut [u8] {
    let (first, end) = (FIRST.load(Relaxed), END.load(Relaxed));
    if first == 0 {
        return &mut [];
    }
    // SAFETY: the linker put them there, one section; only this thread runs instrumented code, and none while they are looked at.
    unsafe { std::slice::from_raw_parts_mut(first as *mut u8, end - first) }
}

/// xorshift64*
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// What one run of an input was like.
struct Ran {
    /// Branch and order of magnitude of its count.
    features: Vec<(u32, u8)>,
    panic: Option<String>,
    took: Duration,
    peak: usize,
}

/// Milliseconds since the start at which the input at hand began, 0 between inputs.
static BEGUN: AtomicU64 = AtomicU64::new(0);

fn run(target: &Target, input: &[u8]) -> Ran {
    counters().fill(0);
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let start = cpu_time();
    let result = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = cpu_time().saturating_sub(start);
    let peak = PEAK.load(Relaxed).saturating_sub(before);
    let mut features = vec![];
    for (n, part) in counters().chunks(8).enumerate() {
        if part.iter().all(|count| *count == 0) {
            continue;
        }
        for (i, count) in part.iter().enumerate().filter(|(_, count)| **count > 0) {
            let magnitude = (8 - count.leading_zeros()) as u8;
            features.push(((n * 8 + i) as u32, magnitude));
        }
    }
    let panic = result.err().map(|what| {
        let text = what.downcast_ref::<String>().cloned();
        let text = text.or_else(|| what.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        text.unwrap_or_default()
    });
    Ran {
        features,
        panic,
        took,
        peak,
    }
}

/// The CPU time of this thread so far: on a machine that has other work as well the clock on the wall says nothing of a run.
fn cpu_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: it writes to the structure that it is given and to nothing else.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What is wrong with a run, in a word that is the same for the same fault.
fn fault(ran: &Ran) -> Option<String> {
    if let Some(panic) = &ran.panic {
        let place = LAST_PANIC.lock().unwrap().clone();
        return Some(format!("panic at {place}: {panic}"));
    }
    if ran.took > SLOW {
        return Some(format!("slow: {} ms", ran.took.as_millis()));
    }
    (ran.peak > MUCH).then(|| format!("memory: {} MiB", ran.peak >> 20))
}

static LAST_PANIC: std::sync::Mutex<String> = std::sync::Mutex::new(String::new());

/// Words that inputs of all targets are made of.
const WORDS: [&str; 72] = [
    "${",
    "}",
    "$",
    "$.",
    "$pod",
    "$containers[*]",
    "..",
    "[?@.a]",
    "[*]",
    "[0]",
    "[-1]",
    "[1:2]",
    "['a']",
    "match(@.a,'b')",
    "count(@..a)",
    "object.",
    "namespaceObject",
    "item",
    "current",
    "now",
    "candidate",
    "params.",
    "applied.",
    ".?",
    ".orValue('')",
    ".map(x, x)",
    ".filter(x, x)",
    ".all(x, true)",
    ".transformMap(k, v, v)",
    "quantity('1Gi')",
    "duration('1h')",
    "timestamp(",
    "image(",
    "jsonpath(",
    "cel.bind(a, 1, a)",
    "replaceRegex(",
    "\u{0}",
    "\u{1F600}",
    "9223372036854775807",
    "-9223372036854775808",
    "1e308",
    "0.1",
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "\"\"",
    "''",
    "- ",
    ": ",
    "\n",
    "  ",
    "&a ",
    "*a",
    "!!str ",
    "|\n",
    "---\n",
    "# ",
    "set: ",
    "default: ",
    "merge: ",
    "upsert: ",
    "add: ",
    "remove: true",
    "where:\n",
    "path: ",
    "value: ",
    "operator: In",
    "values: [a]",
    "\\u0000",
    "\\ud800",
];

/// Signs that inputs of all targets are made of.
const SIGNS: &[u8] = b" \n\t:,[]{}()'\"$.*@?&|<>=!+-/%\\#0159azAZ_";

/// Another input, made of one or two.
fn mutate(chance: &mut Chance, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut out = input.to_vec();
    for _ in 0..1 << chance.below(4) {
        let at = chance.below(out.len() + 1);
        let most = 1 << chance.below(8);
        let length = 1 + chance.below(most);
        let end = (at + length).min(out.len());
        match chance.below(12) {
            0 if at < out.len() => out[at] ^= 1 << chance.below(8),
            1 if at < out.len() => out[at] = SIGNS[chance.below(SIGNS.len())],
            2 => drop(out.drain(at..end)),
            3 => {
                let copy = out[at..end].to_vec();
                let to = chance.below(out.len() + 1);
                out.splice(to..to, copy);
            }
            4 => {
                let copy = out[at..end].to_vec();
                for _ in 0..1 << chance.below(6) {
                    out.splice(at..at, copy.iter().copied());
                }
            }
            5 | 6 => {
                let word = WORDS[chance.below(WORDS.len())];
                out.splice(at..at, word.bytes());
            }
            7 | 8 if !other.is_empty() => {
                let from = chance.below(other.len());
                let most = 1 << chance.below(9);
                let to = (from + 1 + chance.below(most)).min(other.len());
                let replaced = if chance.below(2) == 0 {
                    at..at
                } else {
                    at..end
                };
                out.splice(replaced, other[from..to].iter().copied());
            }
            9 => {
                // One line in the place of another: structure stays.
                let lines: Vec<&[u8]> = out.split(|b| *b == b'\n').collect();
                let of: Vec<&[u8]> = other.split(|b| *b == b'\n').collect();
                let place = chance.below(lines.len());
                let line = of[chance.below(of.len())].to_vec();
                let mut made: Vec<Vec<u8>> = lines.iter().map(|l| l.to_vec()).collect();
                match chance.below(3) {
                    0 => made[place] = line,
                    1 => made.insert(place, line),
                    _ => drop(made.remove(place)),
                }
                out = made.join(&b'\n');
            }
            10 => {
                // A number in the place of another.
                if let Some(digit) = (at..out.len()).find(|i| out[*i].is_ascii_digit()) {
                    let end = (digit..out.len())
                        .find(|i| !out[*i].is_ascii_digit())
                        .unwrap_or(out.len());
                    let number = [
                        "0",
                        "1",
                        "-1",
                        "255",
                        "65536",
                        "4294967296",
                        "9223372036854775808",
                        "1e999",
                        "0.5",
                    ];
                    out.splice(digit..end, number[chance.below(number.len())].bytes());
                }
            }
            _ => {
                // One quoted word in the place of another.
                let quotes = |text: &[u8], from: usize| {
                    let start = (from..text.len()).find(|i| text[*i] == b'"')? + 1;
                    let end = (start..text.len()).find(|i| text[*i] == b'"')?;
                    Some(start..end)
                };
                let from = chance.below(other.len() + 1);
                if let (Some(there), Some(here)) = (quotes(other, from), quotes(&out, at)) {
                    out.splice(here, other[there].iter().copied());
                }
            }
        }
    }
    out.truncate(LONGEST);
    out
}

struct Options {
    seconds: u64,
    seed: u64,
    out: PathBuf,
    keep: bool,
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|t| t.name == name) else {
        eprintln!("which target? {}", TARGETS.map(|t| t.name).join(", "));
        return ExitCode::from(2);
    };
    let mut options = Options {
        seconds: 60,
        seed: 1,
        out: PathBuf::from("target/fuzz"),
        keep: false,
        files: vec![],
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().expect("a value");
        match argument.as_str() {
            "--seconds" => options.seconds = value().parse().expect("a number"),
            "--seed" => options.seed = value().parse().expect("a number"),
            "--out" => options.out = value().into(),
            "--keep" => options.keep = true,
            file => options.files.push(file.into()),
        }
    }
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        if BEGUN.load(Relaxed).is_multiple_of(2) {
            eprintln!("{info}");
        }
        *LAST_PANIC.lock().unwrap() = place.unwrap_or_default();
    }));
    watch_for_hangs();
    // As much stack as a worker of the daemon has.
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let found = thread.spawn(move || match options {
        Options { keep: true, .. } => keep(target, &options),
        Options { ref files, .. } if !files.is_empty() => once(target, files),
        _ => fuzz(target, &options),
    });
    match found.unwrap().join().unwrap() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    }
}

fn watch_for_hangs() {
    let start = Instant::now();
    std::thread::spawn(move || {
        let mut same = (0, Instant::now());
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let begun = BEGUN.load(Relaxed);
            if begun != same.0 {
                same = (begun, Instant::now());
            } else if begun % 2 == 1 && same.1.elapsed() > HANGS {
                eprintln!(
                    "hangs since {} s: see `current`",
                    (start.elapsed()).as_secs()
                );
                std::process::exit(1);
            }
        }
    });
}

fn once(target: &Target, files: &[PathBuf]) -> usize {
    let mut faults = 0;
    for file in files {
        let ran = run(target, &std::fs::read(file).unwrap());
        let fault = fault(&ran);
        faults += usize::from(fault.is_some());
        let said = fault.unwrap_or_else(|| "good".into());
        println!(
            "{}: {said} ({} µs, {} KiB)",
            file.display(),
            ran.took.as_micros(),
            ran.peak >> 10
        );
    }
    faults
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where an input is put that is to outlive the process.
fn store(folder: &Path, input: &[u8]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(format!("{:016x}", hasher.finish()));
    std::fs::write(&path, input).unwrap();
    path
}

fn stored(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn fuzz(target: &Target, options: &Options) -> usize {
    let folder = options.out.join(target.name);
    let (corpus, findings) = (folder.join("corpus"), folder.join("findings"));
    std::fs::create_dir_all(&folder).unwrap();
    let mut seeds = (target.seeds)(&Golden::read(root()));
    seeds.extend(kept(root(), target.name));
    seeds.extend(stored(&corpus));
    let mut chance = Chance(options.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut seen: Vec<u16> = vec![0; counters().len()];
    let mut pool: Vec<Vec<u8>> = vec![];
    let mut faults: BTreeMap<String, PathBuf> = BTreeMap::new();
    let (start, mut told) = (Instant::now(), Instant::now());
    let (mut runs, mut branches) = (0u64, 0usize);
    let mut waiting: Vec<Vec<u8>> = seeds
        .into_iter()
        .rev()
        .filter(|s| s.len() <= LONGEST)
        .collect();
    let planted = waiting.len();
    println!("{}: {planted} seeds, {} branches", target.name, seen.len());
    while !waiting.is_empty() || start.elapsed().as_secs() < options.seconds {
        let (input, seed) = match waiting.pop() {
            Some(seed) => (seed, true),
            None => {
                // Half of the time one of the latest: they lead further.
                let newest = pool.len().min(64);
                let pick = match chance.below(2) {
                    0 => pool.len() - 1 - chance.below(newest),
                    _ => chance.below(pool.len()),
                };
                let other = chance.below(pool.len());
                (mutate(&mut chance, &pool[pick], &pool[other]), false)
            }
        };
        std::fs::write(folder.join("current"), &input).unwrap();
        BEGUN.fetch_add(1, Relaxed);
        let ran = run(target, &input);
        BEGUN.fetch_add(1, Relaxed);
        runs += 1;
        if let Some(fault) = fault(&ran) {
            let kind: String = fault.split(": ").next().unwrap().into();
            faults.entry(kind).or_insert_with(|| {
                let path = store(&findings, &input);
                println!("FOUND {fault}\n  {}", path.display());
                path
            });
            continue;
        }
        let mut new = false;
        for (branch, magnitude) in &ran.features {
            let known = &mut seen[*branch as usize];
            if *known & 1 << magnitude == 0 {
                branches += usize::from(*known == 0);
                *known |= 1 << magnitude;
                new = true;
            }
        }
        if new || seed {
            if new && !seed {
                store(&corpus, &input);
            }
            pool.push(input);
        }
        if told.elapsed().as_secs() >= 30 {
            told = Instant::now();
            let seconds = start.elapsed().as_secs();
            println!(
                "{}: {seconds} s, {runs} runs, {} inputs, {branches} branches",
                target.name,
                pool.len()
            );
        }
    }
    println!(
        "{}: done after {} s: {runs} runs, {} inputs of which {planted} were given, {branches} branches, {} findings",
        target.name,
        start.elapsed().as_secs(),
        pool.len(),
        faults.len()
    );
    faults.len()
}

/// Of all inputs that fuzzing has stored, and those that were kept before, the few small ones that reach what the golden files do not.
fn keep(target: &Target, options: &Options) -> usize {
    let mut known: BTreeSet<u32> = BTreeSet::new();
    for seed in (target.seeds)(&Golden::read(root())) {
        known.extend(
            run(target, &seed)
                .features
                .iter()
                .map(|(branch, _)| *branch),
        );
    }
    let mut inputs = kept(root(), target.name);
    inputs.extend(stored(&options.out.join(target.name).join("corpus")));
    inputs.sort_by_key(Vec::len);
    inputs.dedup();
    let mut lines = vec![];
    for mut input in inputs {
        let new: BTreeSet<u32> = run(target, &input)
            .features
            .iter()
            .map(|(branch, _)| *branch)
            .filter(|branch| !known.contains(branch))
            .collect();
        if new.is_empty() {
            continue;
        }
        // Pieces that it can do without go.
        let mut piece = input.len() / 2;
        let smallest = input.len() / FINEST;
        while piece > smallest {
            let mut at = 0;
            while at < input.len() {
                let mut less = input.clone();
                less.drain(at..(at + piece).min(input.len()));
                let ran = run(target, &less);
                let reached: BTreeSet<u32> =
                    ran.features.iter().map(|(branch, _)| *branch).collect();
                if ran.panic.is_none() && new.is_subset(&reached) {
                    input = less;
                } else {
                    at += piece;
                }
            }
            piece /= 2;
        }
        let line = line_of(&input);
        if line.len() <= LONGEST_KEPT {
            known.extend(new);
            lines.push(line);
        }
    }
    lines.sort();
    let path = root()
        .join("tests/fuzz/corpus")
        .join(format!("{}.jsonl", target.name));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(
        &path,
        lines.iter().map(|l| l.clone() + "\n").collect::<String>(),
    )
    .unwrap();
    println!("{}: {} inputs are kept", target.name, lines.len());
    0
}
