<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

use Amqp1\Worker\Monitoring\Health;

/**
 * A worker, as the state that it writes shows it.
 *
 * @internal
 */
final class WatchedWorker
{
    /** Rates are over so many seconds. */
    private const WINDOW = 10.0;

    /** How jobs end that are not done. */
    private const FAILURES = ['retried', 'dead_lettered', 'lost'];

    /** @var list<array{at: float, jobs: array<string, array<string, int>>}> the oldest first */
    private array $readings = [];

    /** @var array<string, mixed> */
    private array $now = [];

    /** @var array<string, mixed> */
    private array $figures = [];

    private ?Health $health = null;

    /** @param string $name its state file's, without what all of them end with */
    public function __construct(public readonly string $name)
    {
    }

    /** @param array{now: array<string, mixed>, figures: array<string, mixed>}|null $state null: nobody has written one */
    public function read(?array $state, float $at): void
    {
        $this->health = $state === null ? null : Health::judge($state['now']);
        if ($state === null || ($this->now['pid'] ?? null) !== $state['now']['pid']) {
            // Another one, whose counters begin again.
            $this->readings = [];
        }
        [$this->now, $this->figures] = [$state['now'] ?? [], $state['figures'] ?? []];
        if ($state !== null) {
            $this->readings[] = ['at' => $at, 'jobs' => $state['figures']['jobs']];
            while (count($this->readings) > 2 && $at - $this->readings[1]['at'] >= self::WINDOW) {
                array_shift($this->readings);
            }
        }
    }

    public function pid(): ?int
    {
        return $this->now['pid'] ?? null;
    }

    public function isAlive(): bool
    {
        return $this->health?->isAlive === true;
    }

    public function isReady(): bool
    {
        return $this->health?->isReady === true;
    }

    public function isPaused(): bool
    {
        return $this->isAlive() && $this->now['phase'] === Health::PAUSED;
    }

    /**
     * Pauses it, or lets it go on.
     *
     * @return string|null why that is not possible
     */
    public function pause(bool $paused): ?string
    {
        return match (true) {
            !$this->isAlive() => 'it is not running',
            $this->now['phase'] === Health::STARTING => 'it has not reached its broker yet',
            // The signal would end it.
            ($this->figures['pauses'] ?? false) !== true => 'it was started without signal handlers',
            !@posix_kill((int) $this->pid(), $paused ? SIGUSR2 : SIGCONT) => posix_strerror(posix_get_last_error()),
            default => null,
        };
    }

    /** In words. */
    public function state(): string
    {
        return $this->health === null ? 'no state' : (string) preg_replace('/^worker \d+ (is )?/', '', $this->health->text);
    }

    public function inHand(): ?int
    {
        return $this->now['in_hand'] ?? null;
    }

    /** Jobs of all queues that it has done since it started. */
    public function done(): ?int
    {
        return $this->readings === [] ? null : self::count($this->readings[count($this->readings) - 1]['jobs'], ['acked']);
    }

    /** Jobs a second that it has done. @param string|null $queue null: of all queues */
    public function doneRate(?string $queue = null): ?float
    {
        return $this->rate(['acked'], $queue);
    }

    /** Jobs a second that have failed, whether they come again or not. */
    public function failedRate(): ?float
    {
        return $this->rate(self::FAILURES, null);
    }

    public function memory(): ?int
    {
        return $this->figures['memory'] ?? null;
    }

    /** Seconds since it started. */
    public function age(float $unix): ?float
    {
        return isset($this->figures['started']) ? $unix - $this->figures['started'] : null;
    }

    /** @param list<string> $outcomes */
    private function rate(array $outcomes, ?string $queue): ?float
    {
        if (count($this->readings) < 2) {
            return null;
        }
        [$first, $last] = [$this->readings[0], $this->readings[count($this->readings) - 1]];
        $only = static fn (array $jobs): array => $queue === null ? $jobs : array_intersect_key($jobs, [$queue => true]);
        $jobs = self::count($only($last['jobs']), $outcomes) - self::count($only($first['jobs']), $outcomes);

        return $jobs / max(0.001, $last['at'] - $first['at']);
    }

    /**
     * @param array<string, array<string, int>> $jobs
     * @param list<string> $outcomes
     */
    private static function count(array $jobs, array $outcomes): int
    {
        $count = 0;
        foreach ($jobs as $byOutcome) {
            $count += array_sum(array_intersect_key($byOutcome, array_flip($outcomes)));
        }

        return $count;
    }
}
