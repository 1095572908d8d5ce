//! The differences between brokers: each has a wing, which the broker's `open` selects. No wing
//! names another.

mod activemq;
mod generic;
pub(crate) mod seams;
mod tools;

pub mod rabbitmq;
pub(crate) mod servicebus;

pub(crate) use self::seams::dialect::Dialect;
pub(crate) use self::seams::packing::Packing;
pub(crate) use self::seams::recipient::Recipient;
pub(crate) use self::seams::replies::Replies;
use crate::connection::Remote;
use crate::settings::endpoint::Endpoint;
use crate::settings::options::DialectOption;

/// The dialect of the connected broker.
pub(crate) fn detect(remote: &Remote, endpoint: &Endpoint) -> &'static dyn Dialect {
    if endpoint.dialect != DialectOption::Auto {
        return presumed(endpoint);
    }
    match remote.product.as_str() {
        "RabbitMQ" if remote.offers("LINK_PAIR_V1_0") => &rabbitmq::RabbitMq4,
        "RabbitMQ" => &rabbitmq::RabbitMq3,
        "apache-activemq-artemis" => &activemq::Artemis,
        "ActiveMQ" => &activemq::Classic,
        "amqp1-broker" => &rabbitmq::Embedded,
        _ => &generic::Generic,
    }
}

/// The dialect of a broker before the client has connected: its own if the endpoint determines it,
/// otherwise plain AMQP 1.0.
pub(crate) fn presumed(endpoint: &Endpoint) -> &'static dyn Dialect {
    match endpoint.dialect {
        DialectOption::Auto => &generic::Generic,
        DialectOption::ServiceBus => &servicebus::ServiceBus,
    }
}
