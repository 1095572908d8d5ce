<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use RuntimeException;

/** The certificates of scripts/certificates: those of the running brokers, or new ones. */
final class Certificates
{
    /** The file's path. */
    public static function path(string $file): string
    {
        static $folder = null;
        if ($folder === null) {
            $top = dirname(__DIR__, 2);
            $folder = getenv('AMQP1_TEST_TLS') ?: "$top/build/test/tls";
            exec(escapeshellarg("$top/scripts/certificates") . ' ' . escapeshellarg($folder) . ' 2>&1', $lines, $code);
            if ($code !== 0) {
                throw new RuntimeException("scripts/certificates ended with $code:\n" . implode("\n", $lines));
            }
        }
        if (!is_file("$folder/$file")) {
            throw new RuntimeException("$folder/$file is not there");
        }

        return "$folder/$file";
    }

    /** @return array{cert: string, key: string} */
    public static function pair(string $name): array
    {
        return ['cert' => self::path("$name.pem"), 'key' => self::path("$name.key")];
    }
}
