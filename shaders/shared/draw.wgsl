// How a token is drawn, and what each token counts for on the way. Uses shared/odds.
const ALL: u32 = 0xffffffffu;
const UNIT_RATE: u32 = 3098164009u; // of temperature 1
const UNIT_SHIFT: u32 = 148u;

// As `kernels::sample::Draw`.
struct Draw {
    top_k: u32, // 0 for all; 1 for the likeliest
    top_p: u32, // in units of 2^-32; all ones for all
    min_p: u32, // as odds
    rate: u32, // one by the temperature, as odds take it
    shift: u32,
    random_low: u32,
    random_high: u32,
    padding: u32,
}

// What is searched.
const TOP_K: u32 = 0u;
const TOP_P: u32 = 1u;
const TOKEN: u32 = 2u;

// What a token counts for towards a goal.
fn amount(goal: u32, draw: Draw, best: f32, logit: f32) -> u32 {
    if (goal == TOP_K) {
        return 1u;
    }
    if (goal == TOP_P || draw.min_p > 0u) {
        let usual = odds(best, logit, UNIT_RATE, UNIT_SHIFT);
        if (goal == TOP_P) {
            return usual;
        }
        if (usual < draw.min_p) {
            return 0u;
        }
    }
    return odds(best, logit, draw.rate, draw.shift);
}

// The amount up to the edge, of the whole amount.
fn needed(goal: u32, draw: Draw, whole: vec2<u32>) -> vec2<u32> {
    if (goal == TOP_K) {
        return vec2<u32>(draw.top_k, 0u);
    }
    let draws_token = goal == TOKEN;
    let share = select(vec2<u32>(0u, draw.top_p), vec2<u32>(draw.random_low, draw.random_high), draws_token);
    // The upper two words of the product, `whole` being far below 2^63.
    let least = wide(whole.x, share.x);
    let across = plus(wide(whole.x, share.y), vec2<u32>(least.y, 0u));
    let middle = plus(wide(whole.y, share.x), vec2<u32>(across.x, 0u));
    let product = plus(plus(wide(whole.y, share.y), vec2<u32>(across.y, 0u)), vec2<u32>(middle.y, 0u));
    // The draw goes beyond it, the nucleus up to it at least.
    let beyond = draws_token || (least.x | middle.x) != 0u || (product.x | product.y) == 0u;
    return plus(product, vec2<u32>(select(0u, 1u, beyond), 0u));
}
