//! Incoming deliveries that wait for more transfers (AMQP 1.0 section 2.6.14).

use bytes::BytesMut;
use fe2o3_amqp_types::definitions::Error;
use fe2o3_amqp_types::performatives::Transfer;

use super::credit::ReceiveCredit;
use super::errors;

#[derive(Debug)]
pub(crate) struct Partial {
    pub(crate) delivery_id: u32,
    pub(crate) format: u32,
    pub(crate) is_settled: bool,
    pub(crate) payload: BytesMut,
}

impl Partial {
    /// Starts a delivery with its first transfer. The caller adds the payload.
    pub(crate) fn begin(transfer: &Transfer, credit: &mut ReceiveCredit) -> Result<Self, Error> {
        let delivery_id = transfer.delivery_id.ok_or_else(errors::no_delivery_id)?;
        credit.take()?;
        Ok(Self {
            delivery_id,
            format: transfer.message_format.unwrap_or(0),
            is_settled: false,
            payload: BytesMut::new(),
        })
    }
}
