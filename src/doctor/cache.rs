//! A layer's cache, as definitions read it and as it lies on the device: stated once more, apart from the shaders.

use super::data::{POISON, exact};
use crate::kernels::{KvFormat, PAGE_TOKENS, kv_write};

/// Keys and values of one layer; what was never put holds NaN, and poison on the device.
#[derive(Debug)]
pub struct Cache {
    format: KvFormat,
    kv_heads: usize,
    head_dim: usize,
    /// As [`kv_write::place`] says, and as they are read again.
    pub keys: Vec<f64>,
    /// The same of values.
    pub values: Vec<f64>,
    /// The words on the device.
    pub key_words: Vec<u32>,
    /// The same of values.
    pub value_words: Vec<u32>,
}

impl Cache {
    /// Of so many pages, in which nothing was put.
    pub fn new(format: KvFormat, pages: usize, kv_heads: usize, head_dim: usize) -> Self {
        let numbers = vec![f64::NAN; pages * PAGE_TOKENS * kv_heads * head_dim];
        let words = vec![POISON; pages * kv_heads * format.block_bytes(head_dim) / 4];
        let (keys, values, key_words, value_words) = (numbers.clone(), numbers, words.clone(), words);
        Self { format, kv_heads, head_dim, keys, values, key_words, value_words }
    }

    /// Stores one head's key and value in cache row `row`.
    pub fn put(&mut self, row: usize, head: usize, key: &[f32], value: &[f32]) {
        let begin = kv_write::place(row, head, self.kv_heads, self.head_dim);
        for (numbers, new) in [(&mut self.keys, key), (&mut self.values, value)] {
            let stored = &mut numbers[begin..begin + self.head_dim];
            stored.copy_from_slice(&exact(new));
            self.format.round(stored);
        }
        let (quads, place) = (self.head_dim / 4, row % PAGE_TOKENS);
        let block = (row / PAGE_TOKENS * self.kv_heads + head) * self.format.block_bytes(self.head_dim) / 4;
        let key = self.format.words(key);
        let of_quad = key.0.len() / quads;
        let pairs = key.1.len();
        let scales = block + PAGE_TOKENS * quads * of_quad;
        // Keys (quad, place), then their scales (pair, place).
        for (quad, words) in key.0.chunks(of_quad).enumerate() {
            self.key_words[block + (quad * PAGE_TOKENS + place) * of_quad..][..of_quad].copy_from_slice(words);
        }
        for (pair, &word) in key.1.iter().enumerate() {
            self.key_words[scales + pair * PAGE_TOKENS + place] = word;
        }
        // Values (place, quad), then their scales (place, pair).
        let value = self.format.words(value);
        self.value_words[block + place * quads * of_quad..][..quads * of_quad].copy_from_slice(&value.0);
        self.value_words[scales + place * pairs..][..pairs].copy_from_slice(&value.1);
    }
}
