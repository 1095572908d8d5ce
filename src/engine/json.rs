//! PHP's own JSON encoder and decoder, called directly instead of through PHP functions.

use std::ffi::{c_char, c_int};
use std::sync::OnceLock;

use amqp1_core::Error;
use ext_php_rs::boxed::ZBox;
use ext_php_rs::types::{ZendLong, ZendStr, Zval};

use crate::engine;
use crate::fail::Fail;

/// `smart_str` of `zend_smart_str_public.h`.
#[repr(C)]
struct SmartStr {
    string: *mut ZendStr,
    allocated: usize,
}

extern "C" {
    fn php_json_encode_ex(
        buffer: *mut SmartStr,
        value: *mut Zval,
        options: c_int,
        depth: ZendLong,
    ) -> c_int;
    fn php_json_decode_ex(
        value: *mut Zval,
        json: *const c_char,
        length: usize,
        options: ZendLong,
        depth: ZendLong,
    ) -> c_int;
}

/// `JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_PRESERVE_ZERO_FRACTION`.
const ENCODE: c_int = (1 << 6) | (1 << 8) | (1 << 10);
/// `JSON_OBJECT_AS_ARRAY`.
const DECODE: ZendLong = 1;
/// PHP's own default.
const DEPTH: ZendLong = 512;
const SUCCESS: c_int = 0;

/// Encodes any value as JSON, like `json_encode`.
///
/// # Errors
/// A serialization failure with PHP's message; [`Fail::Pending`] if a `JsonSerializable` threw.
pub fn encode(value: &Zval, method: &dyn std::fmt::Display) -> Result<Option<ZBox<ZendStr>>, Fail> {
    let mut buffer = SmartStr {
        string: std::ptr::null_mut(),
        allocated: 0,
    };
    let target = &raw mut buffer;
    // SAFETY: the buffer outlives the call; the encoder reads the value, which the caller holds,
    // and may run `jsonSerialize()`, hence the guard.
    let encoded = engine::guarded(|| unsafe {
        php_json_encode_ex(target, std::ptr::from_ref(value).cast_mut(), ENCODE, DEPTH)
    });
    if matches!(encoded, Err(Fail::Bailout)) {
        // The whole request memory will be freed, and the buffer may be incomplete.
        return Err(Fail::Bailout);
    }
    // SAFETY: null or a string that the encoder made and we own, whatever the result.
    let json = (!buffer.string.is_null()).then(|| unsafe { ZBox::from_raw(buffer.string) });
    match encoded? {
        // For NAN and INF, the encoder only sets the error code.
        SUCCESS if error_code() == 0 => Ok(json),
        _ => Err(Fail::Core(Error::serialization(format!(
            "{method}: the payload cannot be encoded as JSON: {}",
            last_error()
        )))),
    }
}

/// Decodes a JSON text, with objects as associative arrays.
///
/// # Errors
/// PHP's message about the invalid text.
pub fn decode(json: &[u8]) -> Result<Zval, String> {
    let mut value = Zval::new();
    // PHP's scanner needs a NUL after the text, which a zend_string has.
    let json = ZendStr::new(json, false);
    // SAFETY: the text outlives the call, which writes one zval and runs no PHP code.
    let status = unsafe {
        php_json_decode_ex(
            &raw mut value,
            json.as_bytes().as_ptr().cast(),
            json.len(),
            DECODE,
            DEPTH,
        )
    };
    match status {
        SUCCESS => Ok(value),
        _ => Err(last_error()),
    }
}

/// `JSON_G(error_code)`, which `php_json_encode_ex` has just set.
fn error_code() -> i64 {
    /// Address of `json_globals`; 0 in thread-safe PHP, which has one per thread.
    static GLOBALS: OnceLock<usize> = OnceLock::new();
    let globals = *GLOBALS.get_or_init(|| {
        // SAFETY: a look-up of a NUL-terminated name.
        unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"json_globals".as_ptr()) as usize }
    });
    if globals == 0 {
        return engine::call_internal("json_last_error")
            .and_then(|code| code.long())
            .unwrap_or_default();
    }
    // SAFETY: `zend_json_globals` of php_json.h: two ints and the error's enum.
    i64::from(unsafe { (*(globals as *const [c_int; 3]))[2] })
}

fn last_error() -> String {
    engine::call_internal("json_last_error_msg")
        .and_then(|message| message.string())
        .unwrap_or_else(|| "unknown error".to_owned())
}
