<?php

declare(strict_types=1);

namespace Amqp1\Worker\Monitoring;

/**
 * The figures of the extension in the worker's process, as Amqp1\metrics() returns them: all that it pushes, receives and
 * settles, and its connections.
 *
 * @internal
 */
final class ClientMetrics
{
    private const COUNTERS = [
        'pushed' => ['amqp1_client_pushed_jobs_total', 'Jobs that this process pushed.'],
        'confirmed' => ['amqp1_client_confirmed_jobs_total', 'Pushed jobs that the broker confirmed.'],
        'received' => ['amqp1_client_received_jobs_total', 'Jobs that this process received.'],
        'redelivered' => ['amqp1_client_redelivered_jobs_total', 'Received jobs that may have been tried before.'],
        'lost' => ['amqp1_client_lost_jobs_total', 'Jobs that could not be settled.'],
        'abandoned' => ['amqp1_client_abandoned_jobs_total', 'Jobs that PHP freed without settling them.'],
    ];

    private const BY = [
        'failed' => ['kind', 'amqp1_client_failed_pushes_total', 'Pushed jobs that were not confirmed, by kind of error.'],
        'settled' => ['outcome', 'amqp1_client_settled_jobs_total', 'Jobs that were settled, by outcome.'],
    ];

    private const GAUGES = [
        'in_hand' => ['amqp1_client_in_hand_jobs', 'Jobs that PHP has and has not settled.'],
        'buffered' => ['amqp1_client_buffered_jobs', 'Jobs that wait for PHP in this process.'],
    ];

    private const HISTOGRAMS = [
        'push_seconds' => ['amqp1_client_push_duration_seconds', 'How long calls that push took.'],
        'held_seconds' => ['amqp1_client_held_duration_seconds', 'How long jobs were held, from receiving to settling them.'],
    ];

    private const CONNECTIONS = [
        'open' => ['amqp1_client_open_connections', 'gauge', 'Connections that are open.'],
        'opened' => ['amqp1_client_opened_connections_total', 'counter', 'Connections that were opened.'],
        'reopened' => ['amqp1_client_reopened_connections_total', 'counter', 'Of these, after a loss.'],
        'lost' => ['amqp1_client_lost_connections_total', 'counter', 'Connections that were lost.'],
        'failed' => ['amqp1_client_failed_connections_total', 'counter', 'Attempts to connect that were given up.'],
        'locks_renewed' => ['amqp1_client_renewed_locks_total', 'counter', 'Locks of Service Bus that were renewed.'],
        'locks_lost' => ['amqp1_client_lost_locks_total', 'counter', 'Locks of Service Bus that were lost.'],
        'taken_back' => ['amqp1_client_taken_back_jobs_total', 'counter', 'Jobs that the broker took back.'],
        'blocked_seconds' => ['amqp1_client_blocked_seconds_total', 'counter', 'How long pushes waited for a broker that accepted no jobs.'],
    ];

    private const REQUESTS = [
        'sent' => ['amqp1_client_sent_requests_total', 'Requests that the broker confirmed.'],
        'answered' => ['amqp1_client_answered_requests_total', 'Of these, answered in time.'],
        'timed_out' => ['amqp1_client_timed_out_requests_total', 'Of these, not answered in time.'],
        'late' => ['amqp1_client_late_replies_total', 'Replies that no request waited for (any more).'],
    ];

    /** @param array{queues: list<array<string, mixed>>, connections: array<string, int|float>, requests?: array<string, int>} $client */
    public static function write(Exposition $out, array $client): void
    {
        foreach ([[self::COUNTERS, 'counter'], [self::GAUGES, 'gauge']] as [$metrics, $type]) {
            foreach ($metrics as $figure => [$name, $help]) {
                $out->metric($name, $type, $help);
                foreach ($client['queues'] as $queue) {
                    $out->sample($queue[$figure] ?? null, self::labels($queue));
                }
            }
        }
        foreach (self::BY as $figure => [$label, $name, $help]) {
            $out->metric($name, 'counter', $help);
            foreach ($client['queues'] as $queue) {
                foreach ($queue[$figure] ?? [] as $which => $count) {
                    $out->sample($count, self::labels($queue) + [$label => $which]);
                }
            }
        }
        foreach (self::HISTOGRAMS as $figure => [$name, $help]) {
            $out->metric($name, 'histogram', $help);
            foreach ($client['queues'] as $queue) {
                if (isset($queue[$figure])) {
                    $out->cumulative($queue[$figure], self::labels($queue));
                }
            }
        }
        foreach (self::CONNECTIONS as $figure => [$name, $type, $help]) {
            $out->metric($name, $type, $help)->sample($client['connections'][$figure] ?? null);
        }
        foreach (self::REQUESTS as $figure => [$name, $help]) {
            $out->metric($name, 'counter', $help)->sample($client['requests'][$figure] ?? null);
        }
    }

    /**
     * @param array<string, mixed> $queue
     *
     * @return array<string, string>
     */
    private static function labels(array $queue): array
    {
        return ['queue' => (string) $queue['queue'], 'endpoint' => (string) $queue['endpoint']];
    }
}
