//! ISO 8601 durations: `PT1M`, `P1DT12H`, `PT0.5S`.

use std::time::Duration;

/// `None` if invalid. Years and months are invalid because they have no fixed length.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let rest = text.strip_prefix('P')?;
    let (date, time) = match rest.split_once('T') {
        Some((date, time)) if !time.is_empty() => (date, time),
        Some(_) => return None,
        None => (rest, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let seconds = sum(date, &[('W', 604_800.0), ('D', 86_400.0)])?
        + sum(time, &[('H', 3600.0), ('M', 60.0), ('S', 1.0)])?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Adds up numbers with units, which must be in the order of `units`.
fn sum(mut text: &str, units: &[(char, f64)]) -> Option<f64> {
    let mut total = 0.0;
    for (unit, seconds) in units {
        if let Some((number, rest)) = text.split_once(*unit) {
            let is_number = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            total += number.parse::<f64>().ok().filter(|_| is_number)? * seconds;
            text = rest;
        }
    }
    text.is_empty().then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        let ms = |text| parse(text).map(|d| d.as_millis());
        assert_eq!(ms("PT1M"), Some(60_000));
        assert_eq!(ms("PT0.5S"), Some(500));
        assert_eq!(ms("P1DT1H1M1S"), Some(90_061_000));
        assert_eq!(ms("P14D"), Some(1_209_600_000));
        // The service's value for "unlimited".
        assert!(ms("P10675199DT2H48M5.4775807S").is_some());
        for wrong in [
            "", "P", "PT", "1M", "PT1", "PTM", "PT1S1M", "P1Y", "PT-1S", "PT1e3S",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
