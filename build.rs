//! Sets how the extension is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // PHP unloads its extensions before the process ends. One of our threads may then still be
        // in a system call (waiting for a name server, for example), after the shutdown has stopped
        // waiting for it. When the call returns, its code must still be there.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
