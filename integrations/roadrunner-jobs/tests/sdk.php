<?php
// What this package uses of spiral/roadrunner-jobs 4.6, written down from its documentation and checked against the SDK itself
// (AMQP1_ROADRUNNER_SDK, see bootstrap.php): interfaces with their signatures, and as much of its classes as the tests need.

declare(strict_types=1);

namespace Spiral\RoadRunner\Jobs\Exception {
    class JobsException extends \Exception
    {
    }
}

namespace Spiral\RoadRunner\Jobs\Queue {
    enum Driver: string
    {
        case Memory = 'memory';
        case AMQP = 'amqp';
        case Unknown = 'unknown';
    }

    interface CreateInfoInterface extends \JsonSerializable
    {
        public function getName(): string;

        public function getDriver(): Driver;

        public function toArray(): array;
    }

    class CreateInfo implements CreateInfoInterface
    {
        public const PRIORITY_DEFAULT_VALUE = 10;

        public function __construct(
            public readonly Driver $driver,
            public readonly string $name,
            public readonly int $priority = self::PRIORITY_DEFAULT_VALUE,
        ) {
        }

        public function getName(): string
        {
            return $this->name;
        }

        public function getDriver(): Driver
        {
            return $this->driver;
        }

        public function toArray(): array
        {
            return ['name' => $this->name, 'driver' => $this->driver->value, 'priority' => $this->priority];
        }

        public function jsonSerialize(): array
        {
            return $this->toArray();
        }
    }
}

namespace Spiral\RoadRunner\Jobs\Task {
    use Spiral\RoadRunner\Jobs\Options;
    use Spiral\RoadRunner\Jobs\OptionsAwareInterface;
    use Spiral\RoadRunner\Jobs\OptionsInterface;
    use Spiral\RoadRunner\Jobs\Queue\Driver;

    interface ProvidesHeadersInterface
    {
        public function getHeaders(): array;

        public function hasHeader(string $name): bool;

        public function getHeader(string $name): array;

        public function getHeaderLine(string $name): string;
    }

    interface WritableHeadersInterface extends ProvidesHeadersInterface
    {
        public function withHeader(string $name, string|iterable $value): self;

        public function withAddedHeader(string $name, string|iterable $value): self;

        public function withoutHeader(string $name): self;
    }

    interface MutatesDelayInterface
    {
        public function withDelay(int $seconds): self;
    }

    interface TaskInterface extends ProvidesHeadersInterface
    {
        public function getName(): string;

        public function getPayload(): string;
    }

    interface QueuedTaskInterface extends TaskInterface
    {
        public function getId(): string;

        public function getPipeline(): string;
    }

    interface PreparedTaskInterface extends TaskInterface, OptionsInterface, WritableHeadersInterface, MutatesDelayInterface
    {
    }

    /**
     * @method void ack()
     * @method void nack(string|\Stringable|\Throwable $message, bool $redelivery = false)
     * @method void requeue(string|\Stringable|\Throwable $message)
     */
    interface ReceivedTaskInterface extends QueuedTaskInterface, WritableHeadersInterface, MutatesDelayInterface
    {
        public function complete(): void;

        public function fail(string|\Stringable|\Throwable $error, bool $requeue = false): void;

        public function isCompleted(): bool;

        public function isSuccessful(): bool;

        public function isFails(): bool;

        public function getQueue(): string;

        public function getDriver(): Driver;
    }

    trait HeadersTrait
    {
        protected array $headers = [];

        public function getHeaders(): array
        {
            return $this->headers;
        }

        public function hasHeader(string $name): bool
        {
            return ($this->headers[$name] ?? []) !== [];
        }

        public function getHeader(string $name): array
        {
            return $this->headers[$name] ?? [];
        }

        public function getHeaderLine(string $name): string
        {
            return implode(',', $this->getHeader($name));
        }
    }

    trait WritableHeadersTrait
    {
        use HeadersTrait;

        public function withHeader(string $name, string|iterable $value): self
        {
            $copy = clone $this;
            $copy->headers[$name] = is_string($value) ? [$value] : [...$value];

            return $copy;
        }

        public function withAddedHeader(string $name, string|iterable $value): self
        {
            return $this->withHeader($name, [...$this->getHeader($name), ...(is_string($value) ? [$value] : $value)]);
        }

        public function withoutHeader(string $name): self
        {
            $copy = clone $this;
            unset($copy->headers[$name]);

            return $copy;
        }
    }

    abstract class Task implements TaskInterface
    {
        use HeadersTrait;

        public function __construct(
            protected readonly string $name,
            protected readonly string|\Stringable $payload,
            array $headers = [],
        ) {
            $this->headers = $headers;
        }

