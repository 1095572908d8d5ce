//! `Amqp1\Testing\advanceClock()`.

use ext_php_rs::builders::FunctionBuilder;
use ext_php_rs::prelude::*;

use crate::call::run;
use crate::convert::args::Seconds;
use crate::convert::Parameter;

/// [`advance_clock`] for the module.
pub fn advance_clock_function() -> FunctionBuilder<'static> {
    wrap_function!(advance_clock)
}

/// Moves the clock of the embedded brokers of this process.
#[php_function]
#[php(name = "Amqp1\\Testing\\advanceClock")]
pub fn advance_clock(seconds: Seconds<'_>) -> PhpResult<()> {
    run(|| {
        let parameter = Parameter::of("Testing\\advanceClock()", 1, "seconds", "float");
        let by = match seconds.get() {
            Some(seconds) => parameter.seconds(seconds)?,
            None => return Err(parameter.wrong_type(None)),
        };
        Ok(amqp1_core::advance_clock(by)?)
    })
}
