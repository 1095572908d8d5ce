<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

use Amqp1\Console\Screen\Line;
use Amqp1\Console\Screen\Style;
use Amqp1\Console\Text;

/**
 * The first page: all queues, and the last things that went wrong.
 *
 * @internal
 */
final class QueuesPage implements Page
{
    /** Problems take a third of the screen at the most. */
    private const SHARE = 3;

    private ?string $selected = null;
    private readonly Listing $listing;

    public function __construct(
        private readonly Board $board,
        private readonly Workers $workers,
        private readonly Desk $desk,
        private float $interval,
    ) {
        $this->listing = new Listing();
    }

    public function lines(int $columns, int $rows, float $now): array
    {
        $queues = $this->board->sorted();
        $table = new QueueTable($queues, $columns, $this->workers);
        $problems = $this->board->problems(max(0, min(6, intdiv($rows, self::SHARE) - 1)));
        $below = $problems === [] ? 0 : count($problems) + 1;
        $lines = [$this->title($columns), $table->head()];
        $this->listing->select($this->place($queues));
        [$first, $end] = $this->listing->window(count($queues), $rows - count($lines) - $below);
        for ($index = $first; $index < $end; $index++) {
            $row = $table->row($queues[$index], $now);
            $lines[] = $index === $this->listing->selected() ? $row->all(Style::Selected) : $row;
        }
        if ($problems !== []) {
            $lines = array_pad($lines, $rows - $below, Line::of());
            $lines[] = Line::of('LAST EVENTS', Style::Head);
            foreach ($problems as $problem) {
                $lines[] = Line::of(date('H:i:s', $problem->time) . '  ', Style::Dim)->add("$problem->queue  ")
                    ->add(Words::error($problem->text), $problem->isOver ? Style::Good : Style::Bad);
            }
        }

        return array_slice($lines, 0, $rows);
    }

    private function title(int $columns): Line
    {
        $line = Line::of('amqp1 top', Style::Title)->add(date('  H:i:s'));
        $failing = $this->board->failing();
        $parts = [
            [Words::count(count($this->board->sorted()), 'queue'), Style::Plain],
            $failing > 0 ? ["$failing without figures", Style::Bad] : null,
            ['ready ' . Words::number($this->board->total('ready')), Style::Plain],
            ['failed ' . Words::number($this->board->total('failed')), $this->board->total('failed') > 0 ? Style::Warning : Style::Plain],
            $this->workers->areWatched() ? [Words::count(count($this->workers->all()), 'worker')
                . ($this->workers->failing() > 0 ? ", {$this->workers->failing()} not consuming" : ''),
                $this->workers->failing() > 0 ? Style::Bad : Style::Plain] : null,
            ["every $this->interval s", Style::Dim],
            $this->board->order() === 'given' && !$this->board->isReversed() ? null
                : ["by {$this->board->order()}" . ($this->board->isReversed() ? ', reversed' : ''), Style::Dim],
        ];
        foreach (array_filter($parts) as [$text, $style]) {
            if (Text::width($line->text()) + 2 + strlen($text) <= $columns) {
                $line->add('  ')->add($text, $style);
            }
        }

        return $line;
    }

    /** @param list<WatchedQueue> $queues */
    private function place(array $queues): int
    {
        foreach ($queues as $index => $queue) {
            if ($queue->name === $this->selected) {
                return $index;
            }
        }

        return 0;
    }

    public function key(string $key): void
    {
        $queues = $this->board->sorted();
        if ($this->listing->key($key, count($queues))) {
            $this->selected = $queues[$this->listing->selected()]->name;

            return;
        }
        switch ($key) {
            case 'enter':
            case 'f':
                $this->desk->open(new FailedPage($queues[$this->listing->selected()], $this->desk));
                break;
            case 's':
                $this->selected ??= $queues[$this->listing->selected()]->name;
                $this->board->sortByNext();
                $this->desk->say("Sorted by {$this->board->order()}" . ($this->board->order() === 'given' ? ' order' : ''));
                break;
            case 'S':
                $this->selected ??= $queues[$this->listing->selected()]->name;
                $this->board->reverse();
                break;
            case '+':
            case '-':
                $this->interval = $this->desk->changeInterval($key === '+' ? 2 : 0.5);
                break;
            case 'w':
                $this->desk->open(new WorkersPage($this->workers, $this->desk));
                break;
            case 'e':
                $this->desk->open(new EventsPage($this->board, $this->desk));
                break;
            case ' ':
                $this->desk->refresh();
                break;
            case 'q':
                $this->desk->quit();
                break;
        }
    }

    public function hints(): array
    {
        return ['q quit', 'f failed jobs', 'w workers', '? help', 's sort', 'S reverse', 'e events', '+/- interval', 'Space now'];
    }
}
