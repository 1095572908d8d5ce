<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

/**
 * Figures as a screen shows them: short, and "-" for what is not known.
 *
 * @internal
 */
final class Words
{
    /** With at most six characters. */
    public static function number(?int $number): string
    {
        return match (true) {
            $number === null => '-',
            $number < 100_000 => (string) $number,
            $number < 10_000_000 => intdiv($number, 1000) . 'k',
            default => intdiv($number, 1_000_000) . 'M',
        };
    }

    /** How often something happens, which cannot be less than never. */
    public static function perSecond(?float $rate): string
    {
        return ltrim(self::rate($rate), '+');
    }

    /** Of a second: with a sign, unless nothing changes. */
    public static function rate(?float $rate): string
    {
        if ($rate === null) {
            return '-';
        }
        $size = abs($rate);

        return $size < 0.05 ? '0' : sprintf($size < 99.95 ? '%+.1f' : ($size < 9999.5 ? '%+.0f' : '%+.0fk'), $size < 9999.5 ? $rate : $rate / 1000);
    }

    public static function seconds(?float $seconds): string
    {
        return match (true) {
            $seconds === null => '-',
            $seconds < 99.5 => round($seconds) . ' s',
            $seconds < 99.5 * 60 => round($seconds / 60) . ' min',
            $seconds < 48 * 3600 => round($seconds / 3600) . ' h',
            default => round($seconds / 86400) . ' d',
        };
    }

    public static function count(int $number, string $one, ?string $many = null): string
    {
        return "$number " . ($number === 1 ? $one : $many ?? $one . 's');
    }

    /** An error without the queue's name and its broker, which stand before it. */
    public static function error(string $error): string
    {
        return (string) preg_replace("~^(queue '[^']*' at \\S+: )?(amqps?://\\S+: )?~", '', $error);
    }
}
