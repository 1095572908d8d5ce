//! How much a receiver takes in if its prefetch adapts to PHP's speed: see [`Elastic`].
//!
//! The prefetch follows the jobs of the past. Two things can happen before it does. Larger jobs may
//! arrive, as many as small ones were asked for: credit is then taken back as soon as the buffer is
//! full, and what exceeds it is returned to the broker if that is for nothing. And PHP may hold
//! several deliveries, and ask for another one before it settles any: it gets one more, up to
//! [`Elastic::most`].

use super::Receiver;
use crate::connection::protocol::elastic::Elastic;

impl Receiver {
    /// For a consumer that adapts the prefetch.
    pub fn elastic(mut self, elastic: Option<Elastic>) -> Self {
        self.elastic = elastic;
        self
    }

    /// Whether nothing more can arrive, although PHP waits and may get more.
    pub fn is_short(&self) -> bool {
        self.elastic.is_some() && self.buffer.is_empty() && self.credit.granted() == 0
    }

    /// Raises the prefetch to one more than PHP holds if it holds as many deliveries, and waits for
    /// another. It may hold far more, if the prefetch was lowered meanwhile.
    pub(super) fn stretch(&mut self) {
        let most = self.elastic.as_ref().map_or(0, |elastic| elastic.most);
        let prefetch = self.credit.prefetch();
        if self.is_short() && (1..most).contains(&prefetch) && (prefetch..most).contains(&self.held)
        {
            self.credit.set_prefetch(self.held + 1);
        }
    }

    /// Whether the buffer is too full to ask for more.
    pub(super) fn is_full(&self) -> bool {
        let bytes = self.elastic.as_ref().map(|elastic| elastic.bytes);
        bytes.is_some_and(|most| self.buffer.bytes() > most / 2)
    }

    /// How many deliveries to keep if more has arrived than the buffer may contain. All, if returns
    /// are not for nothing: then only credit is taken back.
    pub fn overflow(&self) -> Option<usize> {
        let elastic = self.elastic.as_ref()?;
        if self.buffer.bytes() <= elastic.bytes || self.buffer.len() < 2 {
            return None;
        }
        Some(match elastic.patience {
            // Returning would lose what is settled.
            Some(_) if !self.buffer.has_settled() => self.buffer.fitting(elastic.bytes),
            _ => self.buffer.len(),
        })
    }

    /// Takes back all credit. True if the broker must be told.
    pub fn revoke(&mut self) -> bool {
        self.credit.mode.renews() && self.credit.revoke()
    }

    /// Takes back credit beyond a prefetch that was lowered. Returns the rest if the broker must be
    /// told.
    pub fn shrink(&mut self) -> Option<u32> {
        self.credit.shrink(self.held)
    }
}

#[cfg(test)]
#[path = "filling_tests.rs"]
mod tests;
