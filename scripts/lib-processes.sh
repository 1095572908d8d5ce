# shellcheck shell=bash
# How the broker scripts know processes and ports. Source it after lib.sh; `node` is the folder of the broker that is
# meant, with its pid file.

# When process $1 began, in the kernel's ticks; nothing when it is gone or a zombie whose parent does not look.
start_time() {
    local stat fields
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    read -ra fields <<<"${stat##*) }"
    case ${fields[0]} in
    Z | X) ;;
    *) echo "${fields[19]}" ;;
    esac
}

# Sets pid and returns 0 when the node runs. The pid file holds the process's start time too, so that a stale one
# does not name a stranger.
is_running() {
    local since
    [ -r "${node:?}/pid" ] && read -r pid since <"$node/pid" || return 1
    [ -n "$since" ] && [ "$(start_time "$pid")" = "$since" ]
}

in_use() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Waits until the node is gone, for so many tenths of a second.
await_end() {
    local tries=$1
    while is_running; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.1
    done
}
