//! The return values of `stats()` and `getBroker()`.

use amqp1_core::queue::{BrokerInfo, QueueStats};
use ext_php_rs::boxed::ZBox;
use ext_php_rs::types::{ZendHashTable, Zval};

use crate::fail::Fail;

/// A count as a PHP integer.
pub fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The figures as a PHP array.
///
/// # Errors
/// If PHP refuses them.
pub fn figures(stats: &QueueStats) -> Result<ZBox<ZendHashTable>, Fail> {
    let mut array = ZendHashTable::new();
    let counts = [
        ("active", Some(stats.active)),
        ("delayed", stats.delayed),
        ("ready", Some(stats.ready)),
        ("reserved", stats.reserved),
        ("consumers", stats.consumers),
    ];
    for (name, count) in counts {
        array
            .insert(name, count.map(integer))
            .map_err(Fail::internal)?;
    }
    array
        .insert("broker", broker(&stats.broker)?)
        .map_err(Fail::internal)?;
    Ok(array)
}

/// Information about the broker as a PHP array.
///
/// # Errors
/// If PHP refuses it.
pub fn broker(info: &BrokerInfo) -> Result<ZBox<ZendHashTable>, Fail> {
    let mut array = ZendHashTable::new();
    let fields = [
        ("dialect", &info.dialect),
        ("product", &info.product),
        ("version", &info.version),
    ];
    for (name, value) in fields {
        array.insert(name, value.as_str()).map_err(Fail::internal)?;
    }
    let longest = info.longest_job.map(|limit| limit.as_secs_f64());
    array
        .insert("longest_job", longest)
        .map_err(Fail::internal)?;
    Ok(array)
}

/// An array with the keys of figures: those that are unavailable, and why.
///
/// # Errors
/// If PHP refuses them.
pub fn no_figures(error: &str) -> Result<ZBox<ZendHashTable>, Fail> {
    let mut array = ZendHashTable::new();
    for name in [
        "active",
        "delayed",
        "ready",
        "reserved",
        "consumers",
        "broker",
    ] {
        array.insert(name, Zval::null()).map_err(Fail::internal)?;
    }
    array.insert("error", error).map_err(Fail::internal)?;
    Ok(array)
}
