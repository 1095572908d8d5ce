//! Reads the locked versions of the libraries that `php --ri amqp1` names.

use std::path::Path;
use std::{env, fs};

const NAMED: [&str; 5] = ["fe2o3-amqp", "serde_amqp", "serde_json", "tokio", "rustls"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lock = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../Cargo.lock");
    println!("cargo:rerun-if-changed={}", lock.display());
    let text = fs::read_to_string(&lock)?;
    let mut pairs = Vec::new();
    for name in NAMED {
        let version = text
            .split("[[package]]")
            .find(|entry| entry.contains(&format!("name = \"{name}\"\n")))
            .and_then(|entry| entry.split("version = \"").nth(1)?.split('"').next())
            .ok_or_else(|| format!("Cargo.lock does not have {name}"))?;
        pairs.push(format!("({name:?}, {version:?})"));
    }
    let code = format!("[{}]", pairs.join(", "));
    fs::write(
        Path::new(&env::var("OUT_DIR")?).join("library_versions.rs"),
        code,
    )?;
    Ok(())
}
