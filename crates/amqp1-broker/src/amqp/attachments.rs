//! Maps the model's links to their sessions and handles, and remembers which links are draining.

use std::collections::{BTreeSet, HashMap};

use crate::amqp::ids::LinkId;

/// Channel and handle.
pub(crate) type Place = (u16, u32);

#[derive(Debug, Default)]
pub(crate) struct Attachments {
    places: HashMap<LinkId, Place>,
    /// Links whose receivers requested a drain.
    draining: BTreeSet<LinkId>,
}

impl Attachments {
    pub(crate) fn add(&mut self, link: LinkId, place: Place) {
        self.places.insert(link, place);
    }

    /// `None` if the link is gone.
    pub(crate) fn place(&self, link: LinkId) -> Option<Place> {
        self.places.get(&link).copied()
    }

    pub(crate) fn remove(&mut self, link: LinkId) {
        self.places.remove(&link);
        self.draining.remove(&link);
    }

    /// Records whether a receiver's flow asks for a drain.
    pub(crate) fn set_draining(&mut self, link: LinkId, drain: bool) {
        if drain {
            self.draining.insert(link);
        } else {
            self.draining.remove(&link);
        }
    }

    /// Ends the drains for which `is_done` returns true.
    pub(crate) fn finish_drains(&mut self, mut is_done: impl FnMut(LinkId, Place) -> bool) {
        let places = &self.places;
        self.draining.retain(|link| {
            let place = places.get(link);
            place.is_some_and(|place| !is_done(*link, *place))
        });
    }
}
