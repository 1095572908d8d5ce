//! Decimal floating point as text: for decimals from .NET's and Python's SDKs for Service Bus.
//!
//! AMQP uses the encodings of IEEE 754-2008 with a binary integer as coefficient.

/// The positions of an encoding's parts.
struct Layout {
    bits: u32,
    exponent_bits: u32,
    bias: i32,
    largest: u128,
}

const LAYOUTS: [Layout; 3] = [
    Layout {
        bits: 32,
        exponent_bits: 8,
        bias: 101,
        largest: 9_999_999,
    },
    Layout {
        bits: 64,
        exponent_bits: 10,
        bias: 398,
        largest: 9_999_999_999_999_999,
    },
    Layout {
        bits: 128,
        exponent_bits: 14,
        bias: 6176,
        largest: 9_999_999_999_999_999_999_999_999_999_999_999,
    },
];

/// In the notation of Java, Python and SQL: `12.50`, `-0.001`, `1E+30`, `NaN`. Empty if the bytes
/// are not a decimal.
pub(super) fn text(bytes: &[u8]) -> String {
    let Some(layout) = LAYOUTS
        .iter()
        .find(|of| of.bits as usize == bytes.len() * 8)
    else {
        return String::new();
    };
    let value = bytes
        .iter()
        .fold(0u128, |value, byte| value << 8 | u128::from(*byte));
    let sign = if value >> (layout.bits - 1) == 1 {
        "-"
    } else {
        ""
    };
    let from = |low: u32, count: u32| (value >> low) & ((1 << count) - 1);
    let coefficient_bits = layout.bits - 1 - layout.exponent_bits;
    let (exponent, coefficient) = match from(layout.bits - 6, 5) {
        0b11111 => return "NaN".to_owned(),
        0b11110 => return format!("{sign}Infinity"),
        // The exponent is two bits further down, and the coefficient's leading bits are implicit.
        0b11000.. => (
            from(coefficient_bits - 2, layout.exponent_bits),
            0b100 << (coefficient_bits - 2) | from(0, coefficient_bits - 2),
        ),
        _ => (
            from(coefficient_bits, layout.exponent_bits),
            from(0, coefficient_bits),
        ),
    };
    // A larger coefficient is not canonical and means zero.
    let coefficient = if coefficient > layout.largest {
        0
    } else {
        coefficient
    };
    // At most fourteen bits.
    let exponent = i32::try_from(exponent).unwrap_or(i32::MAX) - layout.bias;
    format!("{sign}{}", written(&coefficient.to_string(), exponent))
}

/// `digits` × 10^`exponent`: plain if that needs no extra digits and few zeros.
fn written(digits: &str, exponent: i32) -> String {
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let adjusted = exponent + count - 1;
    if exponent > 0 || adjusted < -6 {
        let (first, others) = digits.split_at(1);
        let point = if others.is_empty() { "" } else { "." };
        return format!("{first}{point}{others}E{adjusted:+}");
    }
    let after = exponent.unsigned_abs() as usize;
    if after == 0 {
        return digits.to_owned();
    }
    let padded = format!("{digits:0>width$}", width = after + 1);
    let (whole, part) = padded.split_at(padded.len() - after);
    format!("{whole}.{part}")
}

#[cfg(test)]
mod tests {
    use super::text;

    fn wide(sign: u128, coefficient: u128, exponent: i32) -> String {
        let biased = (exponent + 6176) as u128;
        text(&(sign << 127 | biased << 113 | coefficient).to_be_bytes())
    }

    #[test]
    fn decimals_are_written_as_their_producers_write_them() {
        for (sign, coefficient, exponent, expected) in [
            (0, 1250, -2, "12.50"),
            (1, 1, -3, "-0.001"),
            (0, 0, 0, "0"),
            (0, 0, -2, "0.00"),
            (0, 42, 0, "42"),
            (0, 1, 30, "1E+30"),
            (1, 125, 3, "-1.25E+5"),
            (0, 1, -6, "0.000001"),
            (0, 1, -7, "1E-7"),
            (
                0,
                10u128.pow(34) - 1,
                0,
                "9999999999999999999999999999999999",
            ),
            (0, 10u128.pow(34), 0, "0"),
        ] {
            assert_eq!(wide(sign, coefficient, exponent), expected);
        }
    }

    #[test]
    fn narrower_ones_infinity_and_what_is_no_number() {
        let of = |value: u32| text(&value.to_be_bytes());
        assert_eq!(of(101 << 23 | 7), "7");
        assert_eq!(of(99 << 23 | 1250), "12.50");
        // The coefficient's leading bits are implicit: 0b100 before 21 bits.
        assert_eq!(of(0b11 << 29 | 101 << 21), "8388608");
        assert_eq!(text(&(398u64 << 53 | 5).to_be_bytes()), "5");
        assert_eq!(of(0b11111 << 26), "NaN");
        assert_eq!(of(0b1_11110 << 26), "-Infinity");
        assert_eq!(text(&(0b11110u128 << 122).to_be_bytes()), "Infinity");
        assert_eq!(text(&[1, 2, 3]), "");
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for length in [4, 8, 16] {
            for byte in 0..=255u8 {
                for last in [0, 127, 255] {
                    let mut bytes = vec![last; length];
                    bytes[0] = byte;
                    assert!(!text(&bytes).is_empty());
                }
            }
        }
    }
}
