//! temp
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]
#[path = "../tests/support/mod.rs"]
mod support;
use fe2o3_amqp_types::definitions::Role;
use support::raw::*;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let n: u32 = 400_000;
    let broker = broker();
    let mut raw = Raw::connect(&broker, 1000).await;
    raw.attach(&attach("s", 0, Role::Sender, Some("q"))).await;
    let mut body = vec![0x00, 0x53, 0x73, 0xc0, 0x12, 0x03, 0xa1, 0x05];
    body.extend(b"abcde");
    body.extend([0x40, 0xa1, 6]);
    body.extend(b"queue1");
    body.extend([0x00, 0x53, 0x75, 0xa0, 250]);
    body.extend([7u8; 250]);
    let (mut r, mut w) = tokio::io::split(raw.stream);
    let t = std::time::Instant::now();
    let cpu = cpu_ms();
    let writer = tokio::spawn(async move {
        let mut id = 0u32;
        while id < n {
            let mut all = Vec::new();
            for _ in 0..400 {
                all.extend(frame(0, &transfer(0, Some(id), false), &body));
                id += 1;
            }
            w.write_all(&all).await.unwrap();
            while_credit().await;
        }
        w
    });
    let mut buf = vec![0; 65536];
    let broker2 = broker.clone();
    let mut gen_cpu = 0.0;
    loop {
        tokio::select! { x = r.read(&mut buf) => { x.unwrap(); } }
        if broker2.queue_counts("q").unwrap().ready >= n as u64 {
            break;
        }
    }
    let w = writer.await.unwrap();
    println!(
        "publish: {:?} {:.2} us/msg wall; cpu {:.2} us/msg (incl. generating)",
        t.elapsed(),
        t.elapsed().as_secs_f64() * 1e6 / n as f64,
        (cpu_ms() - cpu) as f64 * 1000.0 / n as f64
    );
    {
        // generator alone
        let t = std::time::Instant::now();
        let mut all = Vec::new();
        for id in 0..100_000u32 {
            all.clear();
            all.extend(frame(0, &transfer(0, Some(id), false), &[7u8; 280]));
        }
        gen_cpu += t.elapsed().as_secs_f64() * 1e6 / 100_000.0;
        println!("generate {gen_cpu:.2} us/msg");
    }
    drop((r, w));
    let mut raw = Raw::connect(&broker, u32::MAX / 2).await;
    raw.attach(&attach("r", 1, Role::Receiver, Some("q"))).await;
    let t = std::time::Instant::now();
    let cpu = cpu_ms();
    let mut f = flow(Some(1), 0, n);
    f.incoming_window = i32::MAX as u32;
    raw.send(&f).await;
    let mut stream = raw.stream;
    let mut total = 0u64;
    let mut frames = 0u32;
    let mut settled = 0u32;
    let mut acc: Vec<u8> = Vec::new();
    while frames < n {
        let k = stream.read(&mut buf).await.unwrap();
        total += k as u64;
        acc.extend(&buf[..k]);
        let mut at = 0;
        while acc.len() - at >= 4 {
            let s = u32::from_be_bytes(acc[at..at + 4].try_into().unwrap()) as usize;
            if acc.len() - at < s {
                break;
            }
            at += s;
            frames += 1;
        }
        acc.drain(..at);
        while frames - settled >= 50 {
            stream
                .write_all(&frame(0, &disposition(settled, settled + 49, true), b""))
                .await
                .unwrap();
            settled += 50;
        }
    }
    println!(
        "consume+accept: {:?} {:.2} us/msg wall cpu {:.2}; {} octets",
        t.elapsed(),
        t.elapsed().as_secs_f64() * 1e6 / n as f64,
        (cpu_ms() - cpu) as f64 * 1000.0 / n as f64,
        total
    );
}
async fn while_credit() {
    tokio::task::yield_now().await
}
fn cpu_ms() -> u64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<u64>().unwrap() + f[12].parse::<u64>().unwrap()) * 10
}
