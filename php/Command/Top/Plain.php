<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

use Amqp1\Console\ExitCode;
use Amqp1\Console\Output;

/**
 * The same figures without a screen: a table or a JSON object each time, or once.
 *
 * @internal
 */
final class Plain
{
    /** @param list<string> $names */
    public function __construct(
        private readonly Board $board,
        private readonly Watch $watch,
        private readonly Workers $workers,
        private readonly Probes $probes,
        private readonly array $names,
        private readonly Output $output,
    ) {
    }

    /** Prints after the second round: rates are the difference of two. */
    public function run(bool $once): int
    {
        try {
            $this->round();
            $isSecond = true;
            do {
                $this->pause();
                $this->round($isSecond);
                $isSecond = false;
                $this->output->json ? $this->json($once) : $this->table($once);
            } while (!$once && $this->output->hasReader());
        } finally {
            $this->probes->close(0.2);
        }
        $codes = array_filter(array_map(fn (string $name) => $this->board->queue($name)->code(), $this->names));

        return $once ? (reset($codes) ?: ExitCode::OK) : ExitCode::OK;
    }

    /** @param bool $all those too that are not due: the first answer took long because it needed a connection */
    private function round(bool $all = false): void
    {
        $this->watch->ask($all);
        while ($this->watch->isWaiting()) {
            [$read, $write, $except] = [$this->probes->streams(), null, null];
            @stream_select($read, $write, $except, 1);
            $this->probes->settle();
            // Those for which no probe was free.
            $this->watch->ask();
        }
    }

    private function pause(): void
    {
        $until = Watch::now() + $this->watch->interval;
        while (($rest = $until - Watch::now()) > 0) {
            usleep((int) min($rest * 1e6 + 1, 1e6));
        }
    }

    private function table(bool $once): void
    {
        if (!$once) {
            $this->output->line(date('Y-m-d H:i:s'));
        }
        $now = Watch::now();
        $queues = array_map($this->board->queue(...), $this->names);
        $this->output->table(
            ['QUEUE', 'READY', 'CHANGE/S', 'DELAYED', 'RESERVED', 'FAILED', 'OLDEST', 'CONSUMERS', 'EMPTY IN', 'BROKER'],
            array_map(static fn (WatchedQueue $queue) => [
                $queue->name,
                $queue->reading()?->ready,
                $queue->change() === null ? null : round($queue->change(), 1),
                $queue->reading()?->delayed,
                $queue->reading()?->reserved,
                $queue->reading()?->failed,
                Words::seconds($queue->reading()?->oldest),
                $queue->reading()?->consumers,
                Words::seconds($queue->emptyIn()),
                $queue->error() === null ? $queue->reading()?->broker : QueueTable::problem($queue, $now),
            ], $queues)
        );
        if ($this->workers->all() !== []) {
            $this->output->line();
            $this->output->table(
                ['WORKER', 'PID', 'DONE/S', 'FAIL/S', 'DONE', 'UP', 'STATE'],
                array_map(static fn (WatchedWorker $worker) => [
                    $worker->name,
                    $worker->pid(),
                    $worker->doneRate() === null ? null : round($worker->doneRate(), 1),
                    $worker->failedRate() === null ? null : round($worker->failedRate(), 1),
                    $worker->done(),
                    Words::seconds($worker->age(microtime(true))),
                    $worker->state(),
                ], $this->workers->all())
            );
        }
        if (!$once) {
            $this->output->line();
        }
    }

    private function json(bool $once): void
    {
        $round = ['time' => gmdate('Y-m-d\TH:i:s\Z'), 'queues' => array_map(function (string $name): array {
            $queue = $this->board->queue($name);
            $reading = $queue->reading();

            return [
                'queue' => $name,
                'ready' => $reading?->ready,
                'change_per_second' => self::rounded($queue->change()),
                'delayed' => $reading?->delayed,
                'reserved' => $reading?->reserved,
                'failed' => $reading?->failed,
                'failed_per_second' => self::rounded($queue->failedChange()),
                'oldest_age' => self::rounded($reading?->oldest),
                'oldest_failed_age' => self::rounded($reading?->oldestFailed),
                'consumers' => $reading?->consumers,
                'empty_in' => self::rounded($queue->emptyIn()),
                'broker' => $reading?->broker,
                'state' => $queue->state(Watch::now())->value,
                'error' => $queue->error(),
            ];
        }, $this->names), 'workers' => array_map(static fn (WatchedWorker $worker) => [
            'worker' => $worker->name,
            'pid' => $worker->pid(),
            'alive' => $worker->isAlive(),
            'ready' => $worker->isReady(),
            'state' => $worker->state(),
            'done' => $worker->done(),
            'done_per_second' => self::rounded($worker->doneRate()),
            'failed_per_second' => self::rounded($worker->failedRate()),
            'in_hand' => $worker->inHand(),
            'memory' => $worker->memory(),
        ], $this->workers->all())];
        // An object a line, for those who read them as they come.
        $once ? $this->output->json($round) : $this->output->line((string) json_encode(
            $round,
            JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PRESERVE_ZERO_FRACTION
        ));
    }

    private static function rounded(?float $number): ?float
    {
        return $number === null ? null : round($number, 3);
    }
}
