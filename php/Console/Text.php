<?php

declare(strict_types=1);

namespace Amqp1\Console;

/**
 * Text in a terminal's columns, which are neither bytes nor characters.
 *
 * @internal
 */
final class Text
{
    /** Without mbstring: what East Asian terminals and emoji take two columns for. */
    private const WIDE = '/[\x{1100}-\x{115F}\x{2E80}-\x{303E}\x{3041}-\x{A4CF}\x{AC00}-\x{D7A3}\x{F900}-\x{FAFF}'
        . '\x{FE30}-\x{FE6F}\x{FF00}-\x{FF60}\x{FFE0}-\x{FFE6}\x{1F300}-\x{1F64F}\x{1F900}-\x{1F9FF}\x{20000}-\x{3FFFD}]/u';

    /** How many columns it takes. */
    public static function width(string $text): int
    {
        if (preg_match('/^[\x20-\x7e]*$/D', $text) === 1) {
            return strlen($text);
        }
        // Accents and the like stand on the character before them.
        $text = (string) preg_replace('/[\p{Mn}\p{Me}\p{Cf}]+/u', '', $text);

        return function_exists('mb_strwidth') ? mb_strwidth($text, 'UTF-8')
            : (int) preg_match_all('/./su', $text) + (int) preg_match_all(self::WIDE, $text);
    }

    /** At most so many columns; what is cut ends with "…". */
    public static function cut(string $text, int $columns): string
    {
        if (self::width($text) <= $columns) {
            return $text;
        }
        if ($columns <= 1) {
            return $columns === 1 ? '…' : '';
        }

        return self::first($text, $columns - 1) . '…';
    }

    /** Exactly so many columns. */
    public static function fit(string $text, int $columns, bool $right = false): string
    {
        $text = self::cut($text, $columns);
        $space = str_repeat(' ', max(0, $columns - self::width($text)));

        return $right ? $space . $text : $text . $space;
    }

    /**
     * Lines of at most so many columns, broken at a space (which is left out) if there is one in the second half. Each line
     * of the text begins a new one.
     *
     * @return list<string>
     */
    public static function wrap(string $text, int $columns): array
    {
        $lines = [];
        foreach (explode("\n", str_replace("\t", '    ', $text)) as $line) {
            do {
                $part = self::first($line, max(2, $columns));
                $rest = substr($line, strlen($part));
                $space = $rest === '' || $rest[0] === ' ' ? false : strrpos($part, ' ');
                if ($space !== false && $space > strlen($part) / 2) {
                    [$part, $rest] = [substr($line, 0, $space), substr($line, $space)];
                }
                $line = $rest !== '' && $rest[0] === ' ' ? substr($rest, 1) : $rest;
                $lines[] = $part;
            } while ($line !== '');
        }

        return $lines;
    }

    /** As many of its first characters as so many columns hold. */
    private static function first(string $text, int $columns): string
    {
        if (preg_match('/^[\x20-\x7e]*$/D', substr($text, 0, $columns)) === 1) {
            return substr($text, 0, $columns);
        }
        preg_match_all('/\P{M}\p{M}*|\p{M}+/su', $text, $characters);
        $first = '';
        foreach ($characters[0] as $character) {
            $columns -= self::width($character);
            if ($columns < 0) {
                break;
            }
            $first .= $character;
        }

        return $first;
    }
}
