<?php

declare(strict_types=1);

namespace Amqp1\OpenTelemetry;

use OpenTelemetry\API\Metrics\CounterInterface;
use OpenTelemetry\API\Metrics\HistogramInterface;
use OpenTelemetry\API\Metrics\MeterInterface;

/**
 * The metrics of the conventions for messaging clients.
 *
 * @internal
 */
final class Metrics
{
    /** Advised by the conventions. */
    private const BOUNDARIES = ['ExplicitBucketBoundaries' => [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]];

    /** What has few values. */
    private const ATTRIBUTES = ['messaging.system' => 0, 'messaging.operation.type' => 0, 'messaging.operation.name' => 0,
        'messaging.destination.name' => 0, 'server.address' => 0, 'server.port' => 0];

    private readonly HistogramInterface $duration;
    private readonly HistogramInterface $process;
    private readonly CounterInterface $sent;
    private readonly CounterInterface $consumed;

    public function __construct(MeterInterface $meter)
    {
        $this->duration = $meter->createHistogram('messaging.client.operation.duration', 's',
            'Duration of messaging operation initiated by a producer or consumer client.', self::BOUNDARIES);
        $this->process = $meter->createHistogram('messaging.process.duration', 's',
            'Duration of processing operation.', self::BOUNDARIES);
        $this->sent = $meter->createCounter('messaging.client.sent.messages', '{message}',
            'Number of messages producer attempted to send to the broker.');
        $this->consumed = $meter->createCounter('messaging.client.consumed.messages', '{message}',
            'Number of messages that were delivered to the application.');
    }

    /** @param array<string, mixed> $attributes of the span */
    public function operation(float $seconds, array $attributes, ?string $error = null): void
    {
        $this->duration->record($seconds, self::of($attributes, $error));
    }

    /** @param array<string, mixed> $attributes */
    public function processed(float $seconds, array $attributes, ?string $error): void
    {
        $this->process->record($seconds, self::of($attributes, $error));
    }

    /** @param array<string, mixed> $attributes */
    public function sent(array $attributes, ?string $error): void
    {
        $this->sent->add(1, self::of($attributes, $error));
    }

    /** @param array<string, mixed> $attributes */
    public function consumed(array $attributes): void
    {
        $this->consumed->add(1, self::of($attributes, null));
    }

    /**
     * @param array<string, mixed> $attributes
     *
     * @return array<string, mixed>
     */
    private static function of(array $attributes, ?string $error): array
    {
        return array_intersect_key($attributes, self::ATTRIBUTES) + ($error === null ? [] : ['error.type' => $error]);
    }
}
