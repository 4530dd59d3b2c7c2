//! A long run costs no more memory than a short one.
//!
//! A process of its own, since it counts every allocation and watches the whole process's memory.

use pollster::block_on;
use quernel::engine::{Engine, EngineOptions, GenerateOptions, Pace, SamplerOptions, Stop};
use quernel::gpu::{Choice, Counts, Gpu};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::sync::{Mutex, PoisonError};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/golden/llama-yarn");

/// Tokens of an answer.
const ANSWER: usize = 250;

/// Bytes of the heap that may come to be kept for later: where a step begins before all traces of the last are gone,
/// the interface takes a spare encoder, of some 10 kB, and keeps it.
const KEPT: usize = 64 << 10;

/// Bytes that the system's allocator may take at once, for it and the driver.
const ARENA: isize = 1 << 20;

/// Stretches of tokens, and tokens of each: what grows by the token grows in all of them.
const STRETCHES: [usize; 2] = [8, 30];

/// Stretches in which a spare may come to be kept.
const SPARES: usize = 2;

/// Tokens before them: page tables double when a sequence reaches 256 tokens, and then at 512.
const BEFORE: usize = 260;

/// The process's memory, for one test at a time.
static MEMORY: Mutex<()> = Mutex::new(());

/// What must not grow.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Memory {
    /// Buffers, bind groups and pipelines made so far.
    made: Counts,
    /// Bytes of the GPU's buffers.
    buffers: u64,
    /// Bytes of the host's heap, as far as Rust's allocator gives it.
    heap: usize,
    /// Bytes of the process that are in memory, the driver's among them; 0 where the system does not tell.
    resident: usize,
}

impl Memory {
    fn now(gpu: &Gpu) -> Self {
        let stats = HEAP.stats();
        let heap = stats.bytes_allocated - stats.bytes_deallocated;
        Self { made: gpu.counts(), buffers: gpu.allocated(), heap, resident: resident() }
    }

    fn print(self, when: &str) {
        println!("{when:<24} heap {:>10} bytes, resident {:>11} bytes", self.heap, self.resident);
    }
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10)
}

/// A whole answer in a session of its own; every other one is greedy.
fn answer(engine: &mut Engine, number: usize) {
    let sampler = if number.is_multiple_of(2) { SamplerOptions::greedy() } else { SamplerOptions::default() };
    let mut session = engine.session(sampler, number as u64).unwrap();
    session.push(&engine.tokenizer().unwrap().encode("The miller rose before the sun").unwrap()).unwrap();
    let options = GenerateOptions { max_tokens: Some(ANSWER), ignore_eos: true, ..GenerateOptions::default() };
    let mut answer = engine.generate(&mut session, options).unwrap();
    let text: String = answer.by_ref().map(Result::unwrap).collect();
    assert!(!text.is_empty());
    assert_eq!((answer.generated().len(), answer.stop()), (ANSWER, Some(Stop::MaxTokens)));
}

#[test]
fn two_thousand_tokens_need_no_more_memory_than_the_first_few_hundred() {
    let _alone = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let gpu = block_on(Gpu::open(&Choice::default())).unwrap();
    println!("on {} ({})", gpu.info().name, gpu.info().backend);
    let mut engine = block_on(Engine::open(MODEL, gpu.clone(), EngineOptions::default(), &mut |_, _| ())).unwrap();
    // Once short prompts have had their time token by token, longer steps are planned.
    engine.set_pace(Pace::of(gpu.caps()).eager());
    (0..4).for_each(|number| answer(&mut engine, number));
    let before = Memory::now(&gpu);
    before.print("after 1000 tokens");
    let mut grown = Vec::new();
    let mut after = before;
    for number in 4..12 {
        answer(&mut engine, number);
        let last = std::mem::replace(&mut after, Memory::now(&gpu));
        after.print(&format!("after {} tokens", (number + 1) * ANSWER));
        grown.push(after.resident as isize - last.resident as isize);
    }
    assert_eq!((after.made, after.buffers), (before.made, before.buffers), "made for 2000 tokens");
    assert!(after.heap <= before.heap + KEPT, "{before:?} became {after:?}");
    // Within 1 %, but for one answer in which the system's allocator may happen to take another of its arenas.
    grown.sort_unstable();
    let most = grown.pop().unwrap();
    let others: isize = grown.iter().sum();
    assert!(others <= before.resident as isize / 100, "answers add {grown:?} and {most} bytes to {before:?}");
    assert!(most <= ARENA, "an answer adds {most} bytes to {before:?}");
}

/// Between one token and the next nothing is made on the GPU, and what is taken from the heap goes back to it.
#[test]
fn a_token_leaves_nothing_behind() {
    [SamplerOptions::greedy(), SamplerOptions::default()].into_iter().for_each(leaves_nothing_behind);
}

fn leaves_nothing_behind(sampler: SamplerOptions) {
    let _alone = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let gpu = block_on(Gpu::open(&Choice::default())).unwrap();
    let mut engine = block_on(Engine::open(MODEL, gpu.clone(), EngineOptions::default(), &mut |_, _| ())).unwrap();
    let mut session = engine.session(sampler, 0).unwrap();
    session.push(&[1, 2, 3]).unwrap();
    let mut step = || {
        let next = block_on(engine.step(&mut [&mut session])).unwrap();
        assert!(next[0].is_some());
    };
    (0..BEFORE).for_each(|_| step());
    let (before, taken) = (Memory::now(&gpu), HEAP.stats().bytes_allocated);
    let [stretches, tokens] = STRETCHES;
    let mut heap = before.heap;
    // No vector, which would be counted too.
    let grown: [isize; STRETCHES[0]] = std::array::from_fn(|_| {
        (0..tokens).for_each(|_| step());
        let last = std::mem::replace(&mut heap, Memory::now(&gpu).heap);
        heap as isize - last as isize
    });
    let after = Memory::now(&gpu);
    let taken = (HEAP.stats().bytes_allocated - taken) / (stretches * tokens);
    println!("a token takes {taken} bytes; {tokens} of them leave {grown:?}");
    assert_eq!((after.made, after.buffers), (before.made, before.buffers));
    let growing = grown.iter().filter(|&&bytes| bytes > 0).count();
    assert!(growing <= SPARES && after.heap <= before.heap + KEPT, "{grown:?}");
}
