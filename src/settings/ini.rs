//! The php.ini entries: `amqp1.timeout`, `amqp1.shutdown_timeout`, `amqp1.config`,
//! `amqp1.log`, `amqp1.log_level`.

use std::ffi::{c_int, c_void, CStr};
use std::time::Duration;

use amqp1_core::Level;
use ext_php_rs::error::php_error;
use ext_php_rs::ffi::zend_ini_entry;
use ext_php_rs::flags::{ErrorType, IniEntryPermission};
use ext_php_rs::types::ZendStr;
use ext_php_rs::zend::{IniEntryDef, IniEntryDefs};

extern "C" {
    fn zend_ini_string(
        name: *const libc::c_char,
        length: usize,
        original: c_int,
    ) -> *mut libc::c_char;
    fn zend_unregister_ini_entries(module_number: c_int);
}

const TIMEOUT: &CStr = c"amqp1.timeout";
const SHUTDOWN_TIMEOUT: &CStr = c"amqp1.shutdown_timeout";
const CONFIG: &CStr = c"amqp1.config";

const LOG: &CStr = c"amqp1.log";
const LOG_LEVEL: &CStr = c"amqp1.log_level";

static ENTRIES: IniEntryDefs<6> = IniEntryDefs::new([
    seconds(TIMEOUT, c"30", IniEntryPermission::All),
    // Read when the process ends, long after PHP has undone any ini_set().
    seconds(SHUTDOWN_TIMEOUT, c"2", IniEntryPermission::System),
    IniEntryDef::new(CONFIG, c"", IniEntryPermission::All),
    // Only the administrator may choose which file is written: it is not checked against
    // open_basedir, which a directory's own .user.ini must not get around.
    IniEntryDef::new(LOG, c"", IniEntryPermission::System),
    level_entry(),
    IniEntryDef::end(),
]);

const fn seconds(
    name: &'static CStr,
    default: &'static CStr,
    permission: IniEntryPermission,
) -> IniEntryDef {
    let mut entry = IniEntryDef::new(name, default, permission);
    entry.on_modify = Some(check_seconds);
    entry
}

const fn level_entry() -> IniEntryDef {
    let permission = IniEntryPermission::System.union(IniEntryPermission::PerDir);
    let mut entry = IniEntryDef::new(LOG_LEVEL, c"notice", permission);
    entry.on_modify = Some(check_level);
    entry
}

/// Registers the entries. Call it only at MINIT.
pub fn register(module_number: i32) {
    IniEntryDef::register(ENTRIES.as_slice(), module_number);
}

/// Removes the entries. Call it only at MSHUTDOWN, after the last read.
pub fn unregister(module_number: i32) {
    // SAFETY: the module's own number, once, after which nothing reads them.
    unsafe { zend_unregister_ini_entries(module_number) };
}

/// `amqp1.timeout`: the default deadline of each blocking call.
pub fn timeout() -> Duration {
    read(TIMEOUT, amqp1_core::options::DEFAULT_TIMEOUT)
}

/// `amqp1.shutdown_timeout`: how long the end of the process may wait for the broker.
pub fn shutdown_timeout() -> Duration {
    read(SHUTDOWN_TIMEOUT, Duration::from_secs(2))
}

/// `amqp1.config`: the path of the default configuration, unless it is empty.
pub fn config() -> Option<String> {
    let path = value(CONFIG, |value| String::from_utf8_lossy(value).into_owned());
    path.filter(|path| !path.is_empty())
}

/// `amqp1.log`: `stderr` or the path of a log file, unless it is empty.
pub fn log() -> Option<String> {
    let target = value(LOG, |value| String::from_utf8_lossy(value).into_owned());
    target.filter(|target| !target.is_empty())
}

/// `amqp1.log_level`: the lowest level that is logged there.
pub fn log_level() -> Level {
    let level = value(LOG_LEVEL, level_of).flatten();
    level.unwrap_or(Level::Notice)
}

fn level_of(value: &[u8]) -> Option<Level> {
    Level::named(std::str::from_utf8(value).ok()?)
}

fn read(name: &CStr, default: Duration) -> Duration {
    value(name, parse).flatten().unwrap_or(default)
}

fn value<T>(name: &CStr, read: impl FnOnce(&[u8]) -> T) -> Option<T> {
    // SAFETY: the name is copied; the value belongs to the entry and is read before anything can
    // change it.
    let value = unsafe {
        let value = zend_ini_string(name.as_ptr(), name.count_bytes(), 0);
        (!value.is_null()).then(|| CStr::from_ptr(value))
    };
    value.map(|value| read(value.to_bytes()))
}

fn parse(value: &[u8]) -> Option<Duration> {
    let seconds: f64 = std::str::from_utf8(value).ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Refuses any value but a level, as [`check_seconds`] does.
extern "C" fn check_level(
    _: *mut zend_ini_entry,
    new_value: *mut ZendStr,
    _: *mut c_void,
    _: *mut c_void,
    _: *mut c_void,
    _stage: c_int,
) -> c_int {
    // SAFETY: the engine passes a value or null.
    let value = unsafe { new_value.as_ref() }.map_or(&b""[..], ZendStr::as_bytes);
    if level_of(value).is_some() {
        return 0;
    }
    let levels = Level::ALL.map(Level::as_str).join(", ");
    let value = String::from_utf8_lossy(value);
    let message = format!("amqp1.log_level: expected one of {levels}, got '{value}'");
    php_error(&ErrorType::Warning, &message);
    -1
}

/// Refuses any value but a number of seconds. Then php.ini keeps the default, and `ini_set()`
/// returns false; both report the reason.
extern "C" fn check_seconds(
    entry: *mut zend_ini_entry,
    new_value: *mut ZendStr,
    _: *mut c_void,
    _: *mut c_void,
    _: *mut c_void,
    _stage: c_int,
) -> c_int {
    // SAFETY: the engine passes the entry, and a value or null.
    let (name, value) = unsafe {
        let name = entry.as_ref().and_then(|entry| entry.name.as_ref());
        (name, new_value.as_ref())
    };
    let value = value.map_or(&b""[..], ZendStr::as_bytes);
    if parse(value).is_some() {
        return 0;
    }
    let name = name.and_then(|name| name.as_str().ok()).unwrap_or("amqp1");
    let value = String::from_utf8_lossy(value);
    let message = format!("{name}: expected a number of seconds, zero or more, got '{value}'");
    php_error(&ErrorType::Warning, &message);
    -1
}
