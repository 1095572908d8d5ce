//! How the extension is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // PHP unloads its extensions before the process ends. A thread of ours may
        // be in a system call then (a name server that does not answer), past the
        // time that the shutdown waits for it: it must find its code when it returns.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
