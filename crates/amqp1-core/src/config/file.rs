//! Configuration files, parsed only when they have changed.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::base::per_process::PerProcess;
use crate::config::{json, yaml};
use crate::error::{Error, Result};
use crate::settings::input::Input;

/// Larger files are refused.
const MAX_SIZE: u64 = 1 << 20;

/// The number of parsed files that are kept.
const KEPT: usize = 16;

/// A file changed this recently may change again within the same tick of its clock.
const SETTLED: Duration = Duration::from_secs(2);

/// php-fpm loads the same file in every request.
static PARSED: PerProcess<Vec<(Identity, Arc<Input>)>> = PerProcess::new();

/// Properties that change when a file does.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    path: PathBuf,
    size: u64,
    modified: SystemTime,
    inode: u64,
    device: u64,
}

/// The file's values, before variables are expanded.
///
/// # Errors
/// [`crate::ErrorKind::Config`] with the path, and with the problem and its position.
pub(super) fn read(path: &str) -> Result<Arc<Input>> {
    let wrong = |what: &str| Error::config(format!("{}: {what}", shown(path)));
    if path.is_empty() {
        return Err(Error::config("the path of the configuration is empty"));
    }
    // The message does not repeat an address, which may contain a password.
    if path.contains("://") {
        return Err(Error::config(
            "expected the path of a YAML or JSON file, got an address; pass it to AmqpQueue, or as amqp1.addr in an array",
        ));
    }
    if path.contains(['\0', '\n']) || path.trim_start().starts_with('{') {
        return Err(Error::config(
            "expected the path of a YAML or JSON file, got what looks like its content; pass an array instead",
        ));
    }
    let failed = |error: &std::io::Error| wrong(&format!("cannot be read: {error}"));
    let absolute = std::path::absolute(path).map_err(|error| failed(&error))?;
    // Checked before it is opened, because opening a pipe would wait for its writer.
    let found = identity(
        absolute,
        &fs::metadata(path).map_err(|error| failed(&error))?,
    )
    .ok_or_else(|| wrong("is not a file"))?;
    let known = with_parsed(|parsed| {
        let known = parsed.iter().find(|(known, _)| *known == found);
        known.map(|(_, input)| Arc::clone(input))
    });
    if let Some(input) = known {
        return Ok(input);
    }
    if found.size > MAX_SIZE {
        return Err(wrong("is larger than 1 MiB"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| failed(&error))?;
    let mut limited = file.take(MAX_SIZE + 1);
    limited
        .read_to_end(&mut bytes)
        .map_err(|error| failed(&error))?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(wrong("is larger than 1 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8 text"))?;
    let input = parse(path, &text).map_err(|error| error.context(shown(path)))?;
    let input = Arc::new(input);
    keep(found, &input);
    Ok(input)
}

fn with_parsed<T>(work: impl FnOnce(&mut Vec<(Identity, Arc<Input>)>) -> T) -> T {
    PARSED.with(|parents| parents.cloned().unwrap_or_default(), work)
}

fn identity(path: PathBuf, metadata: &fs::Metadata) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    metadata.is_file().then(|| Identity {
        path,
        size: metadata.len(),
        modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        inode: metadata.ino(),
        device: metadata.dev(),
    })
}

fn keep(found: Identity, input: &Arc<Input>) {
    let settled = found
        .modified
        .elapsed()
        .is_ok_and(|elapsed| elapsed > SETTLED);
    with_parsed(|parsed| {
        parsed.retain(|(known, _)| known.path != found.path);
        if settled {
            if parsed.len() == KEPT {
                parsed.remove(0);
            }
            parsed.push((found, Arc::clone(input)));
        }
    });
}

/// Shortened, because the value may not be a path at all.
fn shown(path: &str) -> String {
    path.chars().take(200).collect()
}

/// The format depends on the name's extension, or else on the first character.
pub(super) fn parse(path: &str, text: &str) -> Result<Input> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let extension = Path::new(path).extension().and_then(|e| e.to_str());
    match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("json") => json::parse(text),
        Some("yaml" | "yml") => yaml::parse(text),
        _ if text.trim_start().starts_with('{') => json::parse(text),
        _ => yaml::parse(text),
    }
}
