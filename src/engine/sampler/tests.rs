use super::*;
use proptest::prelude::*;

/// Every link of the chain off: a draw from the model's own probabilities.
fn plain() -> SamplerOptions {
    SamplerOptions { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, ..SamplerOptions::default() }
}

fn sampler(options: SamplerOptions) -> Sampler {
    Sampler::new(options, 11).expect("options in range")
}

fn logits(probabilities: &[f64]) -> Vec<f32> {
    probabilities.iter().map(|p| p.ln() as f32).collect()
}

/// The chain by its definition, one link after the other: the exact probability of every token.
fn exact(options: &SamplerOptions, logits: &[f32], history: &[u32]) -> Vec<f64> {
    let mut x: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
    options.logit_bias.iter().for_each(|&(token, bias)| x[token as usize] += f64::from(bias));
    for (token, x) in x.iter_mut().enumerate() {
        let times = options.recent(history).iter().filter(|&&recent| recent as usize == token).count();
        if times > 0 {
            let penalty = f64::from(options.repeat_penalty);
            *x = if *x > 0.0 { *x / penalty } else { *x * penalty };
            *x -= times as f64 * f64::from(options.frequency_penalty) + f64::from(options.presence_penalty);
        }
    }
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&a, &b| x[b].total_cmp(&x[a]).then(a.cmp(&b)));
    if options.top_k > 0 {
        order.truncate(options.top_k);
    }
    let softmax = |order: &[usize], temperature: f64| {
        let weights: Vec<f64> = order.iter().map(|&i| ((x[i] - x[order[0]]) / temperature).exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect::<Vec<_>>()
    };
    let mut sum = 0.0;
    let nucleus = softmax(&order, 1.0).iter().position(|p| {
        sum += p;
        sum >= f64::from(options.top_p)
    });
    order.truncate(nucleus.map_or(order.len(), |last| last + 1));
    let chances = softmax(&order, 1.0);
    order.truncate(chances.iter().filter(|p| **p >= f64::from(options.min_p) * chances[0]).count());
    let mut probabilities = vec![0.0; x.len()];
    order.iter().zip(softmax(&order, f64::from(options.temperature))).for_each(|(&i, p)| probabilities[i] = p);
    probabilities
}

/// Draws often, and compares how often each token came with its exact probability.
fn agrees_with_chance(options: SamplerOptions, logits: &[f32], history: &[u32]) {
    const DRAWS: u64 = 40_000;
    let expected = exact(&options, logits, history);
    let mut sampler = sampler(options);
    let mut seen = vec![0u32; logits.len()];
    for position in 0..DRAWS {
        seen[sampler.sample(&mut logits.to_vec(), history, position).expect("a token") as usize] += 1;
    }
    let mut chi = 0.0;
    let mut kinds = 0;
    for (token, (&seen, p)) in seen.iter().zip(&expected).enumerate() {
        if *p == 0.0 {
            assert_eq!(seen, 0, "token {token} must not come: {expected:?}");
        } else {
            chi += (f64::from(seen) - p * DRAWS as f64).powi(2) / (p * DRAWS as f64);
            kinds += 1;
        }
    }
    let freedom = f64::from(kinds - 1);
    // Five standard deviations of a chi-square above its mean; the draws are fixed by the seed.
    assert!(chi <= freedom + 5.0 * (2.0 * freedom).sqrt(), "chi-square {chi} of {freedom}: {seen:?}, {expected:?}");
}

