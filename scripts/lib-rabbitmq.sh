# shellcheck shell=bash disable=SC2154
# Shared by scripts/brokers and scripts/cluster: unpacks RabbitMQ from Debian into a folder, and starts and stops nodes
# there. Source it after lib.sh.
#
# A script that sources this sets `state` and `arguments` and, for the node it works on, `version`, `suite`, `root` (the
# unpacked system) and `node` (the node's folder: conf, data, home, log, pid). It defines
#   node_environment  sets `environment`, the node's own variables, and `enter`, a command to run it through
#   answers           whether the node takes connections
#   holds_ports       whether one of the node's ports is in use
# and has a command `exec-node NAME`, for boot, that ends with exec_node.

. "$top/scripts/lib-processes.sh"

tell() { say "[$version] $*"; }

# Says why a broker is not available, and what to do.
refuse() {
    warn "[${version:-brokers}] $1"
    warn "Or use your own broker: AMQP1_TEST_RABBITMQ=amqp://user:password@host:5672/"
    exit 1
}

# Continues as root: starts the script again through sudo, with this project's variables.
need_root() {
    [ "$(id -u)" -eq 0 ] && return
    local variables=() name
    while read -r name; do variables+=("$name=${!name}"); done < <(compgen -e AMQP1_ || true)
    can_be_root || refuse "running RabbitMQ in its own folder needs root or sudo (you are $(id -un))"
    exec sudo env ${variables[@]+"${variables[@]}"} "PATH=$PATH" bash "$top/scripts/${0##*/}" "${arguments[@]}"
}

need_tools() {
    local version=brokers
    [ "$(uname -s)" = Linux ] || refuse "this needs Linux"
    local tool
    for tool in unshare setsid flock chroot mount openssl; do
        have "$tool" || refuse "$tool is missing; install it with scripts/deps rabbitmq"
    done
    local said own_mounts=() try=(--mount-proc)
    choose_own_mounts
    [ "${#own_mounts[@]}" -eq 1 ] || try=()
    said=$(unshare "${own_mounts[@]}" --pid --fork ${try[@]+"${try[@]}"} true 2>&1) ||
        refuse "this machine does not allow creating namespaces and mounts (a container without CAP_SYS_ADMIN?): $said"
}

# Sets own_mounts, unshare's options for mounts of our own. Where / is no mount point (a chroot, some containers) its
# propagation cannot be changed, and stays as it is.
choose_own_mounts() {
    own_mounts=(--mount)
    unshare --mount true 2>/dev/null || ! unshare --mount --propagation unchanged true 2>/dev/null ||
        own_mounts=(--mount --propagation unchanged)
}

# There, the unpacked system is made a mount point, and private: what is mounted below it is not seen elsewhere.
fence_off_root() {
    mountpoint -q "$root" || { mount --bind "$root" "$root" && mount --make-private "$root"; }
}

take_down_fence() {
    local own_mounts=()
    choose_own_mounts
    [ "${#own_mounts[@]}" -gt 1 ] || return 0
    while mountpoint -q "$root" 2>/dev/null; do umount "$root" || return 0; done
}

# --- the unpacked system --------------------------------------------------------------------------------------

rabbitmq_version() {
    local found
    found=$(compgen -G "$1/usr/lib/rabbitmq/lib/rabbitmq_server-*" | tail -n1)
    printf '%s\n' "${found##*-}"
}

unpack() {
    [ ! -e "$root/complete" ] || return 0
    have mmdebstrap || refuse "mmdebstrap is missing; install it with scripts/deps rabbitmq"
    local started=$SECONDS from log=$state/unpack-$suite.log new=$root.new name
    from=$(mirror)
    tell "unpacking RabbitMQ from Debian $suite ($from) …"
    rm -rf --one-file-system "$new" "$root"
    # The testing suite's Release file may have expired; its signature is checked all the same.
    if ! TMPDIR=$state mmdebstrap --variant=extract --mode=root \
        --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Retries "3"' \
        --include=rabbitmq-server,dash,coreutils,sed,grep,mawk,hostname "$suite" "$new" "$from" >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        rm -rf --one-file-system "$new"
        refuse "could not unpack Debian $suite from $from; see above and $log. To use another mirror, set AMQP1_BROKER_MIRROR"
    fi
    for name in bin sbin lib lib64; do
        [ -e "$new/$name" ] || [ ! -e "$new/usr/$name" ] || ln -s "usr/$name" "$new/$name"
    done
    mkdir -p "$new"/{proc,dev,root,tmp,run,srv}
    chmod 1777 "$new/tmp"
    ln -sf mawk "$new/usr/bin/awk"
    echo 'root:x:0:0:root:/root:/bin/sh' >"$new/etc/passwd"
    echo 'root:x:0:' >"$new/etc/group"
    echo '127.0.0.1 localhost' >"$new/etc/hosts"
    rabbitmq_version "$new" >"$new/complete"
    mv -T "$new" "$root"
    tell "RabbitMQ $(cat "$root/complete") unpacked in $(took "$started")"
}

