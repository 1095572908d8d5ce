//! The parameters of our methods: their types for reflection, and their zvals.
//!
//! ext-php-rs refuses `"5"` for an int and an int for a string. Therefore each parameter declares
//! its PHP type here and accepts any zval. The method converts it as PHP does in weak mode, with
//! our own messages.

use amqp1_core::Input;
use ext_php_rs::convert::{FromZval, StubLiteral};
use ext_php_rs::flags::DataType;
use ext_php_rs::types::Zval;

macro_rules! parameters {
    ($($(#[$doc:meta])* $name:ident: $type:expr, nullable: $nullable:literal $(, default: $default:literal)?;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $name<'a>(Option<&'a Zval>);

            impl<'a> $name<'a> {
                /// The value; `None` if it was omitted, or if it is null and null is the default.
                pub fn get(self) -> Option<&'a Zval> {
                    let null_is_default = $nullable $(&& $default.is_empty())?;
                    self.0.filter(|value| !(null_is_default && value.is_null()))
                }
            }

            impl<'a> FromZval<'a> for $name<'a> {
                const TYPE: DataType = $type;
                const NULLABLE: bool = $nullable;

                fn from_zval(zval: &'a Zval) -> Option<Self> {
                    Some(Self(Some(zval)))
                }

                fn from_missing() -> Option<Self> {
                    $nullable.then_some(Self(None))
                }
            }

            $(
                impl From<Omitted> for $name<'_> {
                    fn from(_: Omitted) -> Self {
                        Self(None)
                    }
                }

                impl StubLiteral for $name<'_> {
                    fn stub_literal(&self) -> String {
                        $default.to_owned()
                    }
                }
            )?
        )*
    };
}

/// Marks a parameter whose default is not null.
#[derive(Debug, Clone, Copy)]
pub struct Omitted;

parameters! {
    /// `string`.
    Text: DataType::String, nullable: false;
    /// `?string`, null by default.
    OptionalText: DataType::String, nullable: true;
    /// `mixed`.
    Value: DataType::Mixed, nullable: false;
    /// `DateTimeInterface|int|float`. The numbers are added by `module::signatures`.
    When: DataType::object("DateTimeInterface"), nullable: false;
    /// `mixed`, null by default.
    Mixed: DataType::Mixed, nullable: true;
    /// `array`, empty by default. Nullable only for ext-php-rs, see `module::signatures`.
    Options: DataType::Array, nullable: true, default: "[]";
    /// `array`.
    Pipeline: DataType::Array, nullable: false;
    /// `?array`, null by default.
    Ids: DataType::Array, nullable: true;
    /// `iterable`.
    Jobs: DataType::Iterable, nullable: false;
    /// `int`.
    Int: DataType::Long, nullable: false;
    /// `array|int`. `int` is added by `module::signatures`.
    Numbers: DataType::Array, nullable: false;
    /// `?int`, null by default.
    OptionalInt: DataType::Long, nullable: true;
    /// `int`, 10 by default.
    Most: DataType::Long, nullable: true, default: "10";
    /// `int`, 0 by default.
    First: DataType::Long, nullable: true, default: "0";
    /// `?callable`, null by default.
    OptionalCallable: DataType::Callable, nullable: true;
    /// `?bool`, null by default.
    OptionalBool: DataType::Bool, nullable: true;
    /// `?float`, null by default: seconds.
    OptionalSeconds: DataType::Double, nullable: true;
    /// `float`: seconds.
    Seconds: DataType::Double, nullable: false;
    /// `?float`, 0.0 by default: seconds.
    Patience: DataType::Double, nullable: true, default: "0.0";
    /// `int|float`, 0 by default: seconds. `int` is added by `module::signatures`.
    Delay: DataType::Double, nullable: true, default: "0";
    /// `AmqpQueue|Jobs|array|null`, null by default. `array` is added by `module::signatures`.
    Queues: DataType::object("Amqp1\\AmqpQueue|Amqp1\\Jobs"), nullable: true;
    /// `array|string|null`, null by default. `array` is added by `module::signatures`.
    Configuration: DataType::String, nullable: true;
    /// `Stringable|Throwable|string|null`, null by default. `string` is added by `module::signatures`.
    Cause: DataType::object("Stringable|Throwable"), nullable: true;
    /// `Throwable|string`. `string` is added by `module::signatures`.
    Reason: DataType::object("Throwable"), nullable: false;
}

/// The input of an omitted parameter: an empty array of options.
pub const NO_OPTIONS: Input = Input::Map(Vec::new());
