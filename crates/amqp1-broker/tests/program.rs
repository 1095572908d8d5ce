//! The program: its ready line, its port, how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Stdio;
use std::time::Duration;

use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::Connection;
#[cfg(feature = "servicebus")]
use fe2o3_amqp::{Sender, Session};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

const PROGRAM: &str = env!("CARGO_BIN_EXE_amqp1-broker");

async fn start(arguments: &[&str]) -> (Child, String) {
    let mut child = Command::new(PROGRAM)
        .args(arguments)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let reading = tokio::time::timeout(Duration::from_secs(10), out.read_line(&mut line));
    reading.await.expect("a line").unwrap();
    let prefix = format!("amqp1-broker {} listening on ", env!("CARGO_PKG_VERSION"));
    let address = line.strip_prefix(&prefix).expect(&line).trim().to_owned();
    (child, address)
}

async fn signal(child: &mut Child, name: &str) -> std::process::ExitStatus {
    let id = child.id().unwrap().to_string();
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -{name} {id}")])
        .status();
    assert!(sent.await.unwrap().success());
    let ended = tokio::time::timeout(Duration::from_secs(10), child.wait());
    ended.await.expect("an end").unwrap()
}

#[tokio::test]
async fn it_serves_until_it_is_told_to_end() {
    let ready = std::env::temp_dir().join(format!("amqp1-broker-{}", std::process::id()));
    let (mut child, address) = start(&[
        "--listen",
        "127.0.0.1:0",
        "--user",
        "guest:secret",
        "--ready-file",
        ready.to_str().unwrap(),
    ])
    .await;
    assert_eq!(std::fs::read_to_string(&ready).unwrap().trim(), address);
    std::fs::remove_file(&ready).unwrap();
    let open = async |password: &str| {
        let stream = TcpStream::connect(&address).await.unwrap();
        let profile = SaslProfile::Plain {
            username: "guest".into(),
            password: password.into(),
        };
        let builder = Connection::builder()
            .container_id("c")
            .sasl_profile(profile);
        builder.open_with_stream(stream).await
    };
    assert!(open("wrong").await.is_err());
    let mut connection = open("secret").await.unwrap();
    assert_eq!(signal(&mut child, "TERM").await.code(), Some(0));
    let closed = connection.on_close().await.unwrap_err();
    assert!(
        format!("{closed:?}").contains("ConnectionForced"),
        "{closed:?}"
    );
}

#[tokio::test]
async fn an_interrupt_ends_it_as_well() {
    let (mut child, _) = start(&["--listen", "127.0.0.1:0"]).await;
    assert_eq!(signal(&mut child, "INT").await.code(), Some(0));
}

#[cfg(feature = "servicebus")]
#[tokio::test]
async fn faults_are_read_again_when_it_is_told_to() {
    let path = std::env::temp_dir().join(format!("amqp1-faults-{}", std::process::id()));
    std::fs::write(&path, "").unwrap();
    let (child, address) = start(&[
        "--listen",
        "127.0.0.1:0",
        "--dialect=servicebus",
        "--queue=q",
        "--no-tokens",
        "--faults",
        path.to_str().unwrap(),
    ])
    .await;
    let stream = TcpStream::connect(&address).await.unwrap();
    let builder = Connection::builder().container_id("c");
    let mut connection = builder.open_with_stream(stream).await.unwrap();
    std::fs::write(&path, "close op=now\n").unwrap();
    let id = child.id().unwrap().to_string();
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -HUP {id}")])
        .status();
    assert!(sent.await.unwrap().success());
    let closed = tokio::time::timeout(Duration::from_secs(10), connection.on_close());
    let closed = closed.await.expect("a close").unwrap_err();
    assert!(
        format!("{closed:?}").contains("ConnectionForced"),
        "{closed:?}"
    );
    std::fs::remove_file(&path).unwrap();
}

#[cfg(feature = "servicebus")]
#[tokio::test]
async fn faults_of_the_command_line_are_beside_those_of_the_file() {
    let path = std::env::temp_dir().join(format!("amqp1-both-{}", std::process::id()));
    std::fs::write(&path, "busy entity=other op=attach\n").unwrap();
    let (_child, address) = start(&[
        "--listen",
        "127.0.0.1:0",
        "--dialect=servicebus",
        "--queue=q",
        "--no-tokens",
        "--fault",
        "busy entity=q op=attach times=always",
        "--faults",
        path.to_str().unwrap(),
    ])
    .await;
    let stream = TcpStream::connect(&address).await.unwrap();
    let builder = Connection::builder().container_id("c");
    let mut connection = builder.open_with_stream(stream).await.unwrap();
    let mut session = Session::begin(&mut connection).await.unwrap();
    let attached = Sender::attach(&mut session, "s", "q");
    let refused = tokio::time::timeout(Duration::from_secs(10), attached).await;
    assert!(refused.expect("an answer").is_err());
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn wrong_arguments_are_said_and_exit_2() {
    for arguments in [&[][..], &["--listen", "here"], &["--nonsense"]] {
        let output = Command::new(PROGRAM)
            .args(arguments)
            .output()
            .await
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("--help"), "{said}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Command::new(PROGRAM)
        .args(["--listen", &address])
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[cfg(feature = "servicebus")]
#[tokio::test]
async fn a_wrong_fault_is_said() {
    let wrong = [
        "--listen",
        "127.0.0.1:0",
        "--dialect=servicebus",
        "--fault=buzy",
    ];
    let output = Command::new(PROGRAM).args(wrong).output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("'buzy'"), "{said}");
}

#[tokio::test]
async fn help_and_version_are_printed() {
    for (argument, expected) in [("--help", "--ready-file"), ("--version", "amqp1-broker 0.")] {
        let output = Command::new(PROGRAM).arg(argument).output().await.unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8(output.stdout).unwrap().contains(expected));
    }
}
