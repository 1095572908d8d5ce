//! The deliveries of one link that the broker has taken back.

/// The most ranges that are kept, if PHP always holds some delivery.
const MAX_RANGES: usize = 65_536;

/// The delivery-ids `first..=last` of a disposition.
pub(crate) type Range = (u32, u32);

/// Whether a range contains the delivery-id. Ids wrap (RFC 1982).
pub(super) fn has((first, last): Range, id: u32) -> bool {
    id.wrapping_sub(first) <= last.wrapping_sub(first)
}

/// The deliveries of one link that the broker has taken back.
#[derive(Debug, Default)]
pub(super) struct Recalled {
    /// Ranges that the broker took back while PHP held deliveries.
    ranges: Vec<Range>,
    /// Held by no one: settled when PHP asks for the next delivery.
    dropped: Vec<u32>,
    /// Abandoned by PHP without a settlement; the broker may still take them back.
    abandoned: Vec<u32>,
}

impl Recalled {
    /// Whether nothing was taken back, which is the usual case.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.dropped.is_empty()
    }

    /// Adds a range that the broker has taken back.
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

    /// Adds one that PHP does not hold.
    pub fn drop_unseen(&mut self, id: u32) {
        self.dropped.push(id);
    }

    /// Deliveries that must be settled.
    pub fn dropped(&self) -> &[u32] {
        &self.dropped
    }

    /// Whether any must be settled.
    pub fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// Whether a delivery that PHP holds was taken back.
    pub fn contains(&self, id: u32) -> bool {
        self.ranges.iter().any(|range| has(*range, id))
    }

    /// Records that PHP has abandoned an unsettled delivery.
    pub fn abandon(&mut self, id: u32) {
        self.abandoned.push(id);
    }

    /// Removes and returns the deliveries that must be settled now.
    pub fn take_dropped(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.dropped)
    }

    /// Forgets everything once no delivery is unsettled, because earlier reports are then obsolete.
    pub fn forget(&mut self) {
        self.ranges.clear();
        self.abandoned.clear();
    }
}
