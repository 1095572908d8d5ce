//! Times of messages as PHP's dates.

use ext_php_rs::boxed::ZBox;
use ext_php_rs::convert::IntoZval;
use ext_php_rs::error::Error;
use ext_php_rs::flags::DataType;
use ext_php_rs::types::{ZendObject, Zval};
use ext_php_rs::zend::ClassEntry;

use crate::engine::guarded;
use crate::fail::Fail;

/// A `DateTimeImmutable`.
#[derive(Debug)]
pub struct Date(ZBox<ZendObject>);

impl Date {
    /// A time in Unix milliseconds, in UTC.
    ///
    /// # Errors
    /// If PHP refuses it, because the time is out of its range.
    pub fn of(milliseconds: i64) -> Result<Self, Fail> {
        const CLASS: &str = "DateTimeImmutable";
        let class = ClassEntry::try_find(CLASS)
            .ok_or(Error::InvalidPointer)
            .map_err(Fail::internal)?;
        let object = ZendObject::new(class);
        let (seconds, rest) = (milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000));
        // PHP reads the fraction of a negative number as negative, too.
        let time = match seconds {
            0.. => format!("@{seconds}.{rest:03}"),
            _ => format!("@{seconds}"),
        };
        guarded(|| object.try_call_method("__construct", vec![&time]))?.map_err(Fail::internal)?;
        Ok(Self(object))
    }
}

impl IntoZval for Date {
    const TYPE: DataType = DataType::object("DateTimeImmutable");
    const NULLABLE: bool = false;

    fn set_zval(self, zval: &mut Zval, persistent: bool) -> ext_php_rs::error::Result<()> {
        self.0.set_zval(zval, persistent)
    }
}
