//! What the broker has taken back of one link's deliveries.

/// Ranges that are remembered, where PHP always has some delivery in its hands.
const MAX_RANGES: usize = 65_536;

/// The delivery-ids `first..=last` of a disposition.
pub(crate) type Range = (u32, u32);

/// Whether a range has the delivery-id, which wraps (RFC 1982).
pub(super) fn has((first, last): Range, id: u32) -> bool {
    id.wrapping_sub(first) <= last.wrapping_sub(first)
}

/// What was taken back of one link's deliveries.
#[derive(Debug, Default)]
pub(super) struct Recalled {
    /// What the broker said while PHP had deliveries in its hands.
    ranges: Vec<Range>,
    /// In nobody's hands: to be settled when PHP asks for the next one.
    dropped: Vec<u32>,
    /// PHP has let go of them without settling them; they may be taken back yet.
    abandoned: Vec<u32>,
}

impl Recalled {
    /// Nothing was taken back: the usual case.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.dropped.is_empty()
    }

    /// The broker has taken back these.
    pub fn add(&mut self, range: Range) {
        let is_taken = |id: &u32| has(range, *id);
        self.dropped
            .extend(self.abandoned.iter().copied().filter(is_taken));
        self.abandoned.retain(|id| !is_taken(id));
        if self.ranges.len() >= MAX_RANGES {
            self.ranges.remove(0);
        }
        self.ranges.push(range);
    }

    /// One of them is not in PHP's hands.
    pub fn drop_unseen(&mut self, id: u32) {
        self.dropped.push(id);
    }

    /// What is to be settled.
    pub fn dropped(&self) -> &[u32] {
        &self.dropped
    }

    /// There is something to be settled.
    pub fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// PHP's delivery was taken back.
    pub fn contains(&self, id: u32) -> bool {
        self.ranges.iter().any(|range| has(*range, id))
    }

    /// PHP has let go of a delivery that it had not settled.
    pub fn abandon(&mut self, id: u32) {
        self.abandoned.push(id);
    }

    /// What is to be settled now.
    pub fn take_dropped(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.dropped)
    }

    /// No delivery is unsettled: what was said of earlier ones is of no more use.
    pub fn forget(&mut self) {
        self.ranges.clear();
        self.abandoned.clear();
    }
}
