# shellcheck shell=bash
# This project's dependencies, and checks for them. Sourced by scripts/deps; scripts/test-deps proves each check.
#
# PHP and PHP_CONFIG name a PHP other than the one in PATH. AMQP1_NEEDS_ROOT is a prefix for all paths (for tests).

php=${PHP:-php}
php_config=${PHP_CONFIG:-php-config}
root=${AMQP1_NEEDS_ROOT:-}

# need | Debian's package | why
needs_of() {
    case $1 in
    build) cat <<'NEEDS' ;;
cc|gcc|C compiler and linker: Rust links with it, and the TLS library has C parts
libc|libc6-dev|the C library's headers
make|make|runs the Makefile
php|php-cli|the PHP that the extension is for
php_dev|php-dev|PHP's headers and php-config
libclang|libclang-dev|reads PHP's headers for the Rust bindings
NEEDS
    lint) cat <<'NEEDS' ;;
shellcheck|shellcheck|checks these scripts
composer|composer|checks the Composer packages
NEEDS
    rust) cat <<'NEEDS' ;;
cc|gcc|C compiler and linker: Rust links with it, and the TLS library has C parts
libc|libc6-dev|the C library's headers
openssl|openssl|makes the certificates of the TLS tests
NEEDS
    php) cat <<'NEEDS' ;;
phpunit|phpunit|runs the PHP tests
php_mbstring|php-mbstring|PHPUnit needs it
php_xml|php-xml|PHPUnit needs it
php_process|php-cli|pcntl and posix: the tests start processes and send them signals
php_sockets|php-common|a proxy of the tests disturbs the network
php_amqp|php-amqp|the AMQP 0-9-1 peer in interoperability tests
php_amqplib|php-amqplib|the peer of the babelqueue format, in PHP alone
php_fpm|php-fpm|serves requests in the tests of connections that outlive requests
openssl|openssl|makes the certificates of the TLS tests, and is their peer
tmux|tmux|is the terminal in which the tests run amqp1 top
NEEDS
    frameworks) cat <<'NEEDS' ;;
phpunit|phpunit|runs the tests of the packages in integrations/
php_mbstring|php-mbstring|PHPUnit needs it
php_xml|php-xml|PHPUnit needs it
php_process|php-cli|pcntl and posix: the tests start workers and send them signals
php_symfony_messenger|php-symfony-messenger|Symfony Messenger, which integrations/symfony-messenger is for
php_symfony_amqp|php-symfony-amqp-messenger|Symfony's transport on AMQP 0-9-1, which shares queues with ours in the tests
php_amqp|php-amqp|the extension under it
php_symfony_framework|php-symfony-framework-bundle|an application of Symfony with its container
php_symfony_yaml|php-symfony-yaml|its configuration
php_symfony_console|php-symfony-console|its commands, such as messenger:consume
php_symfony_serializer|php-symfony-serializer|messages of Symfony as JSON
php_symfony_property_access|php-symfony-property-access|Symfony's serializer of objects needs it
php_laravel|php-laravel-framework|Laravel, which integrations/laravel-queue is for
php_sqlite|php-sqlite3|keeps Laravel's failed jobs and batches in the tests
composer|composer|installs the packages as their users do
NEEDS
    sdks) cat <<'NEEDS' ;;
openssl|openssl|makes the certificates for TLS
python_venv|python3-venv|holds the Service Bus SDK for Python
node|nodejs|runs the Service Bus SDK for JavaScript
npm|npm|installs it
go|golang-go|builds the tests with the Service Bus SDK for Go and with Prometheus' parsers, and downloads a newer Go if necessary
NEEDS
    test)
        needs_of lint
        needs_of php
        needs_of frameworks
        needs_of sdks
        ;;
    rabbitmq) cat <<'NEEDS' ;;
mmdebstrap|mmdebstrap|unpacks RabbitMQ and Erlang into a folder
unshare|util-linux|isolates the brokers from the system
openssl|openssl|makes the brokers' certificates
keyring|debian-archive-keyring|checks the packages' signatures
NEEDS
    cluster) cat <<'NEEDS' ;;
ip|iproute2|gives the cluster's nodes their own network, in which packets can be dropped
NEEDS
    java) cat <<'NEEDS' ;;
java|default-jre-headless|runs Artemis, ActiveMQ Classic and Qpid
mvn|maven|downloads them from Maven Central
NEEDS
    bench) cat <<'NEEDS' ;;
php_amqp|php-amqp|the AMQP 0-9-1 client in C that amqp1 is compared with
php_amqplib|php-amqplib|the one in PHP
php_fpm|php-fpm|serves the requests that push jobs
php_process|php-cli|posix: it ends php-fpm
strace|strace|counts the system calls of a push
gnuplot|gnuplot-nox|draws the pictures
redis_server|redis-server|the queue that Laravel's jobs on amqp1 are compared with
php_redis|php-redis|Laravel's client of it
NEEDS
    package) cat <<'NEEDS' ;;
binutils|binutils|separates the debug information
mmdebstrap|mmdebstrap|unpacks the C library to link with, and the roots in which packages are tried
keyring|debian-archive-keyring|checks the packages' signatures
debhelper|debhelper|makes the Debian packages
dh_php|dh-php|makes them modules of Debian's PHP
lintian|lintian|checks the Debian packages
NEEDS
    fuzz) cat <<'NEEDS' ;;
cc|gcc|C compiler and linker
libc|libc6-dev|the C library's headers
cxx|g++|builds libFuzzer
NEEDS
    valgrind) cat <<'NEEDS' ;;
