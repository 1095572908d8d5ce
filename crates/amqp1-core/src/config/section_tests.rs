#![allow(clippy::unwrap_used)]
use super::*;
use crate::config::yaml;

const AZURE: &str = r#"
amqp1:
  addr: "amqps://RootManageSharedAccessKey:YOUR_ACCESS_KEY@YOUR_NAMESPACE.servicebus.windows.net:5671/"
jobs:
  pipelines:
    azure-queue:
      driver: amqp1
      config: CONFIG
"#;

fn environment(name: &str) -> Option<Vec<u8>> {
    match name {
        "PREFETCH" => Some(b"20".to_vec()),
        "DURABLE" => Some(b"false".to_vec()),
        "ADDR" => Some(b"amqp://u:s3cret@rabbit:5999".to_vec()),
        _ => None,
    }
}

fn sections(text: &str) -> Result<Sections> {
    read(&yaml::parse(text)?, &environment, &QueueOptions::default())
}

fn config(config: &str) -> Result<Sections> {
    sections(&format!(
        "amqp1: {{addr: 'amqp://h'}}\njobs: {{pipelines: {{orders: {{driver: amqp1, config: {config}}}}}}}"
    ))
}

#[test]
fn every_error_has_the_path_of_its_key() {
    for (written, expected) in [
        ("a: 1", "the configuration has neither 'amqp1' nor 'jobs'"),
        ("amqp_1: {}", "amqp_1: unknown key, did you mean 'amqp1'?"),
        ("Jobs: {}", "Jobs: unknown key, did you mean 'jobs'?"),
        ("amqp1: {adr: x}", "amqp1.adr: unknown key, did you mean 'addr'?"),
        ("amqp1: {name: x}", "amqp1.name: unknown key; known keys: addr, timeout"),
        ("amqp1: [x]", "amqp1: expected an array of name => value, got list"),
        ("amqp1: s3cret", "amqp1: expected an array of name => value, got a string"),
        ("amqp1: {'amqp://u:s3cret@h'}", "amqp1: expected an array of name => value, got an address as a key"),
        ("amqp1: {addr: 'ampq://u:s3cret@h'}", "amqp1.addr: DSN: unknown scheme 'ampq://', did you mean 'amqp://'?"),
        ("amqp1: {addr: {a: s3cret}}", "amqp1.addr: expected an address such as amqp://user:password@localhost:5672, or a list of them, got array"),
        ("amqp1: {addr: []}", "amqp1.addr: expected an address"),
        ("amqp1: {addr: ['amqp://h', 5]}", "amqp1.addr: expected a list of addresses, but it contains int"),
        ("amqp1: {addr: ['amqp://u:s3cret@a', 'amqp://u:s4cret@b']}", "amqp1.addr: DSN: the addresses in a list must belong to one broker"),
        ("amqp1: {addr: 'amqp://h?prefetsh=2'}", "amqp1.addr: DSN: unknown option 'prefetsh', did you mean 'prefetch'?"),
        ("amqp1: {addr: '${NONE}'}", "amqp1.addr: the environment variable NONE is not set"),
        ("amqp1: {timeout: soon}", "amqp1.timeout: expected a number of seconds, zero or more, got string 'soon'"),
        ("amqp1: {addr: 'amqps://h', tls: {cert: /c}}", "amqp1.tls: 'cert' and 'key' must be set together"),
        ("jobs: {pipeline: {}}", "jobs.pipeline: unknown key, did you mean 'pipelines'?"),
        ("jobs: {pipelines: [x]}", "jobs.pipelines: expected an array of name => value, got list"),
        ("jobs: {pipelines: {'': {}}}", "jobs.pipelines: a pipeline's name must not be empty"),
        ("jobs: {pipelines: {a: {driver: amqp-1}}}", "jobs.pipelines.a.driver: unknown driver 'amqp-1', did you mean 'amqp1'?"),
        ("jobs: {pipelines: {a: {drivr: amqp1}}}", "jobs.pipelines.a.drivr: unknown key, did you mean 'driver'?"),
        ("jobs: {pipelines: {a: {prefetch: 1}}}", "jobs.pipelines.a.prefetch: belongs under jobs.pipelines.a.config"),
        ("jobs: {consume: [b], pipelines: {ab: {}}}", "jobs.consume[0]: unknown pipeline 'b', did you mean 'ab'?"),
        ("jobs: {consume: [[b]]}", "jobs.consume[0]: expected a string, got list"),
        ("jobs: {consume: {a: b}}", "jobs.consume: expected a list of pipelines, got an array"),
    ] {
        let error = sections(written).unwrap_err();
        assert!(error.message().starts_with(expected), "{written}: {error}");
        assert!(!error.message().contains("s3cret"), "{error}");
    }
    for (written, expected) in [
        (
            "{prefetch: ten}",
            "prefetch: expected an int from 1 to 65535, got string 'ten'",
        ),
        (
            "{prefetsh: 1}",
            "prefetsh: unknown key, did you mean 'prefetch'?",
        ),
        (
            "{name: x}",
            "name: unknown key; known keys: queue, addr, timeout",
        ),
        ("{queue: ''}", "queue: must not be empty"),
        ("{queue: [a]}", "queue: expected a string, got list"),
        (
            "{queue_headers: {}}",
            "queue_headers: is called 'arguments' here",
        ),
        (
            "{tls: {certt: x}}",
            "tls.certt: unknown option 'certt', did you mean 'cert'?",
        ),
        ("{bindings: [{key: x}]}", "bindings"),
        (
            "{backoff: [1, soon]}",
            "backoff[1]: expected a number of seconds, zero or more, got string 'soon'",
        ),
        ("{max_attempts: -1}", "max_attempts: expected an int from 0"),
        (
            "{arguments: {x: '${NONE}'}}",
            "arguments.x: the environment variable NONE is not set",
        ),
    ] {
        let error = config(written).unwrap_err();
        let expected = format!("jobs.pipelines.orders.config.{expected}");
        assert!(error.message().starts_with(&expected), "{written}: {error}");
    }
}

