<?php

declare(strict_types=1);

namespace Amqp1\Command\Doctor;

/**
 * What this PHP has: the extension and where it is enabled, the extensions that a worker uses, php.ini.
 *
 * It also works without the extension, and then says why it is missing.
 *
 * @internal
 */
final class Machine
{
    /** A worker has connections, its files and its handlers' files open. */
    private const OPEN_FILES = 256;

    /** @return list<Finding> */
    public static function findings(): array
    {
        return [
            self::php(),
            self::extension(),
            ...self::otherSapis(),
            ...self::processControl(),
            ...self::settings(),
            ...self::openFiles(),
        ];
    }

    private static function php(): Finding
    {
        $kind = PHP_ZTS ? 'thread-safe (ZTS)' : 'not thread-safe (NTS)';
        $text = PHP_VERSION . ' ' . PHP_SAPI . ", $kind, " . PHP_BINARY . ', ' . (php_ini_loaded_file() ?: 'no php.ini');

        return PHP_VERSION_ID >= 80100 ? Finding::ok('PHP', $text)
            : Finding::problem('PHP', $text, 'Install PHP 8.1 or newer');
    }

    private static function extension(): Finding
    {
        if (extension_loaded('amqp1')) {
            return Finding::ok('extension', 'amqp1 ' . phpversion('amqp1'));
        }
        $file = ini_get('extension_dir') . '/amqp1.so';
        if (!is_file($file)) {
            return Finding::problem('extension', "amqp1 is not installed: $file does not exist",
                'Install it: pie install amqp1/amqp1, a package of your system, or sudo make install');
        }
        if (self::filesThatEnable([php_ini_loaded_file() ?: '', ...self::scannedFiles()]) !== []) {
            return Finding::problem('extension', "amqp1 is enabled, but this PHP does not load $file",
                'Read what PHP says: ' . PHP_BINARY . ' -d display_startup_errors=1 --version. "API" there means that it was built for another PHP');
        }

        return Finding::problem('extension', "amqp1 is installed as $file, but not enabled",
            self::isDebians() ? 'sudo phpenmod amqp1' : 'Add the line extension=amqp1 to ' . (php_ini_loaded_file()
                ?: (PHP_CONFIG_FILE_SCAN_DIR !== '' ? PHP_CONFIG_FILE_SCAN_DIR . '/amqp1.ini' : PHP_CONFIG_FILE_PATH . '/php.ini')));
    }

    /**
     * Debian enables an extension for each kind of PHP by itself: one may lack what this one has.
     *
     * @return list<Finding>
     */
    private static function otherSapis(): array
    {
        $findings = [];
        $release = PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION;
        if (!self::isDebians() || !extension_loaded('amqp1')) {
            return [];
        }
        foreach (glob("/etc/php/$release/*/conf.d", GLOB_ONLYDIR) ?: [] as $folder) {
            $sapi = basename(dirname($folder));
            if ($sapi !== PHP_SAPI && self::filesThatEnable(glob("$folder/*.ini") ?: []) === []) {
                $findings[] = Finding::note('extension', "amqp1 is not enabled for $sapi", "sudo phpenmod -s $sapi amqp1, then restart it");
            }
        }

        return $findings;
    }

    /** @return list<Finding> */
    private static function processControl(): array
    {
        $findings = [];
        foreach ([
            'pcntl' => 'a worker cannot stop gracefully at SIGTERM, nor limit the time of a job',
            'posix' => 'a worker cannot serve metrics',
        ] as $name => $without) {
            if (!extension_loaded($name)) {
                $findings[] = Finding::problem($name, "PHP has no extension $name: $without",
                    is_dir('/usr/local/etc/php/conf.d') ? "docker-php-ext-install $name" : "Install and enable PHP's extension $name (with most systems, it is part of php-cli)");
                continue;
            }
            $disabled = array_intersect(['pcntl_signal', 'pcntl_async_signals', 'pcntl_fork', 'posix_kill'], self::disabledFunctions());
            $disabled = array_filter($disabled, static fn (string $function) => str_starts_with($function, $name));
            $findings[] = $disabled === [] ? Finding::ok($name, 'is there')
                : Finding::problem($name, implode(', ', $disabled) . " disabled: $without", 'Take it out of disable_functions in ' . php_ini_loaded_file());
        }

        return $findings;
    }

    /** @return list<Finding> */
    private static function settings(): array
    {
        if (!extension_loaded('amqp1')) {
            return [];
        }
        $findings = [Finding::ok('php.ini', 'amqp1.timeout ' . ini_get('amqp1.timeout') . ' s, memory_limit ' . ini_get('memory_limit'))];
        $log = (string) ini_get('amqp1.log');
        if ($log !== '' && $log !== 'stderr' && !is_writable(is_file($log) ? $log : dirname($log))) {
            $findings[] = Finding::problem('php.ini', "amqp1.log: " . self::user() . " cannot write to $log", "chown it to " . self::user() . ', or set amqp1.log = stderr');
        }

        return $findings;
    }

    /** @return list<Finding> */
    private static function openFiles(): array
    {
        $limit = function_exists('posix_getrlimit') ? (posix_getrlimit() ?: [])['soft openfiles'] ?? 'unlimited' : 'unlimited';

        return is_int($limit) && $limit < self::OPEN_FILES
            ? [Finding::note('open files', "a process may open only $limit files, and each connection is one", 'Raise it: ulimit -n 1024, LimitNOFILE= in systemd')]
            : [];
    }

    /** Who runs this. */
    public static function user(): string
    {
        $user = function_exists('posix_geteuid') ? posix_getpwuid(posix_geteuid()) : false;

        return $user === false ? get_current_user() : $user['name'];
    }

    private static function isDebians(): bool
    {
        return str_starts_with(PHP_CONFIG_FILE_SCAN_DIR, '/etc/php/');
    }

    /** @return list<string> */
    private static function disabledFunctions(): array
    {
        return array_map('trim', explode(',', (string) ini_get('disable_functions')));
    }

    /** @return list<string> */
    private static function scannedFiles(): array
    {
        return array_map('trim', explode(',', (string) php_ini_scanned_files()));
    }

    /**
     * @param list<string> $files
     *
     * @return list<string>
     */
    private static function filesThatEnable(array $files): array
    {
        return array_values(array_filter($files, static fn (string $file) => $file !== '' && is_readable($file)
            && preg_match('~^\s*extension\s*=\s*"?([^"\n]*/)?amqp1(\.so)?"?\s*$~m', (string) file_get_contents($file)) === 1));
    }
}
