<?php
// What this package and its tests use of babelqueue/php-sdk 1.9 and initphp/queue 2.0, written down from their documentation and
// checked against the libraries themselves (AMQP1_BABELQUEUE_SDK, see bootstrap.php): interfaces with their signatures, and of
// the classes as much as the tests need, a worker with the documented policy included.

declare(strict_types=1);

namespace BabelQueue\Contracts {
    interface Transport
    {
        public function publish(string $payload, ?string $queue = null): ?string;
    }

    interface InboundMessage
    {
        public function getUrn(): string;

        public function getTraceId(): string;

        public function getData(): array;

        public function getMeta(): array;
    }
}

namespace BabelQueue\Codec {
    final class EnvelopeCodec
    {
        public static function make(string $urn, array $data = [], string $queue = 'default', ?string $traceId = null): array
        {
            return [
                'job' => $urn,
                'trace_id' => $traceId ?? self::uuid(),
                'data' => $data,
                'meta' => ['id' => self::uuid(), 'queue' => $queue, 'lang' => 'php', 'schema_version' => 1, 'created_at' => (int) (microtime(true) * 1000)],
                'attempts' => 0,
            ];
        }

        public static function encode(array $payload): string
        {
            return json_encode($payload, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
        }

        public static function decode(string $rawBody): array
        {
            $envelope = json_decode($rawBody, true);

            return is_array($envelope) ? $envelope : [];
        }

        public static function urn(array $envelope): string
        {
            $urn = $envelope['job'] ?? $envelope['urn'] ?? '';

            return is_string($urn) ? $urn : '';
        }

        private static function uuid(): string
        {
            return preg_replace('/^(.{8})(.{4}).(.{3}).(.{3})(.*)$/', '$1-$2-4$3-8$4-$5', bin2hex(random_bytes(16)));
        }
    }
}

namespace BabelQueue\Exceptions {
    class InvalidEnvelopeException extends \RuntimeException
    {
        private function __construct(private readonly string $reason, private readonly array $envelope)
        {
            parent::__construct("Envelope rejected: $reason.");
        }

        public static function because(string $reason, array $envelope): self
        {
            return new self($reason, $envelope);
        }

        public function reason(): string
        {
            return $this->reason;
        }
    }
}

namespace BabelQueue\Validation {
    use BabelQueue\Codec\EnvelopeCodec;

    final class EnvelopeValidator
    {
        public const REASON_MISSING_META = 'missing_meta';
        public const REASON_INVALID_DATA = 'invalid_data';
        public const REASON_INVALID_ATTEMPTS = 'invalid_attempts';

        public static function check(array $envelope): ?string
        {
            $trace = $envelope['trace_id'] ?? null;

            return match (true) {
                EnvelopeCodec::urn($envelope) === '' => 'missing_urn',
                !is_array($envelope['meta'] ?? null) => 'missing_meta',
                ($envelope['meta']['schema_version'] ?? null) !== 1 => 'unsupported_schema_version',
                !is_array($envelope['data'] ?? null) => 'invalid_data',
                !is_string($trace) || $trace === '' => 'missing_trace_id',
                !is_int($envelope['attempts'] ?? null) => 'invalid_attempts',
                default => null,
            };
        }
    }
}

namespace BabelQueue\Routing {
    final class UnknownUrnStrategy
    {
        public const FAIL = 'fail';
        public const DELETE = 'delete';
        public const RELEASE = 'release';
        public const DEAD_LETTER = 'dead_letter';
    }
}

namespace InitPHP\Queue\Message {
    use BabelQueue\Codec\EnvelopeCodec;
    use BabelQueue\Contracts\InboundMessage;

    final class ReceivedMessage implements InboundMessage
    {
        public function __construct(
            private readonly string $queue,
            private readonly string $rawBody,
            private readonly array $envelope,
            private readonly mixed $receipt,
        ) {
        }

        public function getUrn(): string
        {
            return EnvelopeCodec::urn($this->envelope);
        }

        public function getTraceId(): string
        {
            return (string) ($this->envelope['trace_id'] ?? '');
        }

        public function getData(): array
        {
            return (array) ($this->envelope['data'] ?? []);
        }

        public function getMeta(): array
        {
            return (array) ($this->envelope['meta'] ?? []);
        }

        public function queue(): string
        {
            return $this->queue;
        }

        public function rawBody(): string
        {
            return $this->rawBody;
        }

        public function envelope(): array
        {
            return $this->envelope;
        }

        public function attempts(): int
        {
            return (int) ($this->envelope['attempts'] ?? 0);
        }

        public function receipt(): mixed
        {
            return $this->receipt;
        }
    }
}

namespace InitPHP\Queue\Contracts {
    use InitPHP\Queue\Message\ReceivedMessage;

    interface ConsumerTransport
    {
        public function reserve(string $queue, float $timeout = 5.0): ?ReceivedMessage;

        public function ack(ReceivedMessage $message): void;

        public function release(ReceivedMessage $message, string $payload, int $delaySeconds = 0): void;

