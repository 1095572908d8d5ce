//! Frames that brokers send for every job, or for every few dozen, in the form in which they write
//! them. All other forms are left to the general decoders.

use fe2o3_amqp_types::definitions::Handle;
use fe2o3_amqp_types::performatives::Flow;

use super::{fields, Disposition, State};
use crate::wire::read::Value;

/// A flow without properties. Brokers renew credit with one for every few dozen jobs. `None` for all
/// others, and for a wrong one.
pub(super) fn flow(body: &[u8]) -> Option<Flow> {
    let (items, end) = fields(body).ok()?;
    let mut numbers = [None; 8];
    let (mut drain, mut echo) = (false, false);
    for (index, item) in items.enumerate() {
        match (index, item.ok()?) {
            (_, Value::Null) => {}
            (0..8, Value::Unsigned(number)) => numbers[index] = Some(u32::try_from(number).ok()?),
            (8, Value::Bool(value)) => drain = value,
            (9, Value::Bool(value)) => echo = value,
            _ => return None,
        }
    }
    let [next_incoming_id, incoming_window, next_outgoing_id, outgoing_window, handle, delivery_count, link_credit, available] =
        numbers;
    (end == body.len()).then_some(Flow {
        next_incoming_id,
        incoming_window: incoming_window?,
        next_outgoing_id: next_outgoing_id?,
        outgoing_window: outgoing_window?,
        handle: handle.map(Handle),
        delivery_count,
        link_credit,
        available,
        drain,
        echo,
        properties: None,
    })
}

/// The fields of a receiver's disposition that settles deliveries as accepted: the answer to almost
/// every job. `None` for all others, and for a form in which no broker writes it.
pub(super) fn accepted(fields: &[u8]) -> Option<Disposition> {
    let [0xc0, size, count @ 5..=6, 0x41, ids @ ..] = fields else {
        return None;
    };
    let (first, rest) = leading_uint(ids)?;
    let (last, rest) = match rest {
        [0x40, rest @ ..] => (first, rest),
        _ => leading_uint(rest)?,
    };
    let [0x41, 0x00, 0x53, 0x24, 0x45, batchable @ ..] = rest else {
        return None;
    };
    let is_whole = match batchable {
        [] => *count == 5,
        [0x40..=0x42] => *count == 6,
        _ => false,
    };
    let is_sound = is_range(first, last) && fields.len() == usize::from(*size) + 2;
    (is_whole && is_sound).then_some(Disposition {
        from_receiver: true,
        first,
        last,
        settled: true,
        state: Some(State::Accepted),
    })
}

/// A `uint` at the front, and the rest.
fn leading_uint(bytes: &[u8]) -> Option<(u32, &[u8])> {
    match bytes {
        [0x52, number, rest @ ..] => Some((u32::from(*number), rest)),
        [0x70, a, b, c, d, rest @ ..] => Some((u32::from_be_bytes([*a, *b, *c, *d]), rest)),
        [0x43, rest @ ..] => Some((0, rest)),
        _ => None,
    }
}

/// Ids wrap, so the end precedes the beginning if it is more than half the number range away. As a
/// range, it would settle deliveries that it does not name.
pub(super) fn is_range(first: u32, last: u32) -> bool {
    last.wrapping_sub(first) <= i32::MAX as u32
}