valgrind|valgrind|runs PHP under memcheck
phpunit|phpunit|runs the PHP tests
php_mbstring|php-mbstring|PHPUnit needs it
php_xml|php-xml|PHPUnit needs it
NEEDS
    *) die "unknown group '$1'; expected one of: build, lint, rust, php, frameworks, sdks, test, rabbitmq, cluster, java, bench, fuzz, package, valgrind" ;;
    esac
}

# One check for each dependency: true if it is there.
has_cc() { have cc && have ld; }
has_cxx() { have c++; }
has_libc() { echo '#include <stdlib.h>' | cc -E - >/dev/null 2>&1; }
has_make() { have make; }
has_php() { have "$php"; }
has_php_dev() { have "$php_config" && [ -e "$root$("$php_config" --include-dir)/main/php.h" ]; }
has_libclang() {
    local found
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    # libclang.so itself, and the headers of the compiler's own (stddef.h and such) that belong to it
    for found in "$root"/usr/lib/llvm-*/lib/libclang*.so* "$root"/usr/lib/*-linux-*/libclang*.so* "$root"/usr/lib*/libclang.so* "$root"/usr/local/lib/libclang.so*; do
        # …/libclang-cpp.so is another library
        case ${found##*/} in
        libclang-cpp*) continue ;;
        esac
        if [ -e "$found" ]; then
            compgen -G "$root/usr/lib*/llvm-*/lib/clang/*/include/stddef.h" >/dev/null ||
                compgen -G "$root/usr/lib*/clang/*/include/stddef.h" >/dev/null ||
                compgen -G "$root/usr/local/lib/clang/*/include/stddef.h" >/dev/null
            return
        fi
    done
    return 1
}
has_phpunit() { have phpunit; }
php_has() {
    has_php || return 1
    [ -n "${php_modules:-}" ] || php_modules=$("$php" -m 2>/dev/null)
    grep -qix "$1" <<<"$php_modules"
}
has_php_amqp() { php_has amqp; }
has_php_mbstring() { php_has mbstring; }
has_php_xml() { php_has dom && php_has xml && php_has xmlwriter; }
has_php_process() { php_has pcntl && php_has posix; }
has_php_sockets() { php_has sockets; }
has_php_redis() { php_has redis; }
has_redis_server() { have redis-server; }
has_php_sqlite() { php_has pdo_sqlite; }
has_composer() { have composer; }
has_binutils() { have objcopy && have objdump && have strip; }
has_debhelper() { have dh && have dpkg-gencontrol; }
has_dh_php() { have dh_php; }
has_lintian() { have lintian; }
# Is there such a file in PHP's include_path, where Debian's packages put their libraries?
php_finds() {
    # shellcheck disable=SC2016  # PHP's variables
    has_php && "$php" -r 'exit(stream_resolve_include_path($argv[1]) !== false ? 0 : 1);' "$1" >/dev/null 2>&1
}
has_php_amqplib() { php_finds PhpAmqpLib/autoload.php; }
has_php_symfony_messenger() { php_finds Symfony/Component/Messenger/autoload.php; }
has_php_symfony_amqp() { php_finds Symfony/Component/Messenger/Bridge/Amqp/autoload.php; }
has_php_symfony_framework() { php_finds Symfony/Bundle/FrameworkBundle/autoload.php; }
has_php_symfony_yaml() { php_finds Symfony/Component/Yaml/autoload.php; }
has_php_symfony_console() { php_finds Symfony/Component/Console/autoload.php; }
has_php_symfony_serializer() { php_finds Symfony/Component/Serializer/autoload.php; }
has_php_symfony_property_access() { php_finds Symfony/Component/PropertyAccess/autoload.php; }
has_php_laravel() { php_finds Illuminate/autoload.php; }
has_php_fpm() { php_fpm >/dev/null; }
has_shellcheck() { have shellcheck; }
has_valgrind() { have valgrind; }
has_strace() { have strace; }
has_gnuplot() { have gnuplot; }
has_mmdebstrap() { have mmdebstrap; }
has_openssl() { have openssl; }
has_python_venv() { have python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; }
has_node() { have node && node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)'; }
has_npm() { have npm; }
# 1.16 and newer; scripts/sdks downloads a newer one if necessary.
has_go() { have go && [ -n "$(go env GOVERSION 2>/dev/null)" ]; }
has_tmux() { have tmux; }
has_ip() { have ip; }
has_unshare() { have unshare && have flock && have setsid; }
has_java() { have java && java --version >/dev/null 2>&1; }
has_mvn() { have mvn; }
has_keyring() {
    [ -e "$root/usr/share/keyrings/debian-archive-keyring.gpg" ] || compgen -G "$root/etc/apt/trusted.gpg.d/debian-archive-*" >/dev/null
}

# Prints the php-fpm that belongs to this PHP: in its folders and with exactly its version. The php-fpm of another PHP would
# refuse the extension or, worse, load it.
php_fpm() {
    local version folder release name
    has_php || return 1
    read -r version release folder < <("$php" -n -r 'echo PHP_VERSION, " ", PHP_MAJOR_VERSION, ".", PHP_MINOR_VERSION, " ", PHP_BINDIR, "\n";')
    for name in "$root${folder%/bin}/sbin/php-fpm$release" "$root${folder%/bin}/sbin/php-fpm" "$root$folder/php-fpm$release" "$root$folder/php-fpm"; do
        if [ -x "$name" ] && "$name" -n -v 2>/dev/null | grep -q "^PHP ${version//./\\.} "; then
            printf '%s\n' "$name"
            return
        fi
    done
    return 1
}

# Is this PHP a package of the system, so that apt-get has modules for it?
is_system_php() {
    local path
    path=$(readlink -f "$(command -v "$php")") || return 1
    have dpkg-query && dpkg-query -S "$path" >/dev/null 2>&1
}
