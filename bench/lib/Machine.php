<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** What the measurements ran on, and how busy it was. */
final class Machine
{
    public static function load(): float
    {
        return round(sys_getloadavg()[0], 2);
    }

    public static function cores(): int
    {
        return max(1, preg_match_all('/^processor\s*:/m', (string) @file_get_contents('/proc/cpuinfo')));
    }

    /** @return array<string, string|int> for the report's head */
    public static function describe(): array
    {
        $info = (string) @file_get_contents('/proc/cpuinfo');

        return [
            'cpu' => preg_match('/^model name\s*:\s*(.+)$/m', $info, $match) ? $match[1] : php_uname('m'),
            'cores' => self::cores(),
            'system' => php_uname('s') . ' ' . preg_replace('/^(\d+\.\d+).*/', '$1', php_uname('r')),
            'php' => PHP_VERSION,
            'date' => gmdate('Y-m-d'),
        ];
    }
}