#[test]
fn options_that_contradict_each_other_are_found_when_it_is_read() {
    let error = config("{queue_type: quorum, exclusive: true}").unwrap_err();
    let expected = "jobs.pipelines.orders.config: option 'exclusive': a quorum queue";
    assert!(error.message().starts_with(expected), "{error}");
}

#[test]
fn the_nearer_option_goes_first() {
    let sections = sections(
        "amqp1: {addr: 'amqp://a?prefetch=2&priority=2&ttl=2', prefetch: 3, priority: 3}\n\
         jobs:\n  pipelines:\n\
         \x20   near: {driver: amqp1, config: {prefetch: '${PREFETCH}', durable: '${DURABLE}', delay: '${NONE:-1.5}'}}\n\
         \x20   own: {config: {addr: 'amqp://b?priority=9', queue: q}}\n",
    )
    .unwrap();
    let [near, own] = sections.pipelines.as_slice() else {
        panic!("two pipelines");
    };
    assert_eq!(
        (near.options.prefetch, near.options.priority),
        (Some(20), Some(3))
    );
    assert_eq!(near.options.ttl, Some(std::time::Duration::from_secs(2)));
    assert_eq!(
        near.options.delay,
        Some(std::time::Duration::from_millis(1500))
    );
    assert!(!near.options.durable);
    assert_eq!((near.name.as_str(), near.queue.as_str()), ("near", "near"));
    assert_eq!(near.endpoint.as_ref().unwrap().label(), "amqp://a:5672");
    assert_eq!(
        (own.options.prefetch, own.options.priority),
        (Some(3), Some(9))
    );
    assert_eq!(own.options.ttl, None);
    assert_eq!((own.name.as_str(), own.queue.as_str()), ("own", "q"));
    assert_eq!(own.endpoint.as_ref().unwrap().label(), "amqp://b:5672");
    assert!(!format!("{sections:?}").contains("s3cret"));
}

#[test]
fn hosts_of_a_list_are_one_endpoint() {
    let sections = sections(
        "amqp1: {addr: ['amqps://u:p@a/v', 'amqps://u:p@b:5999,c/v']}\njobs: {pipelines: {x: {}}}",
    )
    .unwrap();
    let endpoint = sections.pipelines[0].endpoint.as_ref().unwrap();
    assert_eq!(endpoint.label(), "amqps://u@a:5671,b:5999,c:5671/v");
}

