#![allow(clippy::unwrap_used)]
use super::*;

fn parse(dsn: &str) -> Result<Endpoint> {
    Endpoint::parse(dsn, &QueueOptions::default())
}

#[test]
fn a_dsn_with_everything() {
    let endpoint = parse("amqps://me:p%40ss:w@one.example:5999,[::1]/a%2Fb").unwrap();
    let Target::Network { hosts, tls } = &endpoint.target else {
        panic!("not a network endpoint");
    };
    assert!(tls);
    assert_eq!(hosts[0], ("one.example".to_owned(), 5999));
    assert_eq!(hosts[1], ("::1".to_owned(), 5671));
    let (user, password) = endpoint.credentials.as_ref().unwrap();
    assert_eq!((user.as_str(), password.as_str()), ("me", "p@ss:w"));
    assert_eq!(endpoint.vhost.as_deref(), Some("a/b"));
    assert_eq!(
        endpoint.label(),
        "amqps://me@one.example:5999,[::1]:5671/a/b"
    );
}

#[test]
fn both_spellings_of_a_scheme_are_one_endpoint() {
    for (alias, usual) in [
        ("amqp1://u:p@h/v", "amqp://u:p@h/v"),
        ("AMQP1://h:1", "amqp://h:1"),
        ("amqp1s://u:p@h", "amqps://u:p@h"),
        ("amqp1s://one,two:5", "amqps://one,two:5"),
    ] {
        // The pool identifies connections by these.
        assert_eq!(parse(alias).unwrap(), parse(usual).unwrap());
        assert_eq!(parse(alias).unwrap().label(), parse(usual).unwrap().label());
    }
    let named = parse("amqps1://h").unwrap_err();
    assert!(named.message().contains("did you mean 'amqp"), "{named}");
}

#[test]
fn port_80_is_kept() {
    let endpoint = parse("amqp://host:80").unwrap();
    assert_eq!(endpoint.label(), "amqp://host:80");
}

#[test]
fn wrong_dsns_are_named_and_never_repeated() {
    for dsn in [
        "",
        "localhost",
        "ampq://u:s3cret@h",
        "amqp://u:s3cret@",
        "amqp://u:s3cret@h:99999",
        "amqp://u:s3cret@h:0",
        "amqp://u:s3cret@h ost",
        "embedded://u:s3cret@x",
        "amqp://u:s3cret",
        "amqp://u:s3cret/x@h",
        "amqp://u:12/s3cret@h",
        "amqp://u:12?s3cret@h",
        "amqp://u:x@s3cret/y@h",
        "u:s3cret://x@h",
        "u:s3cret@h",
        "u:12?s3cret#x://h",
    ] {
        let error = split_query(dsn)
            .and_then(|(address, _)| parse(address))
            .unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Config, "{dsn}");
        assert!(!error.message().contains("s3cret"), "{error}");
    }
    let error = parse("ampq://h").unwrap_err();
    assert!(
        error.message().contains("did you mean 'amqp://'"),
        "{error}"
    );
}

#[test]
fn tls_options_are_not_ignored_by_a_connection_without_tls() {
    let mut options = QueueOptions::default();
    options.tls.root_ca = Some("/ca.pem".into());
    let error = Endpoint::parse("amqp://h", &options).unwrap_err();
    assert!(error.message().contains("use amqps://"), "{error}");
    assert!(Endpoint::parse("amqps://h", &options).is_ok());
}

#[test]
fn debug_has_no_password() {
    let endpoint = parse("amqp://u:s3cret@h").unwrap();
    assert!(!format!("{endpoint:?}").contains("s3cret"));
}

#[test]
fn the_query_becomes_options() {
    let (address, options) = split_query("amqp://h?timeout=5&tls.root_ca=%2Fca.pem").unwrap();
    assert_eq!(address, "amqp://h");
    let options = QueueOptions::default().apply("DSN", &options).unwrap();
    assert_eq!(options.timeout, Duration::from_secs(5));
    assert_eq!(options.tls.root_ca, Some("/ca.pem".into()));
}

const STRING: &str =
    "Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=s3cret";

