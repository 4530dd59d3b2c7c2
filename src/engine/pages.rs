//! Who owns which page of the key-value cache.
//!
//! The cache on the GPU is a row of pages of [`PAGE_TOKENS`] tokens each. A sequence owns pages in any order, listed in
//! its [`PageTable`]; a [`PagePool`] hands them out and takes them back, so sequences of any length share the cache
//! without gaps. This is bookkeeping only: no GPU, no tensor, no layer; one page number stands for that page in every
//! layer's cache.

use crate::kernels::PAGE_TOKENS;
use crate::{Error, Result};

/// The most pages whose rows, `page · PAGE_TOKENS + place`, all stay below [`crate::kernels::NOTHING`].
const MOST_PAGES: usize = u32::MAX as usize / PAGE_TOKENS;

/// All pages of a cache, and which of them nobody owns.
///
/// ```
/// use quernel::engine::PagePool;
/// let mut pool = PagePool::new(4)?;
/// let mut table = pool.table(100);
/// pool.grow(&mut table, 40)?;
/// assert_eq!((table.len(), table.pages().len(), pool.free()), (40, 2, 2));
/// pool.release(table);
/// assert_eq!(pool.free(), 4);
/// # Ok::<(), quernel::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct PagePool {
    pages: usize,
    /// Pages that nobody owns; the last is given out next.
    free: Vec<u32>,
}

/// The pages of one sequence, in the order of its positions.
///
/// It belongs to the pool that made it. A table that is dropped keeps its pages from everyone: give it back with
/// [`PagePool::release`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PageTable {
    pages: Vec<u32>,
    len: usize,
    limit: usize,
}

impl PagePool {
    /// A pool of `pages` pages, all free.
    ///
    /// # Errors
    /// [`Error::Option`] where there is no page, or more than a cache row's number can count.
    pub fn new(pages: usize) -> Result<Self> {
        if pages == 0 || pages > MOST_PAGES {
            let most = MOST_PAGES * PAGE_TOKENS;
            let reason =
                format!("a cache of {pages} pages of {PAGE_TOKENS} tokens; between 1 and {most} tokens are possible");
            return Err(Error::option("--ctx-size", reason));
        }
        Ok(Self { pages, free: (0..pages as u32).rev().collect() })
    }

    /// How many pages there are.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// How many pages nobody owns.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// An empty table for a sequence of at most `limit` tokens, or of as many as the whole pool holds if that is fewer.
    ///
    /// Room for its page numbers is set aside here, so that [`PagePool::grow`] allocates nothing.
    pub fn table(&self, limit: usize) -> PageTable {
        let limit = limit.min(self.pages * PAGE_TOKENS);
        PageTable { pages: Vec::with_capacity(limit.div_ceil(PAGE_TOKENS)), len: 0, limit }
    }

    /// Makes room for `tokens` tokens more, taking pages as needed.
    ///
    /// # Errors
    /// [`Error::ContextFull`] beyond the table's limit, or where too few pages are free; the table is then as before.
    pub fn grow(&mut self, table: &mut PageTable, tokens: usize) -> Result<()> {
        let len = table.len.saturating_add(tokens);
        if len > table.limit {
            return Err(Error::ContextFull { tokens: len, context: table.limit });
        }
        let more = len.div_ceil(PAGE_TOKENS) - table.pages.len();
        let Some(kept) = self.free.len().checked_sub(more) else {
            let reachable = (table.pages.len() + self.free.len()) * PAGE_TOKENS;
            return Err(Error::ContextFull { tokens: len, context: reachable });
        };
        table.pages.extend(self.free.drain(kept..).rev());
        table.len = len;
        Ok(())
    }

    /// Forgets all but the first `tokens` tokens, and takes back the pages that then hold none.
    pub fn truncate(&mut self, table: &mut PageTable, tokens: usize) {
        table.len = table.len.min(tokens);
        self.free.extend(table.pages.drain(table.len.div_ceil(PAGE_TOKENS)..).rev());
    }

    /// Takes all pages of `table` back.
    pub fn release(&mut self, mut table: PageTable) {
        self.truncate(&mut table, 0);
    }
}