#[test]
fn what_is_roadrunners_is_left_alone() {
    let sections = sections(
        "version: '3'\n\
         rpc: {listen: 'tcp://${NOWHERE}'}\n\
         http: [any, {thing: 1}]\n\
         amqp: {addr: 'amqp://other'}\n\
         jobs:\n\
         \x20 num_pollers: 10\n\
         \x20 pipeline_size: 100000\n\
         \x20 timeout: 60\n\
         \x20 pool: {num_workers: 4, command: '${NOWHERE}'}\n\
         \x20 consume: [cache, orders]\n\
         \x20 pipelines:\n\
         \x20   cache: {driver: memory, config: {anything: '${NOWHERE}'}}\n\
         \x20   old: {driver: amqp, queue: x}\n\
         \x20   orders: {driver: amqp1, config: {multiple_ack: true, exchange_durable: false, queue_auto_delete: false}}\n",
    )
    .unwrap();
    assert_eq!(sections.pipelines.len(), 1);
    let others = [("cache", "memory"), ("old", "amqp")];
    assert_eq!(
        sections.others,
        others.map(|(name, driver)| (name.to_owned(), driver.to_owned()))
    );
    assert_eq!(
        sections.warnings,
        ["jobs.pipelines.orders.config.exchange_durable: has no effect with this driver"]
    );
}

#[test]
fn service_bus_is_told_what_it_has() {
    let quiet = AZURE.replace(
        "CONFIG",
        "{queue: test-queue, routing_key: test-queue, prefetch: 10, priority: 1, durable: false, exclusive: '${NONE:-off}', exchange: ''}",
    );
    assert_eq!(sections(&quiet).unwrap().warnings, [""; 0]);
    let loud = AZURE.replace(
        "CONFIG",
        "{exchange: x, exchange_type: topic, routing_key: k, exclusive: true, queue_type: classic, arguments: {a: 1}}",
    );
    let sections = sections(&loud).unwrap();
    let keys: Vec<&str> = sections
        .warnings
        .iter()
        .filter_map(|one| one.strip_prefix("jobs.pipelines.azure-queue.config."))
        .filter_map(|one| one.split_once(": has no effect on Azure Service Bus"))
        .map(|(key, _)| key)
        .collect();
    assert_eq!(
        keys,
        [
            "exchange",
            "exchange_type",
            "routing_key",
            "exclusive",
            "queue_type",
            "arguments"
        ]
    );
    let options = &sections.pipelines[0].options;
    assert_eq!((&options.exchange, options.exclusive), (&None, false));
}

#[test]
fn tls_without_an_encrypted_address_is_said_once() {
    let tls = "tls: {root_ca: /ca.pem}";
    let two = "jobs: {pipelines: {a: {}, b: {config: {addr: 'amqp://b'}}}}";
    let plain = sections(&format!("amqp1: {{addr: '${{ADDR}}', {tls}}}\n{two}")).unwrap();
    assert_eq!(plain.warnings.len(), 1, "{:?}", plain.warnings);
    assert!(
        plain.warnings[0].starts_with("amqp1.tls: "),
        "{:?}",
        plain.warnings
    );
    let label = plain.pipelines[0].endpoint.as_ref().unwrap().label();
    assert_eq!(label, "amqp://u@rabbit:5999");

    let encrypted = sections(&format!("amqp1: {{addr: 'amqps://a', {tls}}}\n{two}")).unwrap();
    assert_eq!(encrypted.warnings, [""; 0]);
    let tls = &encrypted.pipelines[0].endpoint.as_ref().unwrap().tls;
    assert_eq!(tls.root_ca, Some("/ca.pem".into()));
}

#[test]
fn whatever_a_queue_takes_a_pipeline_takes() {
    for option in QueueOptions::NAMES {
        let taken = config(&format!("{{{option}: ~}}")).is_ok();
        assert_eq!(taken, *option != "name", "{option}");
    }
}
