# shellcheck shell=bash
# Processes and ports of the broker scripts. Source it after lib.sh. `node` is the broker's folder, with its pid file.

# Prints when process $1 started, in the kernel's ticks. Prints nothing if it is gone, or a zombie.
start_time() {
    local stat fields
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    read -ra fields <<<"${stat##*) }"
    case ${fields[0]} in
    Z | X) ;;
    *) echo "${fields[19]}" ;;
    esac
}

# Sets pid and returns 0 if the node runs. The pid file also contains the process's start time, so that a stale file does not
# name another process.
is_running() {
    local since
    [ -r "${node:?}/pid" ] && read -r pid since <"$node/pid" || return 1
    [ -n "$since" ] && [ "$(start_time "$pid")" = "$since" ]
}

in_use() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Waits until the node is gone, for at most $1 tenths of a second.
await_end() {
    local tries=$1
    while is_running; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.1
    done
}
