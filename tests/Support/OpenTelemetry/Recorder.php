<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support\OpenTelemetry;

use OpenTelemetry\API\Metrics\MeterProviderInterface;
use OpenTelemetry\API\Trace\Propagation\TraceContextPropagator;
use OpenTelemetry\API\Trace\TracerProviderInterface;
use OpenTelemetry\Context\Propagation\TextMapPropagatorInterface;
use OpenTelemetry\Contrib\Otlp\OtlpHttpTransportFactory;
use OpenTelemetry\Contrib\Otlp\SpanExporter as OtlpExporter;
use OpenTelemetry\SDK\Metrics\Data\Sum;
use OpenTelemetry\SDK\Metrics\MeterProvider;
use OpenTelemetry\SDK\Metrics\MetricExporter\InMemoryExporter as MetricExporter;
use OpenTelemetry\SDK\Metrics\MetricReader\ExportingReader;
use OpenTelemetry\SDK\Trace\SpanExporter\InMemoryExporter as SpanExporter;
use OpenTelemetry\SDK\Trace\SpanProcessor\SimpleSpanProcessor;
use OpenTelemetry\SDK\Trace\TracerProvider;

/**
 * What a tracer and a meter were given. With AMQP1_TEST_OPENTELEMETRY=/path/vendor/autoload.php, they are those of
 * OpenTelemetry's SDK, which is there, with its exporter for OTLP; otherwise our own.
 */
final class Recorder
{
    public readonly TracerProviderInterface $tracers;
    public readonly MeterProviderInterface $meters;
    public readonly TextMapPropagatorInterface $propagator;

    private ?SpanExporter $spans = null;
    private ?MetricExporter $metrics = null;
    private ?ExportingReader $reader = null;

    /** @param string|null $collector The SDK exports there as well, over OTLP/HTTP in JSON. */
    public function __construct(?string $collector = null)
    {
        self::load();
        $this->propagator = TraceContextPropagator::getInstance();
        if (self::sdk() === null) {
            $this->tracers = new Spans();
            $this->meters = new Measurements();

            return;
        }
        $this->spans = new SpanExporter();
        $processors = [new SimpleSpanProcessor($this->spans)];
        if ($collector !== null) {
            $transport = (new OtlpHttpTransportFactory())->create("$collector/v1/traces", 'application/json');
            $processors[] = new SimpleSpanProcessor(new OtlpExporter($transport));
        }
        $this->tracers = new TracerProvider($processors);
        $this->metrics = new MetricExporter();
        $this->reader = new ExportingReader($this->metrics);
        $this->meters = MeterProvider::builder()->addReader($this->reader)->build();
    }

    /** The file to load the SDK with. */
    public static function sdk(): ?string
    {
        return getenv('AMQP1_TEST_OPENTELEMETRY') ?: null;
    }

    public static function load(): void
    {
        require_once self::sdk() ?? __DIR__ . '/api.php';
    }

    /** @return list<RecordedSpan> in the order in which they ended */
    public function spans(): array
    {
        if ($this->tracers instanceof Spans) {
            return $this->tracers->ended;
        }
        $spans = [];
        foreach ($this->spans?->getSpans() ?? [] as $data) {
            $spans[] = $span = new RecordedSpan($data->getName());
            $span->kind = $data->getKind();
            [$span->trace, $span->id] = [$data->getTraceId(), $data->getSpanId()];
            $span->parent = trim($data->getParentSpanId(), '0') === '' ? null : $data->getParentSpanId();
            [$span->started, $span->ended] = [$data->getStartEpochNanos(), $data->getEndEpochNanos()];
            [$span->status, $span->description] = [$data->getStatus()->getCode(), $data->getStatus()->getDescription()];
            $span->attributes = $data->getAttributes()->toArray();
            foreach ($data->getLinks() as $link) {
                $span->links[] = $link->getSpanContext()->getSpanId();
            }
            foreach ($data->getEvents() as $event) {
                $span->events[] = $event->getName();
            }
        }

        return $spans;
    }

    /** @return array<string, list<array{array<string, mixed>, int}>> by metric: attributes, and how many were counted or recorded */
    public function counts(): array
    {
        $all = [];
        if ($this->meters instanceof Measurements) {
            foreach ($this->meters->all as $name => $measured) {
                $sums = [];
                foreach ($measured as [$attributes, $value]) {
                    ksort($attributes);
                    $sums[serialize($attributes)] = ($sums[serialize($attributes)] ?? 0) + (is_int($value) ? $value : 1);
                }
                foreach ($sums as $attributes => $count) {
                    $all[$name][] = [unserialize($attributes), $count];
                }
            }

            return $all;
        }
        $this->reader?->collect();
        foreach ($this->metrics?->collect(true) ?? [] as $metric) {
            foreach ($metric->data->dataPoints as $point) {
                $attributes = $point->attributes->toArray();
                ksort($attributes);
                $all[$metric->name][] = [$attributes, $metric->data instanceof Sum ? $point->value : $point->count];
            }
        }

        return $all;
    }

    /** The spans as text: each below its parent, with its links by name. */
    public function tree(): string
    {
        $spans = $this->spans();
        usort($spans, static fn (RecordedSpan $a, RecordedSpan $b) => [$a->started, $a->id] <=> [$b->started, $b->id]);
        $names = array_column($spans, 'name', 'id');
        $kinds = ['INTERNAL', 'CLIENT', 'SERVER', 'PRODUCER', 'CONSUMER'];
        $lines = '';
        $write = static function (?string $parent, int $depth) use (&$write, &$lines, $spans, $names, $kinds): void {
            foreach ($spans as $span) {
                if ($span->parent === $parent || $parent === null && !isset($names[(string) $span->parent])) {
                    $links = array_map(static fn (string $id) => $names[$id] ?? $id, $span->links);
                    $lines .= str_repeat('  ', $depth) . "$span->name [{$kinds[$span->kind]}"
                        . ($span->status === 'Error' ? ", error: {$span->attributes['error.type']}" : '') . ']'
                        . ($links === [] ? '' : ' links to ' . implode(', ', $links)) . "\n";
                    $write($span->id, $depth + 1);
                }
            }
        };
        $write(null, 0);

        return $lines;
    }
}
