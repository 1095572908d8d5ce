<?php

declare(strict_types=1);

namespace Amqp1\Worker\Monitoring;

/**
 * A worker's metrics, from its state and its queues' figures.
 *
 * @internal
 */
final class Metrics
{
    private bool $isOver = false;

    public function __construct(private readonly StateFile $state, private readonly QueueFigures $queues)
    {
    }

    public function queues(): QueueFigures
    {
        return $this->queues;
    }

    /** The worker has ended, even if its process, which closes its sockets first, is still to be seen for a moment. */
    public function end(): void
    {
        $this->isOver = true;
        $this->queues->forget();
    }

    public function health(): Health
    {
        return Health::judge($this->state->state()['now'] ?? throw new \RuntimeException('the worker has no state'));
    }

    /** @param array<string, string> $labels that every sample has */
    public function text(array $labels = []): string
    {
        $state = $this->state->state() ?? throw new \RuntimeException('the worker has no state');
        $out = new Exposition($labels);
        if ($this->isOver) {
            $state['now']['phase'] = Health::STOPPED;
        }
        self::worker($out, $state['now'], $state['figures'], Health::judge($state['now']));
        self::jobs($out, $state['figures']);
        self::queuesOf($out, $this->queues->all());
        if (isset($state['figures']['client'])) {
            ClientMetrics::write($out, $state['figures']['client']);
        }

        return $out->text();
    }

    /**
     * @param array<string, mixed> $now
     * @param array<string, mixed> $figures
     */
    private static function worker(Exposition $out, array $now, array $figures, Health $health): void
    {
        $isThere = $now['phase'] !== Health::STOPPED && Process::isAlive($now['pid'], $now['born']);
        $clock = hrtime(true);
        $out->metric('amqp1_worker_info', 'gauge', 'The versions that the worker runs with; always 1.')
            ->sample(1, ['version' => $figures['version'], 'php_version' => $figures['php']]);
        $out->metric('amqp1_worker_alive', 'gauge', 'Whether the worker goes round or works, as /healthz.')->sample((int) $health->isAlive);
        $out->metric('amqp1_worker_ready', 'gauge', 'Whether the worker consumes, as /readyz.')->sample((int) $health->isReady);
        $out->metric('amqp1_worker_start_time_seconds', 'gauge', 'When the worker started, as Unix time.')->sample($figures['started']);
        $out->metric('amqp1_worker_restarts_total', 'counter', 'Earlier workers that used the same state file.')->sample($figures['restarts']);
        $out->metric('amqp1_worker_outages_total', 'counter', 'How often the worker lost its broker and could not get it back at once.')
            ->sample($figures['outages']);
        $out->metric('amqp1_worker_jobs_in_hand', 'gauge', 'Jobs that a handler works on.')->sample($isThere ? $now['in_hand'] : 0);
        $out->metric('amqp1_worker_handler_running_seconds', 'gauge', 'How long the current call of a handler has run; 0 without one.')
            ->sample($isThere && $now['since'] !== null ? ($clock - $now['since']) / 1e9 : 0);
        $out->metric('amqp1_worker_last_turn_age_seconds', 'gauge', 'How long ago the loop of the worker last showed that it turns.')
            ->sample($isThere ? max(0.0, ($clock - $now['at']) / 1e9) : null);
        $out->metric('amqp1_worker_php_memory_bytes', 'gauge', 'Memory that PHP has taken from the system.')
            ->sample($isThere ? $figures['memory'] : null);
        $out->metric('amqp1_worker_resident_memory_bytes', 'gauge', 'Memory that the process of the worker has in use.')
            ->sample($isThere ? Process::residentBytes($now['pid']) : null);
        $out->metric('amqp1_worker_cpu_seconds_total', 'counter', 'CPU time that the process of the worker has used.')
            ->sample($isThere ? Process::cpuSeconds($now['pid']) : null);
    }

    /** @param array<string, mixed> $figures */
    private static function jobs(Exposition $out, array $figures): void
    {
        $out->metric('amqp1_jobs_total', 'counter', 'Jobs by how they ended in this worker.');
        foreach ($figures['jobs'] as $queue => $outcomes) {
            foreach ($outcomes as $outcome => $count) {
                $out->sample($count, ['queue' => $queue, 'outcome' => $outcome]);
            }
        }
        $out->metric('amqp1_handler_duration_seconds', 'histogram', 'How long calls of handlers took; a batch is one call.');
        foreach ($figures['calls'] as $queue => $calls) {
            $out->histogram(Figures::BUCKETS, $calls, ['queue' => $queue]);
        }
        $out->metric('amqp1_job_wait_seconds', 'histogram', 'How long jobs waited for their first attempt, from when they were due.');
        foreach ($figures['waits'] as $queue => $waits) {
            $out->histogram(Figures::WAIT_BUCKETS, $waits, ['queue' => $queue]);
        }
        $out->metric('amqp1_last_job_timestamp_seconds', 'gauge', 'When a job last ended in this worker, as Unix time.')->sample($figures['last_job']);
    }

    /** @param array<string, array<string, int|float|null>> $queues */
    private static function queuesOf(Exposition $out, array $queues): void
    {
        $out->metric('amqp1_queue_up', 'gauge', 'Whether the broker told the figures of the queue when it was last asked.');
        foreach ($queues as $queue => $figures) {
            $out->sample((int) ($figures !== []), ['queue' => $queue]);
        }
        foreach ([
            'ready' => ['amqp1_queue_ready_jobs', 'Jobs that wait to be delivered.'],
            'delayed' => ['amqp1_queue_delayed_jobs', 'Jobs that wait for their time.'],
            'reserved' => ['amqp1_queue_reserved_jobs', 'Jobs that are delivered and not settled.'],
            'failed' => ['amqp1_queue_failed_jobs', 'Jobs in the failed queue.'],
            'oldest_age' => ['amqp1_queue_oldest_job_age_seconds', 'How long ago the oldest job that waits became due; 0 without one.'],
            'oldest_failed_age' => ['amqp1_queue_oldest_failed_job_age_seconds', 'How long ago the oldest job in the failed queue failed; 0 without one.'],
            'consumers' => ['amqp1_queue_consumers', 'Consumers of the queue.'],
            'polled' => ['amqp1_queue_polled_timestamp_seconds', 'When the broker told these figures, as Unix time.'],
        ] as $figure => [$name, $help]) {
            $out->metric($name, 'gauge', $help);
            foreach ($queues as $queue => $figures) {
                $out->sample($figures[$figure] ?? null, ['queue' => $queue]);
            }
        }
    }
}
