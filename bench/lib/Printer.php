<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** Prints rows as text, and as Markdown. A figure that misses its target is red on a terminal, and says MISSED. */
final class Printer
{
    public function __construct(private readonly bool $color)
    {
    }

    /** As text: the figures of each client, the ratio with its range, the target. */
    public function text(Row $row): string
    {
        $load = $row->load === [] ? '' : sprintf(', load %.1f–%.1f', min($row->load), max($row->load));
        $rounds = count($row->rounds[$row->ours] ?? []);
        $lines = [sprintf('%s  (%s; %d round%s%s)', $row->title, $row->id, $rounds, $rounds === 1 ? '' : 's', $load)];
        $head = $this->head($row);
        $widths = array_map(static fn (string $name) => max(13, 2 + strlen($name)), array_slice($head, 1, -1));
        $lines[] = self::line($head, $widths);
        foreach ($row->metrics as $metric) {
            $cells = self::cells($row, $metric);
            if ($cells === null) {
                continue;
            }
            $line = self::line([$metric->unit, ...$cells], $widths);
            $lines[] = $this->color && $row->isMet($metric) === false ? "\e[31m$line\e[0m" : $line;
        }
        foreach ($row->leftOut as $why) {
            $lines[] = "  left out: $why";
        }
        if ($row->failure !== null) {
            $lines[] = $this->color ? "\e[31m  FAILED: $row->failure\e[0m" : "  FAILED: $row->failure";
        }

        return implode("\n", $lines) . "\n";
    }

    /**
     * As Markdown, a table for the whole list of rows of the same clients.
     *
     * @param non-empty-list<Row> $rows
     */
    public function markdown(array $rows): string
    {
        $head = $this->head($rows[0]);
        $head[0] = '';
        $lines = ['| ' . implode(' | ', $head) . ' |', '|---|' . str_repeat('--:|', count($head) - 2) . ':--|'];
        foreach ($rows as $row) {
            $lines[] = "| **$row->title** |" . str_repeat(' |', count($head) - 1);
            foreach ($row->metrics as $metric) {
                $cells = self::cells($row, $metric);
                if ($cells !== null) {
                    $lines[] = '| ' . implode(' | ', [$metric->unit, ...$cells]) . ' |';
                }
            }
        }
        foreach ($rows as $row) {
            if ($row->failure !== null) {
                $lines[] = "\nFAILED: $row->title: $row->failure.";
            }
        }
        foreach (array_unique(array_merge(...array_map(static fn (Row $row) => $row->leftOut, $rows))) as $why) {
            $lines[] = "\nLeft out: $why.";
        }

        return implode("\n", $lines) . "\n";
    }

    /** @return list<string> */
    private function head(Row $row): array
    {
        $head = [''];
        foreach ($row->clients() as $client) {
            $head[] = $client;
            if ($client === $row->ours) {
                continue;
            }
            $head[] = 'ratio';
            if ($client === $row->reference) {
                $head[] = 'rounds';
            }
        }

        return [...$head, 'target'];
    }

    /** @return list<string>|null null if no client has this figure */
    private static function cells(Row $row, Metric $metric): ?array
    {
        $cells = [];
        foreach ($row->clients() as $client) {
            $figure = $row->figure($client, $metric->key);
            $figures[] = $figure;
            $cells[] = $figure === null ? '-' : $metric->format($figure);
            if ($client === $row->ours) {
                continue;
            }
            $ratio = $row->ratio($metric->key, $client);
            $cells[] = $ratio === null ? '-' : sprintf('%.2f', $ratio['median']);
            if ($client === $row->reference) {
                $cells[] = $ratio === null ? '-' : sprintf('%.2f–%.2f', $ratio['least'], $ratio['most']);
            }
        }
        $met = $row->isMet($metric);
        $cells[] = $met === null ? '' : $metric->target . ($met ? '' : ' MISSED');

        return array_filter($figures ?? [], 'is_float') === [] ? null : $cells;
    }

    /**
     * @param list<string> $cells
     * @param list<int> $widths of all but the first and the last
     */
    private static function line(array $cells, array $widths): string
    {
        $line = '  ' . self::pad((string) array_shift($cells), 32, false);
        $last = array_pop($cells);
        foreach ($cells as $i => $cell) {
            $line .= self::pad($cell, $widths[$i], true);
        }

        return rtrim("$line  $last");
    }

    /** As str_pad, by letters instead of octets. */
    private static function pad(string $text, int $width, bool $right): string
    {
        $space = str_repeat(' ', max(0, $width - (int) preg_match_all('/./su', $text)));

        return $right ? $space . $text : $text . $space;
    }
}
