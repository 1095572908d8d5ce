<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

/**
 * All queues that are watched, in the order in which they are shown, and what went wrong with them.
 *
 * @internal
 */
final class Board
{
    /** What they can be sorted by; numbers with the greatest first. */
    public const ORDERS = ['given', 'name', 'ready', 'change', 'failed', 'delayed', 'reserved', 'oldest'];

    private const PROBLEMS = 100;

    /** @var array<string, WatchedQueue> */
    private readonly array $queues;

    /** @var list<Problem> the newest last */
    private array $problems = [];

    private string $order = 'given';
    private bool $isReversed = false;

    /** @param list<string> $names */
    public function __construct(array $names)
    {
        $this->queues = array_combine($names, array_map(static fn (string $name) => new WatchedQueue($name), $names));
    }

    public function queue(string $name): WatchedQueue
    {
        return $this->queues[$name];
    }

    public function order(): string
    {
        return $this->order;
    }

    public function isReversed(): bool
    {
        return $this->isReversed;
    }

    /** By the next of ORDERS. */
    public function sortByNext(): void
    {
        $next = (int) array_search($this->order, self::ORDERS, true) + 1;
        $this->order = self::ORDERS[$next % count(self::ORDERS)];
        $this->isReversed = false;
    }

    public function reverse(): void
    {
        $this->isReversed = !$this->isReversed;
    }

    /** @return list<WatchedQueue> */
    public function sorted(): array
    {
        $queues = array_values($this->queues);
        $places = array_flip(array_keys($this->queues));
        $number = fn (WatchedQueue $queue): float => (float) match ($this->order) {
            'change' => $queue->change() ?? -INF,
            'given', 'name' => 0,
            default => $queue->reading()?->{$this->order} ?? -INF,
        };
        usort($queues, fn (WatchedQueue $a, WatchedQueue $b) => $number($b) <=> $number($a)
            ?: ($this->order === 'name' ? strnatcasecmp($a->name, $b->name) : 0)
            ?: $places[$a->name] <=> $places[$b->name]);

        return $this->isReversed ? array_reverse($queues) : $queues;
    }

    public function answer(string $name, Reading $reading, int $time): void
    {
        $queue = $this->queues[$name];
        if ($queue->error() !== null) {
            $this->note(new Problem($time, $name, 'answers again, after ' . Words::seconds($queue->silence($reading->at)), true));
        }
        $queue->answer($reading);
        if ($queue->newlyFailed() > 0) {
            $this->noteFailed($time, $name, $queue->newlyFailed());
        }
    }

    /** @param int $code one of ExitCode's */
    public function fail(string $name, string $error, int $code, float $now, int $time): void
    {
        $queue = $this->queues[$name];
        $before = $queue->error() === null ? null : $queue->code();
        $queue->fail($error, $code, $now);
        // The text may count attempts.
        if ($before !== $code) {
            $this->note(new Problem($time, $name, $error));
        }
    }

    /** One line for all of a queue, until something else happens to it: they must not push the others out. */
    private function noteFailed(int $time, string $queue, int $more): void
    {
        $since = $time;
        foreach (array_reverse($this->problems, true) as $index => $problem) {
            if ($problem->queue === $queue) {
                if ($problem->failed > 0) {
                    [$since, $more] = [$problem->since, $more + $problem->failed];
                    unset($this->problems[$index]);
                }
                break;
            }
        }
        $text = Words::count($more, 'more failed job') . ($since === $time ? '' : ' since ' . date('H:i:s', $since));
        $this->note(new Problem($time, $queue, $text, false, $more, $since));
    }

    private function note(Problem $problem): void
    {
        $this->problems = array_slice([...$this->problems, $problem], -self::PROBLEMS);
    }

    /** @return list<Problem> the newest first */
    public function problems(int $max): array
    {
        return array_slice(array_reverse($this->problems), 0, $max);
    }

    /** The sum of a figure of all queues; null: none of their brokers tells it. */
    public function total(string $figure): ?int
    {
        $known = array_filter(
            array_map(static fn (WatchedQueue $queue) => $queue->reading()?->$figure, $this->queues),
            static fn (?int $number) => $number !== null,
        );

        return $known === [] ? null : array_sum($known);
    }

    /** How many of them have no figures, because something is wrong. */
    public function failing(): int
    {
        return count(array_filter($this->queues, static fn (WatchedQueue $queue) => $queue->error() !== null));
    }
}
