<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

/** Parses the keys of PHPStan's array shapes. */
final class ArrayShape
{
    /**
     * The keys of the first `array{…}` in a type, each with its own type.
     *
     * @return array<string, string>
     */
    public static function of(string $type): array
    {
        $start = strpos($type, 'array{');
        if ($start === false) {
            return [];
        }
        $entries = [];
        $entry = '';
        $depth = 0;
        foreach (str_split(substr($type, $start + strlen('array{'))) as $character) {
            if ($depth === 0 && ($character === ',' || $character === '}')) {
                $entries[] = $entry;
                $entry = '';
                if ($character === '}') {
                    break;
                }
                continue;
            }
            $depth += match ($character) {
                '{', '<', '(' => 1,
                '}', '>', ')' => -1,
                default => 0,
            };
            $entry .= $character;
        }
        $shape = [];
        foreach ($entries as $entry) {
            if (preg_match('/^\s*(\w+)\??:\s*(.*)$/s', $entry, $match)) {
                $shape[$match[1]] = $match[2];
            }
        }

        return $shape;
    }

    /** A doc comment without its stars, so that a type may span several lines. */
    public static function comment(string $source): string
    {
        return (string) preg_replace('/^\s*\*? ?/m', '', $source);
    }
}