impl PageTable {
    /// Tokens that there is room for.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is room for no token.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The most tokens that this table may come to hold.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The pages: that of positions 0 to [`PAGE_TOKENS`] - 1, and so on.
    pub fn pages(&self) -> &[u32] {
        &self.pages
    }

    /// The cache row of `position`: `page · PAGE_TOKENS + position % PAGE_TOKENS`. `None` beyond the table's length.
    pub fn row(&self, position: usize) -> Option<u32> {
        if position >= self.len {
            return None;
        }
        self.pages.get(position / PAGE_TOKENS).map(|page| page * PAGE_TOKENS as u32 + (position % PAGE_TOKENS) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_follow_the_pages() {
        let mut pool = PagePool::new(3).expect("a pool");
        let (mut a, mut b) = (pool.table(96), pool.table(96));
        pool.grow(&mut a, 1).expect("room");
        pool.grow(&mut b, 32).expect("room");
        pool.grow(&mut a, 32).expect("room");
        assert_eq!((a.pages(), b.pages()), (&[0, 2][..], &[1][..]));
        assert_eq!([a.row(0), a.row(31), a.row(32), a.row(33)], [Some(0), Some(31), Some(64), None]);
        assert_eq!([b.row(5), b.row(32)], [Some(37), None]);
    }

    #[test]
    fn a_full_context_is_an_error_and_changes_nothing() {
        let mut pool = PagePool::new(2).expect("a pool");
        let mut short = pool.table(40);
        pool.grow(&mut short, 30).expect("room");
        let full = pool.grow(&mut short, 11);
        assert!(matches!(full, Err(Error::ContextFull { tokens: 41, context: 40 })), "{full:?}");
        let mut other = pool.table(usize::MAX);
        assert_eq!(other.limit(), 64);
        let full = pool.grow(&mut other, 33);
        assert!(matches!(full, Err(Error::ContextFull { tokens: 33, context: 32 })), "{full:?}");
        assert!(pool.grow(&mut other, usize::MAX).is_err());
        assert_eq!((short.len(), other.len(), other.pages().len(), pool.free()), (30, 0, 0, 1));
    }

    #[test]
    fn the_size_of_a_pool_is_checked() {
        assert!(PagePool::new(0).is_err());
        assert!(PagePool::new(MOST_PAGES + 1).is_err());
        let last_row = (MOST_PAGES * PAGE_TOKENS - 1) as u64;
        assert!(last_row < u64::from(crate::kernels::NOTHING));
    }

    proptest! {
        /// Whatever sequences do, no page has two owners or none, and all come back.
        #[test]
        fn no_page_is_owned_twice(
            pages in 1usize..12,
            moves in prop::collection::vec((0usize..4, 0usize..3, 0usize..150), 0..80),
        ) {
            let mut pool = PagePool::new(pages).expect("a pool");
            let mut tables: Vec<PageTable> = [40, 100, 1000, 0].map(|limit| pool.table(limit)).into();
            for (who, what, tokens) in moves {
                let before = (tables[who].len(), tables[who].pages().to_vec());
                match what {
                    0 => if pool.grow(&mut tables[who], tokens).is_err() {
                        prop_assert_eq!(before, (tables[who].len(), tables[who].pages().to_vec()));
                    } else {
                        prop_assert_eq!(tables[who].len(), before.0 + tokens);
                        prop_assert_eq!(&tables[who].pages()[..before.1.len()], &before.1[..], "pages stay where they are");
                    },
                    1 => pool.truncate(&mut tables[who], tokens),
                    _ => {
                        let fresh = pool.table(tables[who].limit());
                        pool.release(std::mem::replace(&mut tables[who], fresh));
                    }
                }
                let mut all: Vec<u32> = tables.iter().flat_map(PageTable::pages).chain(&pool.free).copied().collect();
                all.sort_unstable();
                prop_assert_eq!(all, (0..pages as u32).collect::<Vec<_>>());
                for table in &tables {
                    prop_assert!(table.len() <= table.limit());
                    prop_assert_eq!(table.pages().len(), table.len().div_ceil(PAGE_TOKENS));
                }
            }
            tables.into_iter().for_each(|table| pool.release(table));
            prop_assert_eq!(pool.free(), pages);
        }
    }
}
