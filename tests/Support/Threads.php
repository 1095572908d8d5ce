<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use RuntimeException;

/** Runs a script in many threads of one process, with thread-safe PHP (tests/zts/host.c). */
final class Threads
{
    private static ?string $program = null;

    /** The output of `$code`, which finds `$thread` and `$request`, and of its threads. Unless they may fail, they must end with exit status 0. */
    public static function run(string $code, int $threads, int $requests = 1, float $seconds = 60, bool $succeeds = true): string
    {
        $script = tempnam(sys_get_temp_dir(), 'amqp1-threads-');
        file_put_contents($script, "<?php declare(strict_types=1);\nrequire " . var_export(dirname(__DIR__) . '/zts/prelude.php', true)
            . ";\n$code\n");
        $ini = sys_get_temp_dir() . '/amqp1-threads-' . bin2hex(random_bytes(4));
        mkdir($ini);
        file_put_contents("$ini/host.ini", "display_errors=stderr\nhtml_errors=0\nextension=\"" . self::extension() . "\"\n");
        try {
            $child = Child::command([self::program(), (string) $threads, (string) $requests, $script], ['PHP_INI_SCAN_DIR' => $ini, 'SCRIPT' => $script]);
            $code = $child->wait($seconds);
            if ($succeeds && $code !== 0) {
                throw new RuntimeException("the threads ended with status $code:\n" . $child->output());
            }

            return $child->output();
        } finally {
            unset($child);
            array_map(unlink(...), glob("$script*") ?: []);
            unlink("$ini/host.ini");
            rmdir($ini);
        }
    }

    private static function extension(): string
    {
        $target = getenv('CARGO_TARGET_DIR') ?: dirname(__DIR__, 2) . '/target';

        return (string) realpath(getenv('AMQP1_EXTENSION') ?: $target . '/release/libamqp1.so');
    }

    /** Built once for each PHP. */
    private static function program(): string
    {
        if (self::$program !== null) {
            return self::$program;
        }
        $config = getenv('PHP_CONFIG') ?: PHP_BINDIR . '/php-config';
        $source = dirname(__DIR__) . '/zts/host.c';
        $folder = dirname(__DIR__, 2) . '/build/zts';
        $program = "$folder/host-" . hash('crc32b', PHP_BINARY . PHP_VERSION . file_get_contents($source));
        if (!is_executable($program)) {
            is_dir($folder) || mkdir($folder, 0777, true);
            $prefix = trim((string) shell_exec(escapeshellarg($config) . ' --prefix'));
            // Debian's sources put it into a folder of its own.
            $library = glob("$prefix/lib{,/php}/libphp*.so", GLOB_BRACE)[0] ?? throw new RuntimeException("PHP's embed library is not in $prefix/lib");
            exec('cc -D_GNU_SOURCE -O1 -g -o ' . escapeshellarg("$program.new") . ' ' . escapeshellarg($source) . ' $('
                . escapeshellarg($config) . ' --includes) ' . escapeshellarg($library) . ' -Wl,-rpath,' . escapeshellarg(dirname($library))
                . ' -lpthread 2>&1', $said, $status);
            if ($status !== 0) {
                throw new RuntimeException("the host of threads cannot be built:\n" . implode("\n", $said));
            }
            rename("$program.new", $program);
        }

        return self::$program = $program;
    }
}
