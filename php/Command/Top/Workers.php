<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

use Amqp1\Worker\Monitoring\StateFile;

/**
 * The workers of this machine that write a state file (`amqp1 work --state-file`).
 *
 * @internal
 */
final class Workers
{
    /** @var array<string, WatchedWorker> by file */
    private array $workers = [];

    /** @param list<string> $patterns files, or shell patterns of files */
    public function __construct(private readonly array $patterns)
    {
    }

    /** Whether there is anything to look at. */
    public function areWatched(): bool
    {
        return $this->patterns !== [];
    }

    /** Reads all files, also those that are new. */
    public function read(float $now): void
    {
        $files = [];
        foreach ($this->patterns as $pattern) {
            // One that is named stays, also when its file is gone.
            array_push($files, ...(strpbrk($pattern, '*?[{') === false ? [$pattern] : (glob($pattern, GLOB_BRACE) ?: [])));
        }
        $workers = [];
        foreach (array_unique($files) as $file) {
            $workers[$file] = $this->workers[$file] ?? new WatchedWorker(pathinfo($file, PATHINFO_FILENAME));
            $workers[$file]->read(is_dir($file) ? null : StateFile::read($file), $now);
        }
        $this->workers = $workers;
    }

    /** @return list<WatchedWorker> */
    public function all(): array
    {
        return array_values($this->workers);
    }

    /** Jobs a second that they have done of a queue; null: none of them tells. */
    public function doneRate(string $queue): ?float
    {
        $rates = array_filter(
            array_map(static fn (WatchedWorker $worker) => $worker->doneRate($queue), $this->all()),
            static fn (?float $rate) => $rate !== null,
        );

        return $rates === [] ? null : array_sum($rates);
    }

    /** How many of them are not well. */
    public function failing(): int
    {
        return count(array_filter($this->all(), static fn (WatchedWorker $worker) => !$worker->isReady()));
    }
}
