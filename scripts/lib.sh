# shellcheck shell=bash
# Shared by the scripts. Source it: . "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
#
# Sets `top`, the checkout's folder, and defines the functions below.

top=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

# The header comment of a script is its help: print it from the second line to the end of the comment.
usage() {
    sed -n '2,/^[^#]/{/^#/!q;s/^# \{0,1\}//;p}' "$1"
}

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() {
    warn "${0##*/}: $*"
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# rustup installs cargo into a folder that is only in the PATH of new login shells.
if ! have cargo && [ -x "${CARGO_HOME:-${HOME:-/root}/.cargo}/bin/cargo" ]; then
    # shellcheck disable=SC2034  # scripts/deps reports it
    cargo_was_missing=yes
    PATH=$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin
fi

# Is version $2 at least $1?
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n1)" = "$1" ]; }

# Root, or sudo without a password (or with one, if there is a terminal)?
can_be_root() {
    [ "$(id -u)" -eq 0 ] && return 0
    have sudo || return 1
    sudo -n true 2>/dev/null || [ -t 0 ]
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# The built extension. AMQP1_EXTENSION names another one, for example a debug build.
extension() {
    printf '%s\n' "${AMQP1_EXTENSION:-${CARGO_TARGET_DIR:-$top/target}/release/libamqp1.so}"
}

broker_program() {
    printf '%s\n' "${CARGO_TARGET_DIR:-$top/target}/release/amqp1-broker"
}

# Does PHP load this library? If not, prints what PHP says. PHP's configuration is ignored, because amqp1 may be installed.
loads() { # LIBRARY [PHP]
    local said
    # shellcheck disable=SC2016  # PHP's variable
    said=$("${2:-${PHP:-php}}" -n -d display_errors=stderr -d display_startup_errors=1 -d "extension=$1" \
        -r 'exit(extension_loaded("amqp1") ? 0 : 3);' 2>&1) && return
    printf '%s\n' "${said:-PHP ends with status $? without a message}"
    return 1
}

# The Debian mirror that this machine uses.
mirror() {
    local found=${AMQP1_BROKER_MIRROR:-} file
    for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
        [ -n "$found" ] || [ ! -r "$file" ] || [ ! -e /etc/debian_version ] ||
            found=$(sed -nE 's,^(URIs: *|deb (\[[^]]*\] )?)(https?://[^ ]*/debian/?)( .*)?$,\3,p' "$file" | head -n1)
    done
    printf '%s\n' "${found:-http://deb.debian.org/debian}"
}

# Sets no_cache: PHPUnit's option for leaving no record of the run. Its name depends on the version.
without_cache() {
    local known option
    known=$(phpunit --help)
    no_cache=()
    for option in --do-not-record-test-run-history --do-not-cache-result; do
        if grep -q -- "$option" <<<"$known"; then
            # shellcheck disable=SC2034  # for the caller
            no_cache=("$option")
            return
        fi
    done
}

# Whole seconds since $1, itself from $SECONDS, as "2 min 05 s".
took() {
    local seconds=$((SECONDS - $1))
    if [ "$seconds" -ge 60 ]; then
        printf '%d min %02d s' $((seconds / 60)) $((seconds % 60))
    else
        printf '%d s' "$seconds"
    fi
}
