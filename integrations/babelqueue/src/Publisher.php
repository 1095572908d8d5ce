<?php

declare(strict_types=1);

namespace Amqp1\BabelQueue;

use Amqp1\AmqpQueue;
use BabelQueue\Codec\EnvelopeCodec;
use BabelQueue\Contracts\Transport;
use BabelQueue\Exceptions\InvalidEnvelopeException;

/** Publishes envelopes, in place of BabelQueue\Transport\AmqpTransport. Each is confirmed by the broker when publish() returns. */
final class Publisher implements Transport
{
    /** @var array<string, AmqpQueue> */
    private array $queues = [];

    /**
     * @param string $connection A DSN or connection string, as for new AmqpQueue().
     * @param array<string, mixed> $options Of new AmqpQueue(), for every queue.
     */
    public function __construct(
        #[\SensitiveParameter] private readonly string $connection,
        private readonly string $defaultQueue = 'default',
        #[\SensitiveParameter] private readonly array $options = [],
    ) {
    }

    /** @return array<string, mixed> without the connection's password */
    public function __debugInfo(): array
    {
        return ['defaultQueue' => $this->defaultQueue, 'queues' => array_keys($this->queues)];
    }

    /**
     * @return string the envelope's meta.id
     *
     * @throws InvalidEnvelopeException a consumer would not accept the envelope; nothing was sent
     * @throws \Amqp1\Exception\ExceptionInterface as AmqpQueue::push()
     */
    public function publish(string $payload, ?string $queue = null): string
    {
        return $this->push($payload, $queue ?? $this->defaultQueue);
    }

    /**
     * @internal
     *
     * @param array<string, mixed> $options Of AmqpQueue::push().
     */
    public function push(string $payload, string $queue, array $options = []): string
    {
        $envelope = EnvelopeCodec::decode($payload);
        $reason = Envelope::refusal($envelope);
        if ($reason !== null) {
            throw InvalidEnvelopeException::because($reason, $envelope);
        }

        return $this->queue($queue)->push(EnvelopeCodec::urn($envelope), Envelope::withObject($payload, $envelope), [
            'id' => $envelope['meta']['id'],
            'trace_id' => $envelope['trace_id'],
        ] + $options);
    }

    public function queue(string $name): AmqpQueue
    {
        return $this->queues[$name] ??= new AmqpQueue($this->connection, $name, ['format' => 'babelqueue'] + $this->options);
    }
}
