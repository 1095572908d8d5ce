<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Stamp;

use Symfony\Component\Messenger\Exception\InvalidArgumentException;
use Symfony\Component\Messenger\Stamp\NonSendableStampInterface;

/**
 * How a message is sent. For a delay, use Messenger's DelayStamp.
 *
 * Retries, and the copy in a failure transport, keep all of it except the TTL.
 */
final class Amqp1Stamp implements NonSendableStampInterface
{
    /** AMQP's properties that can be set. */
    public const PROPERTIES = ['content_encoding', 'content_type', 'correlation_id', 'reply_to', 'to', 'user_id'];

    /**
     * @param string|null $queue One of the transport's queues. Default: the first one.
     * @param int|null $priority 0 to 255, a higher one is delivered first.
     * @param string|null $routingKey For the transport's exchange (RabbitMQ).
     * @param string|null $group AMQP's group-id; on Service Bus the session.
     * @param string|null $partitionKey Service Bus.
     * @param int|float|null $ttl How many seconds the message may wait.
     * @param string|null $id The message's id. Default: a new UUID.
     * @param bool|null $durable Whether the message survives a broker restart.
     * @param array<string, scalar|\Stringable|list<scalar>> $headers In addition to those of the serializer.
     * @param array<string, string> $properties By name: see PROPERTIES.
     * @param array<string, scalar|\Stringable|list<scalar>> $annotations AMQP's message annotations.
     *
     * @throws InvalidArgumentException an unknown property. The values are checked when the message is sent.
     */
    public function __construct(
        public readonly ?string $queue = null,
        public readonly ?int $priority = null,
        public readonly ?string $routingKey = null,
        public readonly ?string $group = null,
        public readonly ?string $partitionKey = null,
        public readonly int|float|null $ttl = null,
        public readonly ?string $id = null,
        public readonly ?bool $durable = null,
        public readonly array $headers = [],
        public readonly array $properties = [],
        public readonly array $annotations = [],
    ) {
        $unknown = array_diff(array_keys($properties), self::PROPERTIES);
        if ($unknown !== []) {
            throw new InvalidArgumentException(sprintf(
                'Unknown property found: [%s]. Allowed properties are [%s].',
                implode(', ', $unknown),
                implode(', ', self::PROPERTIES)
            ));
        }
    }

    /**
     * As options of AmqpQueue::push(), without the headers.
     *
     * @internal
     *
     * @return array<string, mixed>
     */
    public function options(): array
    {
        return array_filter([
            'priority' => $this->priority,
            'routing_key' => $this->routingKey,
            'group' => $this->group,
            'partition_key' => $this->partitionKey,
            'ttl' => $this->ttl,
            'id' => $this->id,
            'durable' => $this->durable,
            'annotations' => $this->annotations === [] ? null : $this->annotations,
        ] + $this->properties, static fn ($value) => $value !== null);
    }
}
