<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

use Amqp1\Console\Output;
use Amqp1\Console\Screen\Line;
use Amqp1\Console\Screen\Style;
use Amqp1\Console\Text;

/**
 * The failed jobs of one queue. They are looked at when the page is opened, and at a key, never just because time passes:
 * some brokers show them only by delivering them.
 *
 * @internal
 */
final class FailedPage implements Page
{
    /** @var list<array<string, mixed>>|null null: not there yet */
    private ?array $jobs = null;

    private ?int $time = null;

    /** Whether the look took them in hand. */
    private bool $taken = false;
    private readonly Listing $listing;

    public function __construct(private readonly WatchedQueue $queue, private readonly Desk $desk)
    {
        $this->listing = new Listing();
        $this->load();
    }

    private function load(): void
    {
        $doing = "Looking at the failed jobs of {$this->queue->name} …";
        $this->desk->act($this->request('look'), $doing, function (mixed $look): void {
            $this->jobs = array_values((array) ($look['jobs'] ?? []));
            $this->taken = (bool) ($look['taken'] ?? false);
            $this->time = time();
        });
    }

    /** @return array{do: string, queue: string, id?: string} */
    private function request(string $do, ?string $id = null): array
    {
        return ['do' => $do, 'queue' => $this->queue->name] + ($id === null ? [] : ['id' => $id]);
    }

    public function lines(int $columns, int $rows, float $now): array
    {
        $name = Output::printable($this->queue->name);
        $all = $this->queue->reading()?->failed;
        $lines = [Line::of("Failed jobs of $name", Style::Title)];
        if ($this->jobs === null) {
            return $lines;
        }
        $shown = count($this->jobs);
        $lines[0]->add($all !== null && $all > $shown && $shown > 0 ? "  the first $shown of $all" : "  $shown");
        $lines[] = Line::of('As of ' . date('H:i:s', (int) $this->time)
            . ($this->taken ? '. A look takes them in hand and gives them back; g looks again.' : '. g looks again.'), Style::Dim);
        if ($this->jobs === []) {
            return [...$lines, Line::of(), Line::of('There are none.')];
        }
        $widths = $this->widths($columns);
        $lines[] = $this->row(['JOB', 'ATTEMPTS', 'FAILED AT', 'ERROR', 'ID'], $widths)->all(Style::Head);
        [$first, $end] = $this->listing->window($shown, $rows - count($lines));
        for ($index = $first; $index < $end; $index++) {
            $job = $this->jobs[$index];
            $line = $this->row([
                $job['job'], (string) $job['attempts'], self::time($job['failed_at']), $job['error'] ?? $job['reason'] ?? '-', $job['id'],
            ], $widths);
            $lines[] = $index === $this->listing->selected() ? $line->all(Style::Selected) : $line;
        }

        return array_slice($lines, 0, $rows);
    }

    /** @return list<int> of job, attempts, time, error and id; 0: there is no room */
    private function widths(int $columns): array
    {
        $job = min(max(array_map(static fn (array $job) => Text::width(Output::cell($job['job'])), [...$this->jobs, ['job' => 'JOB']])), intdiv($columns, 3));
        $id = max(array_map(static fn (array $job) => Text::width(Output::cell($job['id'])), $this->jobs));

        return match (true) {
            $columns < 60 => [$job, 0, 0, $columns - $job - 2, 0],
            $columns < 90 + min($id, 36) => [$job, 8, 14, $columns - $job - 28, 0],
            default => [$job, 8, 14, $columns - $job - 30 - min($id, 36), min($id, 36)],
        };
    }

    /**
     * @param list<string> $cells
     * @param list<int> $widths
     */
    private function row(array $cells, array $widths): Line
    {
        $texts = [];
        foreach ($cells as $index => $cell) {
            if ($widths[$index] > 0) {
                $texts[] = Text::fit(Output::cell($cell), $widths[$index], $index === 1);
            }
        }

        return Line::of(implode('  ', $texts));
    }

    /** Of ISO 8601, what a row has room for, in the terminal's own time. */
    private static function time(?string $time): string
    {
        return $time === null ? '-' : date('m-d H:i:s', (int) strtotime($time));
    }

    public function key(string $key): void
    {
        $jobs = $this->jobs ?? [];
        if ($this->listing->key($key, count($jobs))) {
            return;
        }
        $job = $jobs[$this->listing->selected()] ?? null;
        $count = $this->queue->reading()?->failed;
        match (true) {
            $key === 'escape', $key === 'left', $key === 'q', $key === 'backspace' => $this->desk->back(),
            $key === 'g' => $this->load(),
            $job === null => null,
            $key === 'enter', $key === 'right' => $this->desk->open(new JobPage($job, $this->desk, fn () => $this->retry($job))),
            $key === 'r' => $this->retry($job),
            $key === 'R' => $this->desk->confirm(
                'Retry ' . ($count === null ? 'all failed jobs' : 'all ' . Words::count($count, 'failed job')) . " of {$this->queue->name}?",
                $this->retryAll(...)
            ),
            $key === 'D' => $this->desk->confirm(
                'Delete ' . ($count === null ? 'all failed jobs' : 'all ' . Words::count($count, 'failed job')) . " of {$this->queue->name} for good?",
                $this->flush(...)
            ),
            default => null,
        };
    }

    /** @param array<string, mixed> $job */
    private function retry(array $job): void
    {
        $this->desk->act($this->request('retry', $job['id']), "Moving {$job['id']} back …", function (mixed $moved) use ($job): void {
            // Gone in either case.
            $this->jobs = array_values(array_filter((array) $this->jobs, static fn (array $other) => $other['id'] !== $job['id']));
            $moved === 0 ? $this->desk->say("{$job['id']} is not in the failed queue any more", true)
                : $this->desk->say("{$job['job']} {$job['id']} moved back to {$job['queue']}");
            $this->desk->refresh();
        });
    }

    private function retryAll(): void
    {
        $this->desk->act($this->request('retry all'), 'Moving all failed jobs back …', function (mixed $moved): void {
            $this->jobs = [];
            $this->time = time();
            $this->desk->say(Words::count((int) $moved, 'job') . ' moved back');
            $this->desk->refresh();
        });
    }

    private function flush(): void
    {
        $this->desk->act($this->request('flush'), 'Deleting all failed jobs …', function (mixed $deleted): void {
            $this->jobs = [];
            $this->time = time();
            $this->desk->say(Words::count((int) $deleted, 'failed job') . ' deleted');
            $this->desk->refresh();
        });
    }

    public function hints(): array
    {
        return ['Esc back', 'Enter show', 'r retry', 'R retry all', 'D delete all', 'g look again', '? help'];
    }
}
