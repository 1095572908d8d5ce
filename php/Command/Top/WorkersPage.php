<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

use Amqp1\Console\Output;
use Amqp1\Console\Screen\Line;
use Amqp1\Console\Screen\Style;
use Amqp1\Console\Text;

/**
 * The workers of this machine: what each of them does.
 *
 * @internal
 */
final class WorkersPage implements Page
{
    private const UNKNOWN = [
        'No worker is known here.',
        '',
        'A worker leaves its state in a file when it is started with --state-file. Name the files to top:',
        '',
        '  amqp1 work --state-file /run/amqp1/orders-1.state …',
        '  amqp1 top --state-file \'/run/amqp1/*.state\' …',
        '',
        'Workers elsewhere are seen through the broker: CONSUMERS, RESERVED.',
    ];

    private readonly Listing $listing;

    public function __construct(private readonly Workers $workers, private readonly Desk $desk)
    {
        $this->listing = new Listing();
    }

    public function lines(int $columns, int $rows, float $now): array
    {
        $workers = $this->workers->all();
        $title = Line::of('Workers', Style::Title)->add('  ' . count($workers));
        if ($this->workers->failing() > 0) {
            $title->add("  {$this->workers->failing()} not consuming", Style::Bad);
        }
        if ($workers === []) {
            $lines = [$title];
            foreach (self::UNKNOWN as $text) {
                array_push($lines, ...array_map(static fn (string $part) => Line::of($part), Text::wrap($text, $columns)));
            }

            return array_slice($lines, 0, $rows);
        }
        $name = max(6, min(intdiv($columns, 4), max(array_map(static fn (WatchedWorker $worker) => Text::width(Output::printable($worker->name)), $workers))));
        $widths = $columns < 60 ? [7] : ($columns < 90 ? [7, 7, 6] : [7, 7, 6, 8, 6, 7]);
        $lines = [$title, $this->row(['WORKER', 'DONE/S', 'FAIL/S', 'DONE', 'MEMORY', 'UP', 'PID'], 'STATE', $name, $widths)->all(Style::Head)];
        [$first, $end] = $this->listing->window(count($workers), $rows - count($lines));
        foreach (array_slice($workers, $first, $end - $first, true) as $index => $worker) {
            $line = $this->row(self::cells($worker), $worker->state(), $name, $widths, match (true) {
                !$worker->isAlive() => Style::Bad,
                !$worker->isReady() => Style::Warning,
                default => Style::Plain,
            });
            $lines[] = $index === $this->listing->selected() ? $line->all(Style::Selected) : $line;
        }

        return array_slice($lines, 0, $rows);
    }

    /** @return list<string> */
    private static function cells(WatchedWorker $worker): array
    {
        $memory = $worker->memory();

        return [
            $worker->name,
            Words::perSecond($worker->doneRate()),
            Words::perSecond($worker->failedRate()),
            Words::number($worker->done()),
            $memory === null ? '-' : round($memory / 1048576) . ' MiB',
            Words::seconds($worker->age(microtime(true))),
            (string) ($worker->pid() ?? '-'),
        ];
    }

    /**
     * @param list<string> $cells the name first
     * @param list<int> $widths of those after it, as many as there is room for
     */
    private function row(array $cells, string $state, int $name, array $widths, Style $style = Style::Plain): Line
    {
        $text = Text::fit(Output::cell($cells[0]), $name);
        foreach ($widths as $index => $width) {
            $text .= '  ' . Text::fit($cells[$index + 1], $width, true);
        }

        return Line::of("$text  ")->add($state, $style);
    }

    public function key(string $key): void
    {
        if ($this->listing->key($key, count($this->workers->all()))) {
            return;
        }
        $worker = $this->workers->all()[$this->listing->selected()] ?? null;
        if ($key === 'p' && $worker !== null) {
            $paused = !$worker->isPaused();
            $problem = $worker->pause($paused);
            $this->desk->say($problem === null ? "$worker->name " . ($paused
                ? 'is told to pause: it finishes its job, returns what it has buffered, and takes no more'
                : 'is told to go on') : "$worker->name cannot be paused: $problem", $problem !== null);
            $this->desk->refresh();
        } elseif (in_array($key, ['escape', 'left', 'q', 'backspace', 'w'], true)) {
            $this->desk->back();
        }
    }

    public function hints(): array
    {
        return ['Esc back', 'p pause/go on', '↑↓ select', '? help'];
    }
}
