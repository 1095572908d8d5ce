//! The iterator of `foreach ($jobs as $name => $queue)`.

use ext_php_rs::boxed::ZBox;
use ext_php_rs::convert::IntoZval;
use ext_php_rs::flags::DataType;
use ext_php_rs::types::{ZendHashTable, ZendObject, Zval};
use ext_php_rs::zend::ClassEntry;

use crate::engine::guarded;
use crate::fail::Fail;

/// An `ArrayIterator`, declared as the common interface of iterators.
#[derive(Debug)]
pub struct Pipelines(Zval);

impl IntoZval for Pipelines {
    const TYPE: DataType = DataType::object("Iterator");
    const NULLABLE: bool = false;

    fn set_zval(self, zval: &mut Zval, _: bool) -> ext_php_rs::error::Result<()> {
        *zval = self.0;
        Ok(())
    }
}

impl Pipelines {
    /// Iterates over an array of name => queue.
    ///
    /// # Errors
    /// If PHP refuses it.
    pub fn of(array: ZBox<ZendHashTable>) -> Result<Self, Fail> {
        let Some(class) = ClassEntry::try_find("ArrayIterator") else {
            return Err(Fail::config("PHP has no ArrayIterator"));
        };
        let mut values = Zval::new();
        values.set_hashtable(array);
        let object = ZendObject::new(class);
        guarded(|| object.try_call_method("__construct", vec![&values]))?
            .map_err(Fail::internal)?;
        object.into_zval(false).map(Self).map_err(Fail::internal)
    }
}