        public function deadLetter(ReceivedMessage $message, string $payload): void;
    }
}

namespace InitPHP\Queue\Routing {
    final class HandlerMap
    {
        /** @var array<string, \Closure> */
        public array $handlers = [];

        public function register(string $urn, \Closure $handler): self
        {
            $this->handlers[$urn] = $handler;

            return $this;
        }
    }
}

namespace InitPHP\Queue\Producer {
    use BabelQueue\Codec\EnvelopeCodec;
    use BabelQueue\Contracts\Transport;

    final class Producer
    {
        public function __construct(private readonly Transport $transport, private readonly string $defaultQueue = 'default')
        {
        }

        public function send(string $urn, array $data = [], ?string $queue = null, ?string $traceId = null): ?string
        {
            $queue ??= $this->defaultQueue;

            return $this->transport->publish(EnvelopeCodec::encode(EnvelopeCodec::make($urn, $data, $queue, $traceId)), $queue);
        }
    }
}

namespace InitPHP\Queue\Consumer {
    use BabelQueue\Codec\EnvelopeCodec;
    use BabelQueue\Routing\UnknownUrnStrategy;
    use BabelQueue\Validation\EnvelopeValidator;
    use InitPHP\Queue\Contracts\ConsumerTransport;
    use InitPHP\Queue\Message\ReceivedMessage;
    use InitPHP\Queue\Routing\HandlerMap;

    final class Dispatcher
    {
        public function __construct(public readonly HandlerMap $map, public readonly string $strategy = UnknownUrnStrategy::FAIL)
        {
        }
    }

    final class WorkerOptions
    {
        public function __construct(
            public readonly int $maxAttempts = 3,
            public readonly array $backoff = [0],
            public readonly float $reserveTimeout = 5.0,
            public readonly float $sleepWhenEmpty = 0.5,
            public readonly int $maxJobs = 0,
            public readonly float $maxRuntime = 0.0,
            public readonly int $memoryLimitMb = 0,
            public readonly bool $stopWhenEmpty = false,
        ) {
        }
    }

    final class Worker
    {
        private bool $stopped = false;

        public function __construct(
            private readonly ConsumerTransport $transport,
            private readonly Dispatcher $dispatcher,
            private readonly WorkerOptions $options = new WorkerOptions(),
        ) {
        }

        public function run(string $queue): void
        {
            pcntl_async_signals(true);
            pcntl_signal(SIGTERM, function (): void {
                $this->stopped = true;
            });
            while (!$this->stopped) {
                $message = $this->transport->reserve($queue, $this->options->reserveTimeout);
                if ($message !== null) {
                    try {
                        $this->process($message);
                    } catch (\Throwable) {
                        // logged; the loop goes on
                    }
                } elseif ($this->options->stopWhenEmpty) {
                    break;
                }
            }
        }

        public function runOnce(string $queue): bool
        {
            $message = $this->transport->reserve($queue, $this->options->reserveTimeout);
            if ($message !== null) {
                $this->process($message);
            }

            return $message !== null;
        }

        private function process(ReceivedMessage $message): void
        {
            $reason = EnvelopeValidator::check($message->envelope());
            $handler = $this->dispatcher->map->handlers[$message->getUrn()] ?? null;
            if ($reason !== null) {
                $this->bury($message, $message->attempts(), $reason);
            } elseif ($handler !== null) {
                try {
                    $handler($message);
                } catch (\Throwable $e) {
                    $this->retry($message, 'failed', $e);

                    return;
                }
                $this->transport->ack($message);
            } else {
                match ($this->dispatcher->strategy) {
                    UnknownUrnStrategy::DELETE => $this->transport->ack($message),
                    UnknownUrnStrategy::RELEASE => $this->transport->release($message, $message->rawBody(), 0),
                    UnknownUrnStrategy::DEAD_LETTER => $this->bury($message, $message->attempts(), 'unknown_urn'),
                    default => $this->retry($message, 'unknown_urn', new \RuntimeException('no handler')),
                };
            }
        }

        private function retry(ReceivedMessage $message, string $reason, \Throwable $e): void
        {
            $attempt = $message->attempts() + 1;
            if ($attempt >= $this->options->maxAttempts) {
                $this->bury($message, $attempt, $reason, $e);
            } else {
                $delay = $this->options->backoff[min($attempt, count($this->options->backoff)) - 1] ?? 0;
                $this->transport->release($message, EnvelopeCodec::encode(['attempts' => $attempt] + $message->envelope()), $delay);
            }
        }

        private function bury(ReceivedMessage $message, int $attempts, string $reason, ?\Throwable $e = null): void
        {
            $this->transport->deadLetter($message, EnvelopeCodec::encode(['attempts' => $attempts, 'dead_letter' => [
                'reason' => $reason,
                'error' => $e?->getMessage(),
                'exception' => $e === null ? null : $e::class,
                'failed_at' => (int) (microtime(true) * 1000),
                'original_queue' => $message->queue(),
                'attempts' => $attempts,
                'lang' => 'php',
            ]] + $message->envelope()));
        }
    }
}
