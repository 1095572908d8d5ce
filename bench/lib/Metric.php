<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** A figure of a row: its key in the workers' answers, its unit, how it is printed, its target. */
final class Metric
{
    /** Key => unit, digits after the point. */
    private const KNOWN = [
        'rate' => ['jobs/s', 0],
        'requests' => ['requests/s', 0],
        'cpu' => ['µs CPU a job', 1],
        'system' => ['of these in the kernel', 1],
        'broker' => ["µs of the broker's CPU", 1],
        'first' => ['ms until the first job', 0],
        'p50' => ['p50 µs', 0],
        'p99' => ['p99 µs', 0],
        'switches' => ['context switches a job', 2],
        'calls' => ['system calls a job', 2],
        'memory' => ['peak memory, MB', 1],
        'start' => ['memory in the second quarter, MB', 1],
        'end' => ['memory in the last quarter, MB', 1],
        'tenth' => ['memory after a tenth of the jobs, MB', 1],
        'half' => ['memory after half of the jobs, MB', 1],
        'last' => ['memory after all jobs, MB', 1],
        'growth' => ['memory, last / second quarter', 2],
    ];

    public readonly string $unit;
    public readonly int $digits;

    public function __construct(public readonly string $key, public readonly ?Target $target = null)
    {
        [$this->unit, $this->digits] = self::KNOWN[$key];
    }

    public function format(float $figure): string
    {
        return number_format($figure, $this->digits);
    }

    /** @return array{key: string, target: ?array<string, mixed>} */
    public function toArray(): array
    {
        return ['key' => $this->key, 'target' => $this->target?->toArray()];
    }

    /** @param array{key: string, target: ?array<string, mixed>} $data */
    public static function fromArray(array $data): self
    {
        return new self($data['key'], $data['target'] === null ? null : Target::fromArray($data['target']));
    }
}
