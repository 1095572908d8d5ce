<?php

// The part of the package open-telemetry/api that amqp1/opentelemetry calls, written after its signatures (1.8), for tests
// without it. Its classes do what the tests need and no more.

declare(strict_types=1);

namespace OpenTelemetry\Context {
    interface ScopeInterface
    {
        public function detach(): int;
    }

    interface ContextKeyInterface
    {
    }

    interface ImplicitContextKeyedInterface
    {
        public function activate(): ScopeInterface;

        public function storeInContext(ContextInterface $context): ContextInterface;
    }

    interface ContextInterface
    {
        public static function createKey(string $key): ContextKeyInterface;

        public static function getCurrent(): ContextInterface;

        public function activate(): ScopeInterface;

        public function with(ContextKeyInterface $key, $value): ContextInterface;

        public function withContextValue(ImplicitContextKeyedInterface $value): ContextInterface;

        public function get(ContextKeyInterface $key);
    }

    final class ContextKey implements ContextKeyInterface
    {
    }

    final class Context implements ContextInterface
    {
        private static ?self $current = null;

        /** @param \SplObjectStorage<ContextKeyInterface, mixed> $values */
        private function __construct(private readonly \SplObjectStorage $values)
        {
        }

        public static function createKey(string $key): ContextKeyInterface
        {
            return new ContextKey();
        }

        public static function getCurrent(): ContextInterface
        {
            return self::$current ??= new self(new \SplObjectStorage());
        }

        public function activate(): ScopeInterface
        {
            $before = self::getCurrent();
            self::$current = $this;

            return new class(static fn () => self::$current = $before) implements ScopeInterface {
                public function __construct(private readonly \Closure $restore)
                {
                }

                public function detach(): int
                {
                    ($this->restore)();

                    return 0;
                }
            };
        }

        public function with(ContextKeyInterface $key, $value): ContextInterface
        {
            $values = clone $this->values;
            $values[$key] = $value;

            return new self($values);
        }

        public function withContextValue(ImplicitContextKeyedInterface $value): ContextInterface
        {
            return $value->storeInContext($this);
        }

        public function get(ContextKeyInterface $key)
        {
            return $this->values[$key] ?? null;
        }
    }
}

namespace OpenTelemetry\Context\Propagation {
    use OpenTelemetry\Context\ContextInterface;

    interface PropagationGetterInterface
    {
        public function keys($carrier): array;

        public function get($carrier, string $key): ?string;
    }

    interface PropagationSetterInterface
    {
        public function set(&$carrier, string $key, string $value): void;
    }

    interface TextMapPropagatorInterface
    {
        public function fields(): array;

        public function inject(mixed &$carrier, ?PropagationSetterInterface $setter = null, ?ContextInterface $context = null): void;

        public function extract($carrier, ?PropagationGetterInterface $getter = null, ?ContextInterface $context = null): ContextInterface;
    }
}

namespace OpenTelemetry\API\Trace {
    use OpenTelemetry\Context\Context;
    use OpenTelemetry\Context\ContextInterface;
    use OpenTelemetry\Context\ContextKeyInterface;
    use OpenTelemetry\Context\ImplicitContextKeyedInterface;
    use OpenTelemetry\Context\ScopeInterface;

    interface SpanKind
    {
        public const KIND_INTERNAL = 0;
        public const KIND_CLIENT = 1;
        public const KIND_SERVER = 2;
        public const KIND_PRODUCER = 3;
        public const KIND_CONSUMER = 4;
    }

    interface StatusCode
    {
        public const STATUS_UNSET = 'Unset';
        public const STATUS_OK = 'Ok';
        public const STATUS_ERROR = 'Error';
    }

    interface SpanContextInterface
    {
        public function getTraceId(): string;

        public function getSpanId(): string;

        public function isValid(): bool;

        public function isRemote(): bool;
    }

    final class SpanContext implements SpanContextInterface
    {
        private function __construct(private readonly string $trace, private readonly string $span, private readonly bool $isRemote)
        {
        }

        public static function create(string $traceId, string $spanId): SpanContextInterface
        {
            return new self($traceId, $spanId, false);
        }

        public static function createFromRemoteParent(string $traceId, string $spanId): SpanContextInterface
        {
            return new self($traceId, $spanId, true);
        }

        public static function getInvalid(): SpanContextInterface
        {
            return new self(str_repeat('0', 32), str_repeat('0', 16), false);
        }

        public function getTraceId(): string
        {
            return $this->trace;
        }

        public function getSpanId(): string
        {
            return $this->span;
        }

        public function isValid(): bool
        {
            return trim($this->trace, '0') !== '';
        }

        public function isRemote(): bool
        {
            return $this->isRemote;
        }
    }

    interface SpanInterface extends ImplicitContextKeyedInterface
    {
        public function getContext(): SpanContextInterface;

        public function setAttribute(string $key, bool|int|float|string|array|null $value): SpanInterface;

        public function setAttributes(iterable $attributes): SpanInterface;

        public function addLink(SpanContextInterface $context, iterable $attributes = []): SpanInterface;

        public function recordException(\Throwable $exception, iterable $attributes = []): SpanInterface;

        public function updateName(string $name): SpanInterface;

        public function setStatus(string $code, ?string $description = null): SpanInterface;

        public function end(?int $endEpochNanos = null): void;
    }

    abstract class Span implements SpanInterface
    {
        private static ?ContextKeyInterface $key = null;

        public static function fromContext(ContextInterface $context): SpanInterface
        {
            return $context->get(self::key()) ?? self::getInvalid();
        }