        public function getName(): string
        {
            return $this->name;
        }

        public function getPayload(): string
        {
            return (string) $this->payload;
        }
    }

    class QueuedTask extends Task implements QueuedTaskInterface
    {
        public function __construct(
            protected readonly string $id,
            protected readonly string $pipeline,
            string $name,
            string $payload,
            array $headers = [],
        ) {
            parent::__construct($name, $payload, $headers);
        }

        public function getId(): string
        {
            return $this->id;
        }

        public function getPipeline(): string
        {
            return $this->pipeline;
        }
    }

    final class PreparedTask extends Task implements PreparedTaskInterface, OptionsAwareInterface
    {
        use WritableHeadersTrait;

        private OptionsInterface $options;

        public function __construct(string $name, string|\Stringable $payload, ?OptionsInterface $options = null, array $headers = [])
        {
            parent::__construct($name, $payload, $headers);
            $this->options = $options ?? new Options();
        }

        public function getOptions(): OptionsInterface
        {
            return $this->options;
        }

        public function withOptions(OptionsInterface $options): OptionsAwareInterface
        {
            $copy = clone $this;
            $copy->options = $options;

            return $copy;
        }

        public function getDelay(): int
        {
            return $this->options->getDelay();
        }

        public function withDelay(int $seconds): self
        {
            return $this->withOptions(new Options($seconds, $this->getPriority(), $this->getAutoAck()));
        }

        public function getPriority(): int
        {
            return $this->options->getPriority();
        }

        public function getAutoAck(): bool
        {
            return $this->options->getAutoAck();
        }
    }
}

namespace Spiral\RoadRunner\Jobs {
    use Spiral\RoadRunner\Jobs\Queue\CreateInfoInterface;
    use Spiral\RoadRunner\Jobs\Task\PreparedTaskInterface;
    use Spiral\RoadRunner\Jobs\Task\QueuedTaskInterface;
    use Spiral\RoadRunner\Jobs\Task\ReceivedTaskInterface;
    use Spiral\RoadRunner\Jobs\Task\WritableHeadersInterface;
    use Spiral\RoadRunner\Jobs\Task\WritableHeadersTrait;

    interface OptionsInterface
    {
        public const DEFAULT_DELAY = 0;
        public const DEFAULT_PRIORITY = 0;
        public const DEFAULT_AUTO_ACK = false;

        public function getDelay(): int;

        public function getPriority(): int;

        public function getAutoAck(): bool;
    }

    interface KafkaOptionsInterface extends OptionsInterface
    {
    }

    interface OptionsAwareInterface
    {
        public function getOptions(): OptionsInterface;

        public function withOptions(OptionsInterface $options): self;
    }

    interface QueueInterface
    {
        public function getName(): string;

        public function getDefaultOptions(): OptionsInterface;

        public function withDefaultOptions(?OptionsInterface $options): self;

        public function create(string $name, string|\Stringable $payload, ?OptionsInterface $options = null): PreparedTaskInterface;

        public function dispatch(PreparedTaskInterface $task): QueuedTaskInterface;

        public function dispatchMany(PreparedTaskInterface ...$tasks): iterable;

        public function pause(): void;

        public function resume(): void;

        public function isPaused(): bool;
    }

    interface JobsInterface extends \IteratorAggregate, \Countable
    {
        public function connect(string $queue): QueueInterface;

        public function create(CreateInfoInterface $info): QueueInterface;

        public function pause(QueueInterface|string $queue, QueueInterface|string ...$queues): void;

        public function resume(QueueInterface|string $queue, QueueInterface|string ...$queues): void;
    }

    interface ConsumerInterface
    {
        public function waitTask(): ?ReceivedTaskInterface;
    }

    class Options implements OptionsInterface, WritableHeadersInterface
    {
        use WritableHeadersTrait;

        public function __construct(
            public int $delay = self::DEFAULT_DELAY,
            public int $priority = self::DEFAULT_PRIORITY,
            public bool $autoAck = self::DEFAULT_AUTO_ACK,
        ) {
        }

        public function getDelay(): int
        {
            return $this->delay;
        }

        public function getPriority(): int
        {
            return $this->priority;
        }

        public function getAutoAck(): bool
        {
            return $this->autoAck;
        }

        public function mergeOptional(?OptionsInterface $options): OptionsInterface
        {
            $merged = clone $this;
            $merged->delay = $options?->getDelay() ?: $this->delay;
            $merged->priority = $options?->getPriority() ?: $this->priority;
            $merged->autoAck = $options?->getAutoAck() ?: $this->autoAck;
            $merged->headers = $options instanceof self && $options->headers !== [] ? $options->headers : $this->headers;

            return $merged;
        }
    }
}
