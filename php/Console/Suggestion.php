<?php

declare(strict_types=1);

namespace Amqp1\Console;

/**
 * The nearest known name of one that is unknown.
 *
 * @internal
 */
final class Suggestion
{
    /**
     * @param list<string|int> $known names that are numbers are ints as keys of an array
     *
     * @return string ": did you mean …?", or nothing when none is near
     */
    public static function for(string $unknown, array $known, string $prefix = ''): string
    {
        $nearest = null;
        $least = max(1, intdiv(strlen($unknown), 3)) + 1;
        foreach (array_map('strval', $known) as $name) {
            // "fail" is meant for "failed:list", however much is missing.
            $distance = strlen($unknown) >= 3 && str_starts_with($name, $unknown)
                ? 1 : levenshtein(strtolower($unknown), strtolower($name));
            if ($distance < $least) {
                [$nearest, $least] = [$name, $distance];
            }
        }

        return $nearest === null ? '' : ": did you mean \"$prefix$nearest\"?";
    }
}
