#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn a_transfer_survives_the_way() {
    let mut out = Vec::new();
    let first = First {
        delivery_id: 0xffff_fffc,
        settled: false,
        format: 0,
    };
    encode_transfer(&mut out, 3, 0, Some(first), true, b"abc");
    encode_transfer(&mut out, 3, 0, None, false, b"def");
    let mut buffer = BytesMut::from(&out[..]);
    let (channel, Frame::Transfer(first, payload)) = decode(&mut buffer, 1024).unwrap().unwrap()
    else {
        panic!("not a transfer");
    };
    assert_eq!((channel, &payload[..]), (3, &b"abc"[..]));
    assert_eq!(first.delivery_id, Some(0xffff_fffc));
    assert_eq!(&first.delivery_tag[..], &[0xff, 0xff, 0xff, 0xfc]);
    assert!(first.more && !first.settled);
    let (_, Frame::Transfer(second, payload)) = decode(&mut buffer, 1024).unwrap().unwrap() else {
        panic!("not a transfer");
    };
    assert_eq!((second.delivery_id, second.more), (None, false));
    assert_eq!(&payload[..], b"def");
    assert!(decode(&mut buffer, 1024).unwrap().is_none());
}

#[test]
fn fe2o3_reads_what_we_write() {
    let mut out = Vec::new();
    let first = First {
        delivery_id: 1,
        settled: true,
        format: 0x8001_3700,
    };
    encode_transfer(&mut out, 0, 7, Some(first), false, b"xyz");
    let mut body = BytesMut::from(&out[4..]);
    let frame = (FrameDecoder {}).decode(&mut body).unwrap().unwrap();
    let FrameBody::Transfer {
        performative,
        payload,
    } = frame.into_body()
    else {
        panic!("not a transfer");
    };
    assert_eq!(performative.handle.0, 7);
    assert_eq!(performative.settled, Some(true));
    assert_eq!(performative.message_format, Some(0x8001_3700));
    assert_eq!(&payload[..], b"xyz");
}

#[test]
fn a_rejection_keeps_condition_and_description() {
    use fe2o3_amqp_types::definitions::{AmqpError, Error, Role};
    use fe2o3_amqp_types::messaging::{DeliveryState, Rejected};
    let disposition = fe2o3_amqp_types::performatives::Disposition {
        role: Role::Receiver,
        first: 4,
        last: Some(9),
        settled: true,
        state: Some(DeliveryState::Rejected(Rejected {
            error: Some(Error::new(
                AmqpError::ResourceLimitExceeded,
                Some("full".to_owned()),
                None,
            )),
        })),
        batchable: false,
    };
    let mut out = Vec::new();
    encode_performative(&mut out, 1, &disposition).unwrap();
    let mut buffer = BytesMut::from(&out[..]);
    let (_, Frame::Disposition(read)) = decode(&mut buffer, 1024).unwrap().unwrap() else {
        panic!("not a disposition");
    };
    assert!(read.from_receiver && read.settled);
    assert_eq!((read.first, read.last), (4, 9));
    assert_eq!(
        read.state,
        Some(State::Rejected(Some((
            "amqp:resource-limit-exceeded".to_owned(),
            Some("full".to_owned())
        ))))
    );
}

#[test]
fn a_disposition_that_runs_backwards_confirms_nothing() {
    let accepted = [0x00, 0x53, 0x24, 0x45];
    let mut out = Vec::new();
    encode_disposition(&mut out, 0, 5, 3, true, &accepted);
    assert!(decode(&mut BytesMut::from(&out[..]), 1024).is_err());
    out.clear();
    encode_disposition(&mut out, 0, 0xffff_fffe, 3, true, &accepted);
    assert!(decode(&mut BytesMut::from(&out[..]), 1024).is_ok());
}

