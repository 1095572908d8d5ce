<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** The growth table: what one job costs by size, number of queues, backlog and number of processes. */
final class Growth
{
    /** Axis => the ids of the rows that publish and consume, with the value in place of "*"; null if only the other is measured. */
    private const AXES = [
        'Size' => ['pushMany/*', 'consume/*'],
        'Queues' => [null, 'queues/*'],
        'Backlog' => ['backlog/push-*', 'backlog/consume-*'],
        'Processes' => ['processes/push-*', 'processes/consume-*'],
    ];

    private const KEYS = ['rate', 'cpu'];

    /** As Markdown; empty unless there is an axis with several values. */
    public static function markdown(Results $results): string
    {
        $lines = [];
        foreach (self::AXES as $axis => $ids) {
            $values = self::values($results, $ids);
            foreach (count($values) > 1 ? $values : [] as $value => $rows) {
                $cells = array_merge(...array_map(self::cells(...), $rows));
                $lines[] = "| $axis: " . self::named($axis, (string) $value) . ' | ' . implode(' | ', $cells) . ' |';
            }
        }
        if ($lines === []) {
            return '';
        }

        return "| | publish: jobs/s | ratio | µs CPU a job | ratio | consume: jobs/s | ratio | µs CPU a job | ratio |\n"
            . "|---|--:|--:|--:|--:|--:|--:|--:|--:|\n" . implode("\n", $lines) . "\n";
    }

    /**
     * @param array{?string, string} $ids
     *
     * @return array<int|string, array{?Row, ?Row}> value => the rows that publish and consume, in the values' order
     */
    private static function values(Results $results, array $ids): array
    {
        $values = [];
        foreach ($results->rows as $id => $row) {
            foreach ($ids as $side => $pattern) {
                $value = $pattern === null ? '' : self::value($pattern, $id);
                if ($value !== '') {
                    $values[$value] ??= [null, null];
                    $values[$value][$side] = $row;
                }
            }
        }
        uksort($values, static fn (int|string $a, int|string $b) => self::number((string) $a) <=> self::number((string) $b));

        return $values;
    }

    /** What the id has in place of "*", if that is a number; otherwise nothing, as for "pushMany/classic". */
    private static function value(string $pattern, string $id): string
    {
        $regex = '~^' . str_replace('\*', '(\d+[KM]?)', preg_quote($pattern, '~')) . '$~';

        return preg_match($regex, $id, $match) ? $match[1] : '';
    }

    private static function number(string $value): int
    {
        return (int) $value * match (substr($value, -1)) {
            'K' => 1 << 10,
            'M' => 1 << 20,
            default => 1,
        };
    }

    private static function named(string $axis, string $value): string
    {
        return $axis === 'Size' ? Scenarios::octets(self::number($value)) : number_format(self::number($value));
    }

    /** @return list<string> */
    private static function cells(?Row $row): array
    {
        $cells = [];
        foreach (self::KEYS as $key) {
            $figure = $row?->figure($row->ours, $key);
            $ratio = $row?->ratio($key);
            $cells[] = $figure === null ? '-' : (new Metric($key))->format($figure);
            $cells[] = $ratio === null ? '-' : sprintf('%.2f', $ratio['median']);
        }

        return $cells;
    }
}