#[test]
fn service_bus_is_known_by_its_host_its_scheme_or_its_string() {
    for (dsn, label) in [
        (STRING, "amqps://ns.servicebus.windows.net:5671"),
        (
            "amqps://Root:s3cret@ns.servicebus.windows.net/",
            "amqps://Root@ns.servicebus.windows.net:5671",
        ),
        (
            "amqps://Root:s3cret@ns.servicebus.chinacloudapi.cn",
            "amqps://Root@ns.servicebus.chinacloudapi.cn:5671",
        ),
        (
            "amqps://Root:s3cret@NS.ServiceBus.UsGovCloudApi.Net",
            "amqps://Root@ns.servicebus.usgovcloudapi.net:5671",
        ),
        ("sb://Root:s3cret@private.example", "amqps://Root@private.example:5671"),
        (
            "Endpoint=sb://localhost;SharedAccessKeyName=R;SharedAccessKey=s3cret;UseDevelopmentEmulator=true;",
            "amqp://localhost:5672",
        ),
    ] {
        let endpoint = parse(dsn).unwrap();
        assert_eq!(endpoint.dialect, DialectOption::ServiceBus, "{label}");
        assert_eq!(endpoint.label(), label);
        assert!(!format!("{endpoint:?}").contains("s3cret"));
    }
    for dsn in [
        "amqps://u:p@servicebus.windows.net.example",
        "embedded://x",
        "amqp://h",
    ] {
        assert_eq!(parse(dsn).unwrap().dialect, DialectOption::Auto, "{dsn}");
    }
}

#[test]
fn a_key_in_the_dsn_is_for_sasl_and_one_in_a_string_signs_tokens() {
    let plain = parse("amqps://Root:s3cret@ns.servicebus.windows.net/orders").unwrap();
    assert_eq!(plain.access, Access::Sasl);
    assert_eq!(
        (plain.vhost, plain.entity.as_deref()),
        (None, Some("orders"))
    );
    let signs = parse(&format!("{STRING};EntityPath=orders")).unwrap();
    assert!(signs.access.is_by_token());
    assert_eq!(signs.entity.as_deref(), Some("orders"));
    assert!(signs.credentials.is_none());
}

#[test]
fn the_option_dialect_makes_any_broker_service_bus() {
    let query = "amqp://h?dialect=servicebus";
    let (address, options) = split_query(query).unwrap();
    let options = QueueOptions::default().apply("DSN", &options).unwrap();
    let endpoint = Endpoint::parse(address, &options).unwrap();
    assert_eq!(endpoint.dialect, DialectOption::ServiceBus);
    assert_eq!(endpoint.access, Access::Sasl);
}

#[test]
fn the_embedded_broker_speaks_service_bus_where_that_is_built_in() {
    let (address, options) = split_query("embedded://x?dialect=servicebus").unwrap();
    let options = QueueOptions::default().apply("DSN", &options).unwrap();
    let parsed = Endpoint::parse(address, &options);
    assert_eq!(parsed.is_ok(), cfg!(feature = "servicebus-emulator"));
    match parsed {
        Ok(endpoint) => assert_eq!(endpoint.dialect, DialectOption::ServiceBus),
        Err(error) => assert!(error.to_string().contains("servicebus-emulator"), "{error}"),
    }
}

#[test]
fn a_token_takes_the_place_of_a_key_only() {
    let sas = "SharedAccessSignature sr=sb&sig=s3cret&se=1893456000&skn=Root";
    let token = Input::Map(vec![("token".to_owned(), Input::Text(sas.to_owned()))]);
    let options = QueueOptions::default().apply("test", &token).unwrap();
    assert!(!format!("{options:?}").contains("s3cret"));
    let with = |dsn: &str| Endpoint::parse(dsn, &options);
    let endpoint = with("sb://ns.servicebus.windows.net/orders").unwrap();
    assert_eq!(endpoint.access, Access::Token(sas.to_owned()));
    let endpoint = with("Endpoint=sb://ns.servicebus.windows.net/").unwrap();
    assert_eq!(endpoint.access, Access::Token(sas.to_owned()));
    for dsn in [STRING, "amqp://h", "sb://Root:key@ns"] {
        let error = with(dsn).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Config);
        assert!(!error.message().contains("s3cret"), "{error}");
    }
}