#[test]
fn malformed_frames_are_errors() {
    for bytes in [
        &[0, 0, 0, 7, 2, 0, 0, 0][..],
        &[0, 0, 0, 8, 1, 0, 0, 0],
        &[0, 0, 0, 9, 2, 1, 0, 0, 0],
        &[0xff, 0, 0, 0, 2, 0, 0, 0],
        &[0, 0, 0, 11, 2, 0, 0, 0, 0x00, 0x53, 0x14],
        &[0, 0, 0, 11, 2, 0, 0, 0, 0x00, 0x53, 0x99],
        &[0, 0, 0, 9, 2, 0, 0, 0, 0xff],
    ] {
        let mut buffer = BytesMut::from(bytes);
        assert!(decode(&mut buffer, 4096).is_err(), "{bytes:?}");
    }
}

/// Both decoders of dispositions say the same, whatever a broker's form is.
#[test]
fn accepted_is_read_like_any_other_disposition() {
    let ids: [&[u8]; 6] = [
        &[0x43],
        &[0x52, 7],
        &[0x52, 9],
        &[0x70, 0xff, 0xff, 0xff, 0xff],
        &[0x70, 0, 0, 1, 0],
        &[0x40],
    ];
    let states: [&[u8]; 4] = [
        &[0x00, 0x53, 0x24, 0x45],
        &[0x00, 0x53, 0x24, 0xc0, 1, 0],
        &[0x00, 0x53, 0x26, 0x45],
        &[0x40],
    ];
    let mut fast = 0;
    for (first, last) in ids.iter().flat_map(|first| ids.map(|last| (first, last))) {
        for state in states {
            for (batchable, settled) in [
                (&[][..], 0x41),
                (&[0x42], 0x41),
                (&[0x43], 0x41),
                (&[], 0x42),
            ] {
                let count = 5 + batchable.len() as u8;
                let mut items = vec![count, 0x41];
                items.extend_from_slice(first);
                items.extend_from_slice(last);
                items.push(settled);
                items.extend_from_slice(state);
                items.extend_from_slice(batchable);
                let mut body = vec![0x00, 0x53, 0x15, 0xc0, items.len() as u8];
                body.extend_from_slice(&items);
                for length in 4..=body.len() {
                    if let Some(read) = usual::accepted(&body[3..length]) {
                        assert_eq!(length, body.len());
                        assert_eq!(read, disposition(&body).unwrap());
                        fast += 1;
                    }
                }
            }
        }
    }
    // Fifteen pairs whose end is not before its beginning, and five ids alone; with batchable and without.
    assert_eq!(fast, 2 * (5 + 15));
}

/// Both decoders of flows say the same.
#[test]
fn a_flow_is_read_like_any_other_performative() {
    use fe2o3_amqp_types::definitions::Handle;
    use fe2o3_amqp_types::performatives::Flow;
    let flow = Flow {
        next_incoming_id: Some(7),
        incoming_window: 400,
        next_outgoing_id: 0xffff_fffe,
        outgoing_window: 0,
        handle: Some(Handle(1)),
        delivery_count: Some(255),
        link_credit: Some(256),
        available: None,
        drain: false,
        echo: true,
        properties: None,
    };
    let session = Flow {
        next_incoming_id: None,
        handle: None,
        delivery_count: None,
        link_credit: None,
        available: Some(3),
        drain: true,
        echo: false,
        ..flow.clone()
    };
    for of in [flow, session] {
        let body = serde_amqp::to_vec(&of).unwrap();
        assert_eq!(usual::flow(&body).unwrap(), of);
        let Frame::Other(general) = other(&body).unwrap() else {
            panic!("not a flow");
        };
        let FrameBody::Flow(general) = *general else {
            panic!("not a flow");
        };
        assert_eq!(general, of);
        for length in 0..body.len() {
            assert!(usual::flow(&body[..length]).is_none(), "{length}");
        }
        assert!(usual::flow(&[&body[..], &[0x40]].concat()).is_none());
    }
}
