//! Link credit (AMQP 1.0 section 2.6.7) at the broker's end.

use fe2o3_amqp_types::performatives::{Attach, Flow};

use super::errors;

/// Credit of a link whose peer receives.
#[derive(Debug, Default)]
pub(crate) struct SendCredit {
    /// Deliveries begun, plus credit used up by drains.
    delivery_count: u32,
    /// The highest delivery-count that the receiver's credit allows.
    limit: u32,
    /// Deliveries that wait in the session.
    unsent: u32,
}

impl SendCredit {
    /// Applies the credit of a receiver's flow.
    pub(crate) fn update(&mut self, flow: &Flow) {
        if let Some(credit) = flow.link_credit {
            // Without delivery-count, the receiver has not seen the attach and counts from 0.
            self.limit = flow.delivery_count.unwrap_or(0).wrapping_add(credit);
        }
    }

    /// Credit that neither a started nor a waiting delivery uses. Negative if the receiver has
    /// reduced its credit below the number of waiting deliveries.
    pub(crate) fn spare(&self) -> i32 {
        let used = self.delivery_count.wrapping_add(self.unsent);
        self.limit.wrapping_sub(used) as i32
    }

    /// Counts a delivery that now waits in the session.
    pub(crate) fn enqueue(&mut self) {
        self.unsent += 1;
    }

    /// Counts `n` deliveries that no longer wait.
    pub(crate) fn take_back(&mut self, n: usize) {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        self.unsent = self.unsent.saturating_sub(n);
    }

    /// Counts a waiting delivery as begun.
    pub(crate) fn begin(&mut self) {
        self.unsent = self.unsent.saturating_sub(1);
        self.delivery_count = self.delivery_count.wrapping_add(1);
    }

    /// Uses up the credit that is left after a drain. Returns delivery-count as it will be once the
    /// waiting deliveries are sent.
    pub(crate) fn drain(&mut self, left: u32) -> u32 {
        self.delivery_count = self.delivery_count.wrapping_add(left);
        self.delivery_count.wrapping_add(self.unsent)
    }

    /// Delivery-count and link-credit, as a flow states them.
    pub(crate) fn flow_state(&self) -> (u32, u32) {
        let credit = self.limit.wrapping_sub(self.delivery_count) as i32;
        (self.delivery_count, credit.max(0) as u32)
    }
}

/// Credit of a link whose peer sends.
#[derive(Debug)]
pub(crate) struct ReceiveCredit {
    delivery_count: u32,
    credit: u32,
}

impl ReceiveCredit {
    pub(crate) fn new(attach: &Attach, credit: u32) -> Self {
        Self {
            delivery_count: attach.initial_delivery_count.unwrap_or(0),
            credit,
        }
    }

    /// Uses the credit of one delivery.
    pub(super) fn take(&mut self) -> Result<(), fe2o3_amqp_types::definitions::Error> {
        self.credit = self.credit.checked_sub(1).ok_or_else(errors::no_credit)?;
        self.delivery_count = self.delivery_count.wrapping_add(1);
        Ok(())
    }

    /// Restores full credit once half of it is used; true if the peer must be told.
    pub(crate) fn top_up(&mut self, full: u32) -> bool {
        let is_low = self.credit <= full / 2;
        if is_low {
            self.credit = full;
        }
        is_low
    }

    /// Delivery-count and link-credit, as a flow states them.
    pub(crate) fn flow_state(&self) -> (u32, u32) {
        (self.delivery_count, self.credit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amqp::windows::Windows;

    fn flow(delivery_count: Option<u32>, link_credit: u32) -> Flow {
        let windows = Windows::new(&crate::amqp::answers::begin(0, 1, 0), 1);
        Flow {
            delivery_count,
            ..windows.link_flow(0, (0, link_credit), 0)
        }
    }

    #[test]
    fn credit_is_counted_from_the_receivers_delivery_count() {
        let mut credit = SendCredit::default();
        credit.update(&flow(None, 3));
        for _ in 0..2 {
            credit.enqueue();
        }
        credit.begin();
        assert_eq!((credit.spare(), credit.flow_state()), (1, (1, 2)));
        // The receiver reduced its credit before it saw the delivery that had begun.
        credit.update(&flow(Some(0), 1));
        assert_eq!((credit.spare(), credit.flow_state()), (-1, (1, 0)));
        credit.take_back(1);
        assert_eq!(credit.spare(), 0);
        credit.update(&flow(Some(1), 5));
        assert_eq!(credit.drain(5), 6);
        assert_eq!(credit.flow_state(), (6, 0));
    }
}
