//! A hostile client's bytes into amqp1-broker: it must not panic, and our own client must be able
//! to decode all its answers.
#![no_main]

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use amqp1_broker::rabbitmq::RabbitMq;
use amqp1_broker::{Broker, Options};
use amqp1_core::wire::frame;
use bytes::{Buf, BytesMut};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A client that sends the fuzzer's bytes in pieces and reads everything.
struct Client {
    rest: Vec<u8>,
    piece: usize,
    heard: Arc<Mutex<BytesMut>>,
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let count = self.rest.len().min(buffer.remaining()).min(self.piece);
        buffer.put_slice(&self.rest[..count]);
        self.rest.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.heard.lock().unwrap().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fuzz_target!(|data: &[u8]| {
    let [how, data @ ..] = data else {
        return;
    };
    let rabbitmq = RabbitMq {
        max_frame_size: 8192,
        max_message_size: 16 * 1024,
        publisher_credit: 4,
        max_sessions: 4,
        max_links: 4,
        users: (how & 0x80 != 0).then(|| vec![("guest".into(), "guest".into())]),
        ..RabbitMq::default()
    };
    let options = Options {
        rabbitmq,
        ..Options::default()
    };
    // Usually starts after the headers, because the seeds already cover those.
    let mut rest = match how & 0x40 {
        0 => b"AMQP\x00\x01\x00\x00".to_vec(),
        _ => Vec::new(),
    };
    let headers = rest.len();
    rest.extend_from_slice(data);
    let heard = Arc::new(Mutex::new(BytesMut::new()));
    let client = Client {
        rest,
        piece: match how & 0x3f {
            0x3f => usize::MAX,
            piece => usize::from(piece) * 16 + 1,
        },
        heard: heard.clone(),
    };
    let broker = Broker::with_options("fuzz", options);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _ = runtime
        .block_on(async {
            tokio::time::timeout(std::time::Duration::from_secs(20), broker.serve(client)).await
        })
        .expect("serving ends with the stream");
    assert_eq!(broker.connection_count(), 0);
    // Counting a queue visits every message left in it.
    for queue in broker.queue_names() {
        assert!(broker.queue_counts(&queue).is_some());
    }

    let mut heard = heard.lock().unwrap();
    if headers == 0 || !heard.starts_with(b"AMQP\x00\x01\x00\x00") {
        return;
    }
    heard.advance(8);
    loop {
        match frame::decode(&mut heard, 8192) {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => panic!("the broker said what is not AMQP: {error}"),
        }
    }
});
