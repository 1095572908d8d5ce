<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** The benchmark's arithmetic. */
final class Statistics
{
    /** @param non-empty-list<int|float> $values */
    public static function median(array $values): float
    {
        sort($values);
        $half = intdiv(count($values), 2);

        return count($values) % 2 ? (float) $values[$half] : ($values[$half - 1] + $values[$half]) / 2;
    }

    /**
     * The value below which this part (0 to 1) of the values lies.
     *
     * @param non-empty-list<int|float> $values
     */
    public static function percentile(array $values, float $part): float
    {
        sort($values);

        return (float) $values[(int) min(count($values) - 1, floor(count($values) * $part))];
    }

    /**
     * Each round's ratio. The rounds are pairs: what disturbed the machine in a round disturbed both sides.
     *
     * @param list<int|float> $ours
     * @param list<int|float> $theirs
     *
     * @return list<float> as long as the shorter list; a round with a zero below the line is left out
     */
    public static function ratios(array $ours, array $theirs): array
    {
        $ratios = [];
        for ($i = 0; $i < min(count($ours), count($theirs)); ++$i) {
            if ($theirs[$i] != 0) {
                $ratios[] = (float) ($ours[$i] / $theirs[$i]);
            }
        }

        return $ratios;
    }
}
