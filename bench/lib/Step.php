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

    public function countsCalls(): bool
    {
        return in_array('calls', array_map(static fn (Metric $metric) => $metric->key, $this->metrics), true);
    }
}
