<?php

declare(strict_types=1);

namespace Amqp1\Worker\Monitoring;

use Amqp1\TaskInterface;
use Amqp1\Worker\Event;

/**
 * What a worker counts for those who watch it.
 *
 * @internal
 */
final class Figures
{
    /** Upper limits of the durations that are counted together: seconds. */
    public const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800];

    public const WAIT_BUCKETS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400];

    private const OUTCOMES = [
        Event::JOB_ACK => 'acked',
        Event::JOB_RETRY => 'retried',
        Event::JOB_DEAD_LETTER => 'dead_lettered',
        Event::JOB_RELEASED => 'released',
        Event::JOB_DROPPED => 'dropped',
        Event::JOB_LOST => 'lost',
    ];

    /** @var array<string, array<string, int>> by queue and outcome */
    private array $jobs = [];

    /** @var array<string, array{buckets: list<int>, sum: float, count: int}> by queue */
    private array $calls = [];

    /** @var array<string, array{buckets: list<int>, sum: float, count: int}> by queue */
    private array $waits = [];

    private ?float $lastJob = null;
    private int $outages = 0;

    /** @param list<string> $queues that are counted from the start: a counter that begins at 1 shows no increase */
    public function __construct(array $queues = [])
    {
        $this->jobs = array_fill_keys($queues, array_fill_keys(self::OUTCOMES, 0));
    }

    public function job(string $event, TaskInterface $task): void
    {
        if ($event === Event::JOB_START) {
            $this->waited($task);
        }
        $outcome = self::OUTCOMES[$event] ?? null;
        if ($outcome !== null) {
            $queue = $task->getQueue();
            $this->jobs[$queue] ??= array_fill_keys(self::OUTCOMES, 0);
            $this->jobs[$queue][$outcome]++;
            $this->lastJob = microtime(true);
        }
    }

    /** A handler has ended. */
    public function call(string $queue, float $seconds): void
    {
        self::count($this->calls[$queue], self::BUCKETS, $seconds);
    }

    /** How long a job waited for its first attempt, from when it was due. Clocks of producers may differ from this one. */
    private function waited(TaskInterface $task): void
    {
        $created = $task->getAttempts() === 1 ? $task->getCreationTime() : null;
        if ($created !== null) {
            $wait = microtime(true) - (float) $created->format('U.u') - $task->getDelay();
            self::count($this->waits[$task->getQueue()], self::WAIT_BUCKETS, max(0.0, $wait));
        }
    }

    /**
     * @param array{buckets: list<int>, sum: float, count: int}|null $values
     * @param list<int|float> $limits
     */
    private static function count(?array &$values, array $limits, float $seconds): void
    {
        $values ??= ['buckets' => array_fill(0, count($limits), 0), 'sum' => 0.0, 'count' => 0];
        foreach ($limits as $index => $limit) {
            if ($seconds <= $limit) {
                $values['buckets'][$index]++;
                break;
            }
        }
        $values['sum'] += $seconds;
        $values['count']++;
    }

    public function outage(): void
    {
        $this->outages++;
    }

    /** @return array<string, mixed> */
    public function all(): array
    {
        return [
            'jobs' => $this->jobs, 'calls' => $this->calls, 'waits' => $this->waits, 'last_job' => $this->lastJob, 'outages' => $this->outages,
        ];
    }
}
