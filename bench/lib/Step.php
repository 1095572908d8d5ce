<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** A part of a scenario: one measurement of each client, and its row in the report. */
final class Step
{
    /**
     * @param string $mode push, pushMany, consume, fpm
     * @param string|null $row the row's id; null only prepares the next step
     * @param list<Metric> $metrics
     * @param array<string, mixed> $task values of the Task, such as the prefetch
     * @param int $processes how many share the jobs
     * @param float|null $at where the row is on a picture's axis
     */
    public function __construct(
        public readonly string $mode,
        public readonly ?string $row = null,
        public readonly string $title = '',
        public readonly array $metrics = [],
        public readonly array $task = [],
        public readonly int $processes = 1,
        public readonly ?float $at = null,
    ) {
    }

    /**
     * About how long a job takes: see Scenario::seconds().
     *
     * @param array<string, mixed> $task the scenario's values of the Task
     * @param int $queues each of which has its own prefetch
     */
    public function microseconds(array $task, int $queues = 1): float
    {
        $task = $this->task + $task + ['size' => 256, 'prefetch' => 100];
        $octets = 0.006 * ($task['size'] ?: 1_000);

        return match ($this->mode) {
            'push' => 900,
            'fpm' => 6_000,
            'consume' => 40 + $octets + 900 / max(1, $queues * ($task['prefetch'] ?? 3)),
            default => 40 + $octets,
        };
    }

    public function countsCalls(): bool
    {
        return in_array('calls', array_map(static fn (Metric $metric) => $metric->key, $this->metrics), true);
    }
}
