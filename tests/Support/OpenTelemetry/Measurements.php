<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support\OpenTelemetry;

use OpenTelemetry\API\Metrics\CounterInterface;
use OpenTelemetry\API\Metrics\HistogramInterface;
use OpenTelemetry\API\Metrics\MeterInterface;
use OpenTelemetry\API\Metrics\MeterProviderInterface;
use OpenTelemetry\Context\ContextInterface;

/** A meter that keeps what is measured, for tests without the SDK. */
final class Measurements implements MeterProviderInterface, MeterInterface
{
    /** @var array<string, list<array{array<string, mixed>, int|float}>> */
    public array $all = [];

    public function getMeter(string $name, ?string $version = null, ?string $schemaUrl = null, iterable $attributes = []): MeterInterface
    {
        return $this;
    }

    public function createCounter(string $name, ?string $unit = null, ?string $description = null, array $advisory = []): CounterInterface
    {
        return $this->instrument($name);
    }

    public function createHistogram(string $name, ?string $unit = null, ?string $description = null, array $advisory = []): HistogramInterface
    {
        return $this->instrument($name);
    }

    private function instrument(string $name): CounterInterface&HistogramInterface
    {
        return new class($this, $name) implements CounterInterface, HistogramInterface {
            public function __construct(private readonly Measurements $all, private readonly string $name)
            {
            }

            public function add(float|int $amount, iterable $attributes = [], ContextInterface|false|null $context = null): void
            {
                $this->all->all[$this->name][] = [[...$attributes], $amount];
            }

            public function record(float|int $amount, iterable $attributes = [], ContextInterface|false|null $context = null): void
            {
                $this->all->all[$this->name][] = [[...$attributes], $amount];
            }
        };
    }
}