/// The tokens that some draw can yield.
fn support(options: SamplerOptions, logits: &[f32]) -> Vec<u32> {
    let mut sampler = sampler(options);
    let drawn = |position| sampler.sample(&mut logits.to_vec(), &[], position).expect("a token");
    let mut tokens: Vec<u32> = (0..2_000).map(drawn).collect();
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

const SPREAD: [f64; 6] = [0.05, 0.4, 0.1, 0.2, 0.15, 0.1];

#[test]
fn draws_follow_the_exact_probabilities_of_every_chain() {
    let x = logits(&SPREAD);
    let history = [1, 1, 3, 0, 5, 1];
    let defaults = SamplerOptions::default();
    agrees_with_chance(plain(), &x, &[]);
    agrees_with_chance(SamplerOptions { temperature: 0.5, ..plain() }, &x, &[]);
    agrees_with_chance(SamplerOptions { temperature: 3.0, ..plain() }, &x, &[]);
    agrees_with_chance(SamplerOptions { top_k: 3, ..plain() }, &x, &[]);
    agrees_with_chance(SamplerOptions { top_p: 0.7, ..plain() }, &x, &[]);
    agrees_with_chance(SamplerOptions { min_p: 0.3, ..plain() }, &x, &[]);
    agrees_with_chance(SamplerOptions { top_k: 4, top_p: 0.8, min_p: 0.3, temperature: 1.5, ..plain() }, &x, &[]);
    agrees_with_chance(SamplerOptions { repeat_penalty: 1.3, ..plain() }, &x, &history);
    agrees_with_chance(SamplerOptions { repeat_penalty: 0.8, repeat_last_n: 2, ..plain() }, &x, &history);
    agrees_with_chance(SamplerOptions { frequency_penalty: 0.4, presence_penalty: 0.2, ..plain() }, &x, &history);
    agrees_with_chance(SamplerOptions { logit_bias: vec![(0, 2.0), (1, -1.0)], ..plain() }, &x, &[]);
    let biased = vec![(2, f32::NEG_INFINITY), (4, 1.0)];
    agrees_with_chance(SamplerOptions { logit_bias: biased, presence_penalty: 0.5, ..defaults.clone() }, &x, &history);
    agrees_with_chance(defaults, &x, &history);
}

/// Odds are rounded, and so a draw on the edge of two tokens may yield the other one: almost never.
#[test]
fn draws_are_those_of_exact_arithmetic() {
    let chains = [
        plain(),
        SamplerOptions { temperature: 3.0, ..plain() },
        SamplerOptions { top_p: 0.9, temperature: 1.3, ..plain() },
        SamplerOptions { min_p: 0.01, ..plain() },
        SamplerOptions::default(),
    ];
    let (mut same, mut all) = (0, 0);
    for (seed, options) in chains.into_iter().enumerate() {
        let wave = |i: u32, by: f32| (i as f32 * by + seed as f32).sin();
        let x: Vec<f32> = (0..5003).map(|i| 4.0 * wave(i, 0.7) * wave(i, 1.3) + 3.0 * wave(i, 2.9)).collect();
        let probabilities = exact(&options, &x, &[]);
        let mut sampler = sampler(options);
        for position in 0..1000 {
            let mut rest = crate::engine::Rng::new(11).uniform(position);
            let expected = probabilities.iter().position(|p| {
                rest -= p;
                rest < 0.0
            });
            let token = sampler.sample(&mut x.clone(), &[], position).expect("a token");
            same += u32::from(expected == Some(token as usize));
            all += 1;
        }
    }
    println!("{same} of {all} draws are alike");
    assert!(same * 1000 >= all * 999, "{same} of {all}");
}

#[test]
fn each_filter_keeps_what_it_says() {
    let x = logits(&SPREAD);
    assert_eq!(support(plain(), &x), [0, 1, 2, 3, 4, 5]);
    // 2 and 5 are as likely as each other: the lower id stays.
    assert_eq!(support(SamplerOptions { top_k: 4, ..plain() }, &x), [1, 2, 3, 4]);
    assert_eq!(support(SamplerOptions { top_p: 0.55, ..plain() }, &x), [1, 3]);
    assert_eq!(support(SamplerOptions { top_p: 0.65, ..plain() }, &x), [1, 3, 4]);
    assert_eq!(support(SamplerOptions { top_p: 0.0, ..plain() }, &x), [1]);
    assert_eq!(support(SamplerOptions { min_p: 0.3, ..plain() }, &x), [1, 3, 4]);
    assert_eq!(support(SamplerOptions { min_p: 1.0, ..plain() }, &x), [1]);
    // 2 and 5 are exactly as likely: each is once as likely as the likeliest.
    let rest = [0, 1, 3, 4].map(|token| (token, f32::NEG_INFINITY)).to_vec();
    assert_eq!(support(SamplerOptions { min_p: 1.0, logit_bias: rest, ..plain() }, &x), [2, 5]);
    // Top-p looks at what top-k left: of 0.4, 0.2, 0.15 the first two have 0.8 of the mass.
    assert_eq!(support(SamplerOptions { top_k: 3, top_p: 0.75, ..plain() }, &x), [1, 3]);
    // Filters see probabilities before the temperature, which here would have made all alike.
    assert_eq!(support(SamplerOptions { min_p: 0.3, temperature: 100.0, ..plain() }, &x), [1, 3, 4]);
    let forbidden = vec![(1, f32::NEG_INFINITY), (1, 5.0)];
    assert_eq!(support(SamplerOptions { logit_bias: forbidden, ..plain() }, &x), [0, 2, 3, 4, 5]);
}

#[test]
fn penalties_change_the_logits_of_recent_tokens_as_defined() {
    let options = SamplerOptions {
        repeat_penalty: 2.0,
        frequency_penalty: 0.5,
        presence_penalty: 0.25,
        repeat_last_n: 4,
        ..SamplerOptions::greedy()
    };
    let mut x = [4.0, -4.0, 4.0, 0.0];
    // The first 2 lies too far back, and 9 is no token.
    let token = sampler(options).sample(&mut x, &[2, 0, 0, 1, 9], 0).expect("a token");
    assert_eq!(x, [2.0 - 1.25, -8.0 - 0.75, 4.0, 0.0]);
    assert_eq!(token, 2);
}

#[test]
fn greedy_takes_the_first_of_the_largest() {
    let choose = |options, x: &mut [f32]| sampler(options).sample(x, &[], 3).expect("a token");
    assert_eq!(choose(SamplerOptions::greedy(), &mut [1.0, 3.0, 3.0, 2.0]), 1);
    assert_eq!(choose(SamplerOptions::greedy(), &mut [-0.0, 0.0]), 0);
    assert_eq!(choose(SamplerOptions::greedy(), &mut [f32::MIN, f32::MIN]), 0);
    assert_eq!(choose(SamplerOptions { top_k: 1, ..plain() }, &mut [1.0, 3.0, 3.0, 2.0]), 1);
    assert_eq!(
        choose(SamplerOptions { logit_bias: vec![(3, 2.0)], ..SamplerOptions::greedy() }, &mut [1., 3., 3., 2.]),
        3
    );
    // The smallest temperature above 0 comes to the same.
    assert_eq!(choose(SamplerOptions { temperature: f32::MIN_POSITIVE, ..plain() }, &mut [1.0, 3.0, 2.9]), 1);
}

#[test]
fn the_same_seed_and_position_give_the_same_token() {
    let x: Vec<f32> = (0u8..200).map(|i| f32::from(i % 17) * 0.1).collect();
    let tokens = |seed| {
        let mut sampler = Sampler::new(plain(), seed).expect("options in range");
        (0..50).map(|position| sampler.sample(&mut x.clone(), &[], position).expect("a token")).collect::<Vec<_>>()
    };
    assert_eq!(tokens(5), tokens(5));
    assert_ne!(tokens(5), tokens(6));
    let alike = tokens(5).chunks(2).filter(|pair| pair[0] == pair[1]).count();
    assert!(alike < 8, "{alike} of 25 neighbouring positions drew the same of 200 tokens");
    // Position alone counts, not how often the sampler was asked before.
    let late = sampler(plain()).sample(&mut x.clone(), &[], 40).expect("a token");
    let mut used = sampler(plain());
    (0..40).for_each(|position| drop(used.sample(&mut x.clone(), &[], position)));
    assert_eq!(used.sample(&mut x.clone(), &[], 40).expect("a token"), late);
}

#[test]
fn logits_that_are_no_numbers_and_choices_among_nothing_are_errors() {
    let mut any = sampler(SamplerOptions::default());
    let result = any.sample(&mut [0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY], &[], 0);
    assert!(matches!(result, Err(Error::NotFinite { count: 3 })), "{result:?}");
    for options in [SamplerOptions::default(), SamplerOptions::greedy()] {
        let forbidden = (0..3).map(|token| (token, f32::NEG_INFINITY)).collect();
        let mut none = sampler(SamplerOptions { logit_bias: forbidden, ..options });
        let result = none.sample(&mut [1.0, 2.0, 3.0], &[], 0);
        assert!(matches!(result, Err(Error::Option { option: "--logit-bias", .. })), "{result:?}");
        let beyond = none.sample(&mut [1.0, 2.0], &[], 0);
        assert!(matches!(beyond, Err(Error::Option { option: "--logit-bias", .. })), "{beyond:?}");
    }
    assert!(any.sample(&mut [], &[], 0).is_err());
}

#[test]
fn a_warm_sampler_keeps_its_room() {
    let mut sampler = sampler(SamplerOptions { repeat_penalty: 1.1, ..SamplerOptions::default() });
    let x: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.7).sin()).collect();
    let history: Vec<u32> = (0..100).collect();
    let mut rooms = Vec::new();
    for position in 0..20 {
        sampler.sample(&mut x.clone(), &history, position).expect("a token");
        rooms.push((sampler.candidates.as_ptr() as usize, sampler.recent.as_ptr() as usize));
    }
    rooms.dedup();
    assert_eq!(rooms.len(), 1, "the buffers moved");
}

