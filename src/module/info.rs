//! The output of `php --ri amqp1` and `phpinfo()`.

use std::ffi::CString;
use std::panic::{catch_unwind, AssertUnwindSafe};

use ext_php_rs::ffi::{
    php_info_print_table_end, php_info_print_table_header, php_info_print_table_row,
    php_info_print_table_start,
};
use ext_php_rs::zend::ModuleEntry;

extern "C" {
    fn display_ini_entries(module: *mut ModuleEntry);
}

/// The module's information function. It starts neither threads nor connections.
pub extern "C" fn info(module: *mut ModuleEntry) {
    // A panic must not cross into C.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let pool = amqp1_core::pool_info();
        table(|| {
            header("amqp1", "enabled");
            row("Version", env!("CARGO_PKG_VERSION"));
            for (library, version) in amqp1_core::LIBRARY_VERSIONS {
                row(library, version);
            }
            row(
                "Runtime",
                if pool.runtime_started {
                    "started in this process"
                } else {
                    "not started in this process"
                },
            );
            let config = crate::settings::configuration::default_path()
                .ok()
                .flatten();
            row("Configuration file", config.as_deref().unwrap_or("none"));
            row("Pooled connections", &pool.connections.len().to_string());
            for connection in &pool.connections {
                let facts = format!(
                    "{}, {}, {} sessions",
                    connection.role, connection.state, connection.sessions
                );
                row(&connection.endpoint, &facts);
            }
        });
        // SAFETY: the engine's own module entry, as it was passed to us.
        unsafe { display_ini_entries(module) };
    }));
}

fn table(rows: impl FnOnce()) {
    // SAFETY: plain output functions, called while PHP asks for the information.
    unsafe { php_info_print_table_start() };
    rows();
    // SAFETY: as above.
    unsafe { php_info_print_table_end() };
}

fn header(left: &str, right: &str) {
    let (left, right) = (text(left), text(right));
    // SAFETY: variadic; receives the number of NUL-terminated strings that follow.
    unsafe { php_info_print_table_header(2, left.as_ptr(), right.as_ptr()) };
}

fn row(left: &str, right: &str) {
    let (left, right) = (text(left), text(right));
    // SAFETY: variadic; receives the number of NUL-terminated strings that follow.
    unsafe { php_info_print_table_row(2, left.as_ptr(), right.as_ptr()) };
}

fn text(value: &str) -> CString {
    CString::new(value).unwrap_or_default()
}
