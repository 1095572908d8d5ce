<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** The figures as Markdown: the conditions, and a table for each group of rows. */
final class Report
{
    private const TITLES = [
        'push' => 'One `push()` at a time',
        'prefetch' => 'Consume by prefetch',
        'floor' => 'What the broker allows at prefetch 1',
        'pushMany' => 'Publish many, by size',
        'consume' => 'Consume by size',
        'envelope' => 'The envelope',
        'fpm' => 'php-fpm',
        'queues' => 'Many queues in one consumer',
        'backlog' => 'Backlog',
        'processes' => 'Processes',
        'memory' => 'Memory over many jobs',
        'languages' => 'Other languages',
    ];

    public static function markdown(Results $results): string
    {
        $at = $results->conditions;
        $text = sprintf(
            "%s: %s, %d cores, %s; PHP %s, RabbitMQ %s on the same machine; amqp1 %s, %s.\n",
            $at['date'],
            $at['cpu'],
            $at['cores'],
            $at['system'],
            $at['php'],
            $at['rabbitmq'],
            $at['amqp1'],
            $at['clients']
        );
        $loads = array_merge(...array_values(array_map(static fn (Row $row) => $row->load, $results->rows)));
        if ($loads !== []) {
            $text .= sprintf("Load of the machine: %.1f to %.1f, median %.1f.\n", min($loads), max($loads), Statistics::median($loads));
            // The benchmark itself keeps one or two cores busy: a client and the broker.
            if (Statistics::median($loads) > 1.5 * $at['cores']) {
                $text .= "**The machine was busy with other work, so rates are too low, times too long, and the ratios uncertain.**\n";
            }
        }
        $growth = Growth::markdown($results);
        if ($growth !== '') {
            $text .= "\n### How the cost of a job grows\n\nRatios are to {$results->reference()}.\n\n$growth";
        }
        $groups = [];
        foreach ($results->rows as $row) {
            $groups[$row->group()][] = $row;
        }
        foreach ($groups as $group => $rows) {
            $text .= "\n### " . (self::TITLES[$group] ?? $group) . "\n\n" . self::tables($rows);
        }

        return $text;
    }

    /**
     * Rows of the same clients share a table.
     *
     * @param non-empty-list<Row> $rows
     */
    private static function tables(array $rows): string
    {
        $printer = new Printer(false);
        $tables = [];
        foreach ($rows as $row) {
            $tables[implode(',', $row->clients())][] = $row;
        }

        return implode("\n", array_map($printer->markdown(...), $tables));
    }
}
