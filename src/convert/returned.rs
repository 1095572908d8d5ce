//! Return types that ext-php-rs lacks.

use ext_php_rs::boxed::ZBox;
use ext_php_rs::convert::IntoZval;
use ext_php_rs::flags::DataType;
use ext_php_rs::types::{ZendStr, Zval};

/// A string of any bytes.
#[derive(Debug)]
pub struct Bytes(ZBox<ZendStr>);

impl<T: AsRef<[u8]>> From<T> for Bytes {
    fn from(bytes: T) -> Self {
        Self(ZendStr::new(bytes, false))
    }
}

impl IntoZval for Bytes {
    const TYPE: DataType = DataType::String;
    const NULLABLE: bool = false;

    fn set_zval(self, zval: &mut Zval, _: bool) -> ext_php_rs::error::Result<()> {
        zval.set_zend_string(self.0);
        Ok(())
    }
}

/// A number that is an int in PHP if it is whole, otherwise a float. `module::signatures` completes
/// the return type `int|float`.
#[derive(Debug, Clone, Copy)]
pub struct Number(pub f64);

impl IntoZval for Number {
    const TYPE: DataType = DataType::Double;
    const NULLABLE: bool = false;

    fn set_zval(self, zval: &mut Zval, _: bool) -> ext_php_rs::error::Result<()> {
        if self.0.fract() == 0.0 && self.0.abs() < 9.0e15 {
            zval.set_long(self.0 as i64);
        } else {
            zval.set_double(self.0);
        }
        Ok(())
    }
}