        public static function getCurrent(): SpanInterface
        {
            return self::fromContext(Context::getCurrent());
        }

        public static function getInvalid(): SpanInterface
        {
            static $invalid;

            return $invalid ??= new NonRecordingSpan(SpanContext::getInvalid());
        }

        public static function wrap(SpanContextInterface $spanContext): SpanInterface
        {
            return new NonRecordingSpan($spanContext);
        }

        final public function activate(): ScopeInterface
        {
            return Context::getCurrent()->withContextValue($this)->activate();
        }

        public function storeInContext(ContextInterface $context): ContextInterface
        {
            return $context->with(self::key(), $this);
        }

        private static function key(): ContextKeyInterface
        {
            return self::$key ??= Context::createKey('span');
        }
    }

    class NonRecordingSpan extends Span
    {
        public function __construct(private readonly SpanContextInterface $context)
        {
        }

        public function getContext(): SpanContextInterface
        {
            return $this->context;
        }

        public function setAttribute(string $key, bool|int|float|string|array|null $value): SpanInterface
        {
            return $this;
        }

        public function setAttributes(iterable $attributes): SpanInterface
        {
            return $this;
        }

        public function addLink(SpanContextInterface $context, iterable $attributes = []): SpanInterface
        {
            return $this;
        }

        public function recordException(\Throwable $exception, iterable $attributes = []): SpanInterface
        {
            return $this;
        }

        public function updateName(string $name): SpanInterface
        {
            return $this;
        }

        public function setStatus(string $code, ?string $description = null): SpanInterface
        {
            return $this;
        }

        public function end(?int $endEpochNanos = null): void
        {
        }
    }

    interface SpanBuilderInterface
    {
        public function setParent(ContextInterface|false|null $context): SpanBuilderInterface;

        public function addLink(SpanContextInterface $context, iterable $attributes = []): SpanBuilderInterface;

        public function setAttribute(string $key, mixed $value): SpanBuilderInterface;

        public function setAttributes(iterable $attributes): SpanBuilderInterface;

        public function setStartTimestamp(int $timestampNanos): SpanBuilderInterface;

        public function setSpanKind(int $spanKind): SpanBuilderInterface;

        public function startSpan(): SpanInterface;
    }

    interface TracerInterface
    {
        public function spanBuilder(string $spanName): SpanBuilderInterface;
    }

    interface TracerProviderInterface
    {
        public function getTracer(string $name, ?string $version = null, ?string $schemaUrl = null, iterable $attributes = []): TracerInterface;
    }
}

namespace OpenTelemetry\API\Trace\Propagation {
    use OpenTelemetry\API\Trace\Span;
    use OpenTelemetry\API\Trace\SpanContext;
    use OpenTelemetry\Context\Context;
    use OpenTelemetry\Context\ContextInterface;
    use OpenTelemetry\Context\Propagation\PropagationGetterInterface;
    use OpenTelemetry\Context\Propagation\PropagationSetterInterface;
    use OpenTelemetry\Context\Propagation\TextMapPropagatorInterface;

    final class TraceContextPropagator implements TextMapPropagatorInterface
    {
        public static function getInstance(): self
        {
            return new self();
        }

        public function fields(): array
        {
            return ['traceparent', 'tracestate'];
        }

        public function inject(mixed &$carrier, ?PropagationSetterInterface $setter = null, ?ContextInterface $context = null): void
        {
            $span = Span::fromContext($context ?? Context::getCurrent())->getContext();
            if ($span->isValid()) {
                $setter?->set($carrier, 'traceparent', "00-{$span->getTraceId()}-{$span->getSpanId()}-01");
            }
        }

        public function extract($carrier, ?PropagationGetterInterface $getter = null, ?ContextInterface $context = null): ContextInterface
        {
            $context ??= Context::getCurrent();
            if (!preg_match('/^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/', (string) $getter?->get($carrier, 'traceparent'), $found)) {
                return $context;
            }

            return $context->withContextValue(Span::wrap(SpanContext::createFromRemoteParent($found[1], $found[2])));
        }
    }
}

namespace OpenTelemetry\API\Metrics {
    use OpenTelemetry\Context\ContextInterface;

    interface HistogramInterface
    {
        public function record(float|int $amount, iterable $attributes = [], ContextInterface|false|null $context = null): void;
    }

    interface CounterInterface
    {
        public function add(float|int $amount, iterable $attributes = [], ContextInterface|false|null $context = null): void;
    }

    interface MeterInterface
    {
        public function createCounter(string $name, ?string $unit = null, ?string $description = null, array $advisory = []): CounterInterface;

        public function createHistogram(string $name, ?string $unit = null, ?string $description = null, array $advisory = []): HistogramInterface;
    }

    interface MeterProviderInterface
    {
        public function getMeter(string $name, ?string $version = null, ?string $schemaUrl = null, iterable $attributes = []): MeterInterface;
    }
}

namespace OpenTelemetry\API {
    use OpenTelemetry\API\Metrics\MeterProviderInterface;
    use OpenTelemetry\API\Trace\TracerProviderInterface;
    use OpenTelemetry\Context\Propagation\TextMapPropagatorInterface;

    final class Globals
    {
        /** @var array{TracerProviderInterface, MeterProviderInterface, TextMapPropagatorInterface} */
        public static array $set;

        public static function tracerProvider(): TracerProviderInterface
        {
            return self::$set[0];
        }

        public static function meterProvider(): MeterProviderInterface
        {
            return self::$set[1];
        }

        public static function propagator(): TextMapPropagatorInterface
        {
            return self::$set[2];
        }
    }
}