# Unpacks it once, even if several processes ask for it.
unpack_once() {
    (
        exec 8>"$root.lock"
        flock 8
        unpack 8>&-
    )
    case $(cat "$root/complete") in
    "$version".*) ;;
    *) tell "note: Debian $suite now has RabbitMQ $(cat "$root/complete") instead of $version, so this version runs" ;;
    esac
}

# exec of a command inside the unpacked system, the node's own folder mounted at /srv, in its own mount and pid
# namespaces: when unshare dies, everything in it dies.
inside() {
    local rabbitmq environment=() enter=() own_mounts=()
    rabbitmq=/usr/lib/rabbitmq/lib/rabbitmq_server-$(cat "$root/complete")
    node_environment
    choose_own_mounts
    [ "${#own_mounts[@]}" -eq 1 ] || fence_off_root
    # shellcheck disable=SC2016  # expanded by the inner shell
    exec ${enter[@]+"${enter[@]}"} unshare "${own_mounts[@]}" --pid --fork --kill-child sh -c '
        mount -t proc proc "$2/proc" && mount --bind "$1" "$2/srv" && mount --rbind /dev "$2/dev" || exit 1
        [ ! -e "$1/conf/hosts" ] || mount --bind "$1/conf/hosts" "$2/etc/hosts" || exit 1
        root=$2; shift 2; exec chroot "$root" "$@"' sh "$node" "$root" \
        /usr/bin/env -i HOME=/srv/home LANG=C.UTF-8 "PATH=$rabbitmq/sbin:/usr/sbin:/usr/bin:/sbin:/bin" \
        RUNNING_UNDER_SYSTEMD=true \
        RABBITMQ_CONFIG_FILE=/srv/conf/rabbitmq.conf RABBITMQ_CONF_ENV_FILE=/srv/conf/rabbitmq-env.conf \
        RABBITMQ_ENABLED_PLUGINS_FILE=/srv/conf/enabled_plugins \
        RABBITMQ_MNESIA_BASE=/srv/data RABBITMQ_LOG_BASE=/srv/log RABBITMQ_LOGS=/srv/log/rabbitmq.log \
        RABBITMQ_PLUGINS_DIR="$rabbitmq/plugins" RABBITMQ_PLUGINS_EXPAND_DIR=/srv/data/plugins \
        "${environment[@]}" "$@"
}

# --- the life of a node ---------------------------------------------------------------------------------------

# Starts the configured node and waits until it answers. $1 is its name for the command exec-node.
boot() {
    local started=$SECONDS from=1 deadline files
    if [ -e "$node/log/rabbitmq.log" ]; then from=$(($(stat -c %s "$node/log/rabbitmq.log") + 1)); fi
    files=$(ulimit -Hn)
    # Erlang keeps a table as long as the limit.
    if [ "$files" = unlimited ] || [ "$files" -gt 65536 ]; then files=65536; fi
    # It must not keep our output or our lock open.
    (
        exec 9>&-
        ulimit -n "$files"
        exec setsid bash "$top/scripts/${0##*/}" exec-node "$1"
    ) >"$node/log/console.log" 2>&1 </dev/null &
    local child=$!
    deadline=$((SECONDS + ${AMQP1_BROKER_WAIT:-60}))
    until tail -c "+$from" "$node/log/rabbitmq.log" 2>/dev/null | grep -q 'Server startup complete' && answers; do
        if ! kill -0 "$child" 2>/dev/null; then
            tail -n 20 "$node/log/console.log" >&2
            tail -c "+$from" "$node/log/rabbitmq.log" 2>/dev/null | grep -F '[error]' | head -n 20 >&2 || true
            refuse "RabbitMQ ended while starting; see above and $node/log. If its data is damaged, run scripts/${0##*/} down"
        fi
        if [ "$SECONDS" -ge "$deadline" ]; then
            crash
            refuse "RabbitMQ did not answer within ${AMQP1_BROKER_WAIT:-60} s; see $node/log"
        fi
        sleep 0.1
    done
    disown "$child" 2>/dev/null || true
}

# Becomes the node: the process writes its own pid before it becomes unshare.
exec_node() {
    echo "$$ $(cut -d' ' -f22 /proc/$$/stat)" >"$node/pid"
    inside rabbitmq-server
}

crash() {
    is_running || return 0
    kill -KILL "$pid" 2>/dev/null || true
    await_end 100 || refuse "process $pid does not end"
    rm -f "$node/pid"
    # Its children die with it, but on a busy machine not at once: they hold the ports.
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        holds_ports || return 0
        sleep 0.1
    done
}

# unshare ignores SIGTERM: its child is the broker.
terminate() {
    is_running || return 0
    local child=
    read -r child _ <"/proc/$pid/task/$pid/children" || true # it has no end of line
    [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || true
    await_end 300 || { tell "does not stop; killing it"; crash; }
    rm -f "$node/pid"
}
