//! `Amqp1\setObserver()`.

use ext_php_rs::builders::FunctionBuilder;
use ext_php_rs::convert::{FromZval, IntoZval};
use ext_php_rs::flags::DataType;
use ext_php_rs::prelude::*;
use ext_php_rs::types::Zval;

use super::observer;
use crate::call::run;
use crate::callbacks::observers;
use crate::convert::Parameter;

/// `?Observer`, as a parameter.
#[derive(Debug, Clone, Copy)]
pub struct OptionalObserver<'a>(Option<&'a Zval>);

impl<'a> FromZval<'a> for OptionalObserver<'a> {
    const TYPE: DataType = DataType::object("Amqp1\\Observer");
    const NULLABLE: bool = true;

    fn from_zval(zval: &'a Zval) -> Option<Self> {
        Some(Self(Some(zval)))
    }

    fn from_missing() -> Option<Self> {
        Some(Self(None))
    }
}

/// `?Observer`, returned.
#[derive(Debug)]
pub struct Earlier(Option<Zval>);

impl IntoZval for Earlier {
    const TYPE: DataType = DataType::object("Amqp1\\Observer");
    const NULLABLE: bool = true;

    fn set_zval(self, zval: &mut Zval, _: bool) -> ext_php_rs::error::Result<()> {
        *zval = self.0.unwrap_or_default();
        Ok(())
    }
}

/// [`set_observer`] for the module.
pub fn set_observer_function() -> FunctionBuilder<'static> {
    wrap_function!(set_observer)
}

/// Sets the observer of this process; returns the one before.
#[php_function]
#[php(name = "Amqp1\\setObserver")]
pub fn set_observer(observer: OptionalObserver<'_>) -> PhpResult<Earlier> {
    run(|| {
        let given = observer.0.map(Zval::dereference);
        let given = given.filter(|given| !given.is_null());
        if given.is_some_and(|given| !observer::is_one(given)) {
            let parameter = Parameter::of("setObserver()", 1, "observer", "?Amqp1\\Observer");
            return Err(parameter.wrong_type(given));
        }
        Ok(Earlier(observers::set(given)))
    })
}
