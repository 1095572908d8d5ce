<?php

declare(strict_types=1);

namespace Amqp1\Worker\Monitoring;

/**
 * What the system says of a process.
 *
 * @internal
 */
final class Process
{
    /** When it began, in ticks since the system's start: two processes of the same number differ in it. */
    public static function born(int $pid): ?int
    {
        $fields = self::fields($pid);

        return isset($fields[19]) ? (int) $fields[19] : null;
    }

    /** @param int|null $born What born() said; null: nobody knows. */
    public static function isAlive(int $pid, ?int $born): bool
    {
        if ($born === null || !is_dir('/proc/self')) {
            return function_exists('posix_kill') && posix_kill($pid, 0);
        }
        $fields = self::fields($pid);

        // A zombie has ended.
        return isset($fields[19]) && (int) $fields[19] === $born && !in_array($fields[0], ['Z', 'X'], true);
    }

    /** @return int|null bytes of memory that it has in use */
    public static function residentBytes(int $pid): ?int
    {
        return preg_match('/^VmRSS:\s+(\d+) kB/m', (string) @file_get_contents("/proc/$pid/status"), $match) === 1
            ? (int) $match[1] * 1024 : null;
    }

    /** @return float|null seconds of CPU time */
    public static function cpuSeconds(int $pid): ?float
    {
        $fields = self::fields($pid);

        return isset($fields[12]) ? ((int) $fields[11] + (int) $fields[12]) / 100 : null;
    }

    /** @return list<string> of /proc/PID/stat, from the state on: the name before it may contain anything */
    private static function fields(int $pid): array
    {
        $stat = (string) @file_get_contents("/proc/$pid/stat");
        $end = strrpos($stat, ')');

        return $end === false ? [] : explode(' ', trim(substr($stat, $end + 1)));
    }
}
