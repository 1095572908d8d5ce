<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support\OpenTelemetry;

use OpenTelemetry\API\Trace\Span;
use OpenTelemetry\API\Trace\SpanBuilderInterface;
use OpenTelemetry\API\Trace\SpanContext;
use OpenTelemetry\API\Trace\SpanContextInterface;
use OpenTelemetry\API\Trace\SpanInterface;
use OpenTelemetry\API\Trace\TracerInterface;
use OpenTelemetry\API\Trace\TracerProviderInterface;
use OpenTelemetry\Context\ContextInterface;

/** A tracer that keeps its spans, for tests without the SDK. */
final class Spans implements TracerProviderInterface, TracerInterface
{
    /** @var list<RecordedSpan> in the order in which they ended */
    public array $ended = [];

    public function getTracer(string $name, ?string $version = null, ?string $schemaUrl = null, iterable $attributes = []): TracerInterface
    {
        return $this;
    }

    public function spanBuilder(string $spanName): SpanBuilderInterface
    {
        return new class($this, new RecordedSpan($spanName)) implements SpanBuilderInterface {
            private ContextInterface|false|null $parent = null;

            public function __construct(private readonly Spans $spans, private readonly RecordedSpan $span)
            {
            }

            public function setParent(ContextInterface|false|null $context): SpanBuilderInterface
            {
                $this->parent = $context;

                return $this;
            }

            public function addLink(SpanContextInterface $context, iterable $attributes = []): SpanBuilderInterface
            {
                $this->span->links[] = $context->getSpanId();

                return $this;
            }

            public function setAttribute(string $key, mixed $value): SpanBuilderInterface
            {
                $this->span->attributes[$key] = $value;

                return $this;
            }

            public function setAttributes(iterable $attributes): SpanBuilderInterface
            {
                $this->span->attributes = [...$this->span->attributes, ...$attributes];

                return $this;
            }

            public function setStartTimestamp(int $timestampNanos): SpanBuilderInterface
            {
                $this->span->started = $timestampNanos;

                return $this;
            }

            public function setSpanKind(int $spanKind): SpanBuilderInterface
            {
                $this->span->kind = $spanKind;

                return $this;
            }

            public function startSpan(): SpanInterface
            {
                $parent = match ($this->parent) {
                    false => SpanContext::getInvalid(),
                    null => Span::getCurrent()->getContext(),
                    default => Span::fromContext($this->parent)->getContext(),
                };
                $this->span->trace = $parent->isValid() ? $parent->getTraceId() : bin2hex(random_bytes(16));
                $this->span->id = bin2hex(random_bytes(8));
                $this->span->parent = $parent->isValid() ? $parent->getSpanId() : null;
                $this->span->started ??= (int) (microtime(true) * 1e9);

                return self::of($this->spans, $this->span);
            }

            private static function of(Spans $spans, RecordedSpan $span): SpanInterface
            {
                return new class($spans, $span) extends Span {
                    public function __construct(private readonly Spans $spans, private readonly RecordedSpan $span)
                    {
                    }

                    public function getContext(): SpanContextInterface
                    {
                        return SpanContext::create($this->span->trace, $this->span->id);
                    }

                    public function setAttribute(string $key, bool|int|float|string|array|null $value): SpanInterface
                    {
                        $this->span->attributes[$key] = $value;

                        return $this;
                    }

                    public function setAttributes(iterable $attributes): SpanInterface
                    {
                        $this->span->attributes = [...$this->span->attributes, ...$attributes];

                        return $this;
                    }

                    public function addLink(SpanContextInterface $context, iterable $attributes = []): SpanInterface
                    {
                        $this->span->links[] = $context->getSpanId();

                        return $this;
                    }

                    public function recordException(\Throwable $exception, iterable $attributes = []): SpanInterface
                    {
                        $this->span->events[] = 'exception';

                        return $this;
                    }

                    public function updateName(string $name): SpanInterface
                    {
                        $this->span->name = $name;

                        return $this;
                    }

                    public function setStatus(string $code, ?string $description = null): SpanInterface
                    {
                        $this->span->status = $code;
                        $this->span->description = (string) $description;

                        return $this;
                    }

                    public function end(?int $endEpochNanos = null): void
                    {
                        $this->span->ended = (int) (microtime(true) * 1e9);
                        $this->spans->ended[] = $this->span;
                    }
                };
            }
        };
    }
}
