//! PHP strings as text.

use ext_php_rs::types::ZendStr;

/// The text of a PHP string; `None` if it is not UTF-8.
///
/// ext-php-rs looks for the engine's mark of valid UTF-8 first, which the strings of a job rarely
/// have. Most of them are short and ASCII.
#[inline]
pub fn text(string: &ZendStr) -> Option<&str> {
    let bytes = string.as_bytes();
    if bytes.is_ascii() {
        // SAFETY: ASCII is UTF-8.
        return Some(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    string.as_str().ok()
}
