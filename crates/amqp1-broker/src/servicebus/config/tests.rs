//! A file as in Microsoft's documentation.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

const CONFIG: &str = r#"{
  "UserConfig": {
    "Namespaces": [{
      "Name": "sbemulatorns",
      "Queues": [{
        "Name": "queue.1",
        "Properties": {
          "DeadLetteringOnMessageExpiration": false,
          "DefaultMessageTimeToLive": "PT1H",
          "DuplicateDetectionHistoryTimeWindow": "PT20S",
          "ForwardDeadLetteredMessagesTo": "",
          "ForwardTo": "",
          "LockDuration": "PT1M",
          "MaxDeliveryCount": 3,
          "RequiresDuplicateDetection": true,
          "RequiresSession": false
        }
      }, {"Name": "plain"}],
      "Topics": [{
        "Name": "topic.1",
        "Properties": {
          "DefaultMessageTimeToLive": "PT1H",
          "DuplicateDetectionHistoryTimeWindow": "PT20S",
          "RequiresDuplicateDetection": false
        },
        "Subscriptions": [{
          "Name": "subscription.1",
          "Properties": {
            "DeadLetteringOnMessageExpiration": true,
            "DefaultMessageTimeToLive": "PT1H",
            "LockDuration": "PT30S",
            "MaxDeliveryCount": 3,
            "ForwardDeadLetteredMessagesTo": "",
            "ForwardTo": "queue.1",
            "RequiresSession": false
          },
          "Rules": [{
            "Name": "app-prop-filter-1",
            "Properties": {
              "FilterType": "Correlation",
              "CorrelationFilter": {
                "ContentType": "application/json",
                "CorrelationId": "id1",
                "Label": "subject1",
                "Properties": {"n": 5}
              }
            }
          }]
        }, {"Name": "subscription.2", "Rules": [{
            "Name": "sql",
            "Properties": {"FilterType": "Sql", "SqlFilter": {"SqlExpression": "sys.To = 'x'"},
                           "Action": {"SqlExpression": "SET sys.To = 'Entity'"}}
        }]}, {"Name": "subscription.3"}]
      }]
    }],
    "Logging": {"Type": "File"}
  }
}"#;

#[test]
fn the_emulators_file_is_read() {
    let mut settings = ServiceBus::strict();
    settings.add_config(CONFIG).unwrap();
    let (name, queue) = &settings.queues[0];
    assert_eq!(name, "queue.1");
    assert_eq!(
        *queue,
        QueueSettings {
            lock_duration: Duration::from_secs(60),
            max_delivery_count: 3,
            default_ttl: Some(Duration::from_secs(3600)),
            duplicate_detection: Some(Duration::from_secs(20)),
            ..QueueSettings::default()
        }
    );
    let plain = &settings.queues[1].1;
    assert_eq!(
        plain.max_delivery_count, 3,
        "the emulator's, not the service's"
    );
    let (name, topic) = &settings.topics[0];
    assert_eq!(
        (name.as_str(), topic.duplicate_detection),
        ("topic.1", None)
    );
    let [first, second, third] = &topic.subscriptions[..] else {
        panic!("{topic:?}");
    };
    assert_eq!(first.queue.forward_to.as_deref(), Some("queue.1"));
    let Rule::Correlation(filter) = &first.rules[0].filter else {
        panic!("{first:?}");
    };
    assert_eq!(filter.subject.as_deref(), Some("subject1"));
    assert_eq!(filter.properties, [("n".to_owned(), "5".into())]);
    assert!(matches!(&second.rules[0].filter, Rule::Correlation(f) if f.to.is_some()));
    assert_eq!(second.rules[0].changes.len(), 1);
    assert_eq!(third.rules, [NamedRule::new("$Default", Rule::True)]);
}

#[test]
fn what_is_wrong_is_named() {
    let error = |from: &str, to: &str| {
        let json = CONFIG.replacen(from, to, 1);
        ServiceBus::strict().add_config(&json).unwrap_err()
    };
    assert!(error("PT1M", "1 minute").contains("queue 'queue.1': LockDuration: '1 minute'"));
    assert!(error("sys.To = 'x'", "a > 5").contains("rule 'sql'"));
    assert!(error("\"MaxDeliveryCount\": 3", "\"MaxDeliveryCount\": 0").contains("MaxDelivery"));
    assert!(error("UserConfig", "X").contains("UserConfig"));
    assert!(error("PT1M", "PT0S").contains("LockDuration: 'PT0S'"));
    assert!(error("\"plain\"", "\"QUEUE.1\"").contains("queue 'QUEUE.1': Name: there is another"));
    assert!(error("\"topic.1\"", "\"queue.1\"").contains("topic 'queue.1': Name"));
    assert!(error("\"plain\"", "\"\"").contains("must not be empty"));
    assert!(error("\"subscription.2\"", "\"subscription.1\"").contains("Name"));
}

#[test]
fn a_forward_leads_somewhere() {
    let check = |to: &str| {
        let mut settings = ServiceBus::strict();
        settings.add_config(CONFIG).unwrap();
        let queue = &mut settings.topics[0].1.subscriptions[0].queue;
        queue.forward_dead_letters_to = Some(to.to_owned());
        settings.check_forwards()
    };
    assert_eq!(check("QUEUE.1"), Ok(()));
    assert_eq!(check("Topic.1"), Ok(()));
    let error = check("queue.2").unwrap_err();
    assert!(
        error.contains("subscription.1") && error.contains("'queue.2'"),
        "{error}"
    );
}
