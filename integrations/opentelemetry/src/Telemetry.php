<?php

declare(strict_types=1);

namespace Amqp1\OpenTelemetry;

use Amqp1\OpenTelemetry\Propagation\HeaderGetter;
use Amqp1\OpenTelemetry\Propagation\PushSetter;
use OpenTelemetry\API\Globals;
use OpenTelemetry\API\Metrics\MeterProviderInterface;
use OpenTelemetry\API\Trace\Span;
use OpenTelemetry\API\Trace\SpanBuilderInterface;
use OpenTelemetry\API\Trace\SpanInterface;
use OpenTelemetry\API\Trace\StatusCode;
use OpenTelemetry\API\Trace\TracerInterface;
use OpenTelemetry\API\Trace\TracerProviderInterface;
use OpenTelemetry\Context\Context;
use OpenTelemetry\Context\ContextInterface;
use OpenTelemetry\Context\Propagation\TextMapPropagatorInterface;

/**
 * The application's tracer, meter and propagator. The global ones are looked up at the first job, when the SDK is set up.
 *
 * @internal
 */
final class Telemetry
{
    private const NAME = 'io.github.amqp1';
    private const SCHEMA = 'https://opentelemetry.io/schemas/1.44.0';

    private ?TracerInterface $tracer = null;
    private ?Metrics $metrics = null;
    private readonly HeaderGetter $getter;
    private readonly PushSetter $setter;

    public function __construct(
        private readonly ?TracerProviderInterface $tracers,
        private readonly ?MeterProviderInterface $meters,
        private readonly ?TextMapPropagatorInterface $propagator,
        public readonly Options $options,
    ) {
        $this->getter = new HeaderGetter();
        $this->setter = new PushSetter();
    }

    /** @param array<string, mixed> $attributes */
    public function span(string $name, int $kind, array $attributes): SpanBuilderInterface
    {
        $this->tracer ??= ($this->tracers ?? Globals::tracerProvider())
            ->getTracer(self::NAME, phpversion('amqp1') ?: null, self::SCHEMA);

        return $this->tracer->spanBuilder($name)->setSpanKind($kind)->setAttributes($attributes);
    }

    public function metrics(): Metrics
    {
        return $this->metrics ??= new Metrics(($this->meters ?? Globals::meterProvider())
            ->getMeter(self::NAME, phpversion('amqp1') ?: null, self::SCHEMA));
    }

    /** Writes the span's context into the job's headers, and the current baggage. */
    public function inject(\Amqp1\Observation\Push $push, SpanInterface $span): void
    {
        $this->propagator()->inject($push, $this->setter, Context::getCurrent()->withContextValue($span));
    }

    /**
     * The context in which the job was created, on top of the current one.
     *
     * @param array<string, list<string>> $headers
     */
    public function creation(array $headers): Creation
    {
        $current = Context::getCurrent();
        $context = $headers === [] ? $current : $this->propagator()->extract($headers, $this->getter, $current);
        $span = Span::fromContext($context);

        return new Creation($context, $span === Span::fromContext($current) ? null : $span->getContext());
    }

    /** Whether a span is active. */
    public static function hasActive(): bool
    {
        return Span::getCurrent()->getContext()->isValid();
    }

    public static function fail(SpanInterface $span, string $type, ?string $description): void
    {
        $span->setAttribute('error.type', $type);
        $span->setStatus(StatusCode::STATUS_ERROR, $description);
    }

    private function propagator(): TextMapPropagatorInterface
    {
        return $this->propagator ?? Globals::propagator();
    }
}