prop_compose! {
    fn any_options()(
        temperature in prop_oneof![Just(0.0f32), Just(f32::MAX), Just(f32::MIN_POSITIVE), 0.0f32..3.0],
        top_k in 0usize..20,
        top_p in 0.0f32..=1.0,
        min_p in prop_oneof![Just(0.0f32), 0.0f32..=1.0],
        repeat_penalty in prop_oneof![Just(f32::MIN_POSITIVE), Just(f32::MAX), 0.5f32..2.0],
        repeat_last_n in -1i32..40,
        frequency_penalty in prop_oneof![Just(f32::MAX), Just(f32::MIN), -2.0f32..2.0],
        presence_penalty in prop_oneof![Just(f32::MIN), -2.0f32..2.0],
        logit_bias in prop::collection::vec((0u32..12, prop_oneof![Just(f32::NEG_INFINITY), Just(f32::MAX), -9f32..9.0]), 0..4),
    ) -> SamplerOptions {
        SamplerOptions { temperature, top_k, top_p, min_p, repeat_penalty, repeat_last_n, frequency_penalty, presence_penalty, logit_bias }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever the options and the logits: no panic, and no forbidden token.
    #[test]
    fn always_an_allowed_token(
        options in any_options(),
        x in prop::collection::vec(prop_oneof![Just(f32::MAX), Just(f32::MIN), Just(0.0f32), -30f32..30.0], 1..12),
        history in prop::collection::vec(0u32..14, 0..40),
        position in any::<u64>(),
    ) {
        let forbids = |token: u32| options.logit_bias.iter().any(|&(t, bias)| t == token && bias == f32::NEG_INFINITY);
        let len = x.len() as u32;
        let beyond = options.logit_bias.iter().any(|&(token, _)| token >= len);
        let mut sampler = Sampler::new(options.clone(), position ^ 9).expect("options in range");
        match sampler.sample(&mut x.clone(), &history, position) {
            Ok(token) => {
                prop_assert!(token < len && !forbids(token) && !beyond);
                let again = sampler.sample(&mut x.clone(), &history, position);
                prop_assert_eq!(again.ok(), Some(token));
            }
            Err(error) => prop_assert!(beyond || (0..len).all(forbids), "{}", error),
        }
    }

    /// What the kernel `sample` draws is what is chosen here.
    #[test]
    fn the_kernels_definition_chooses_the_same(
        x in prop::collection::vec(prop_oneof![Just(f32::MAX), Just(f32::MIN), Just(-0.0f32), -9f32..9.0, -1e-6f32..1e-6], 1..40),
        (temperature, top_k, top_p, min_p) in (0f32..3.0, 0usize..50, 0f32..=1.0, prop_oneof![Just(0.0f32), 0f32..=1.0]),
        position in any::<u64>(),
    ) {
        let mut sampler = sampler(SamplerOptions { temperature, top_k, top_p, min_p, ..plain() });
        let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        let draw = sampler.draw(position).words();
        let token = sampler.sample(&mut x.clone(), &[], position).ok();
        prop_assert_eq!(crate::kernels::sample::reference(&wide, &draw, x.len())[..1].first().copied(), token);
    }

    /// Top-k, top-p and min-p choose among the tokens that the definition leaves.
    #[test]
    fn only_what_the_definition_leaves(
        x in prop::collection::vec(-6i8..6, 2..30),
        (top_k, top_p, min_p) in (0usize..12, 0.05f32..1.0, 0.0f32..0.9),
        position in any::<u64>(),
    ) {
        let x: Vec<f32> = x.into_iter().map(|x| f32::from(x) * 0.37).collect();
        let options = SamplerOptions { top_k, top_p, min_p, ..plain() };
        let token = sampler(options.clone()).sample(&mut x.clone(), &[], position).expect("a token");
        prop_assert!(exact(&options, &x, &[])[token as usize] > 0.0);
    }
}
