<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

/** One broker of the matrix: its name in the test's data set, and its DSN. */
final class Broker
{
    public function __construct(
        public readonly string $name,
        public readonly string $dsn,
    ) {
    }

    public function isRabbitMq(): bool
    {
        return str_starts_with($this->name, 'rabbitmq');
    }

    /** RabbitMQ 3: its plugin rabbitmq_amqp1_0. */
    public function isRabbitMq3(): bool
    {
        return $this->name === 'rabbitmq-3.10';
    }

    /** What each broker lacks. A broker that is not listed lacks nothing. */
    private const LACKS = [
        'rabbitmq-3.10' => [
            'delay', 'management', 'exchange-declaration', 'queue-options', 'unroutable', 'consumer-priority', 'delivery-count',
            'requests',
        ],
        'servicebus' => [
            'exchange-declaration', 'exchanges', 'queue-options', 'unroutable', 'consumer-priority', 'priority', 'large-messages',
            'locks-of-a-connection',
        ],
        'artemis' => [
            'exchange-declaration', 'exchanges', 'queue-options', 'unroutable',
            'priority-above-9',
        ],
        'activemq' => [
            'management', 'exchange-declaration', 'exchanges', 'queue-options', 'unroutable', 'consumer-priority', 'delivery-count',
        ],
        'qpid' => [
            'delay', 'management', 'exchange-declaration', 'exchanges', 'queue-options', 'unroutable', 'consumer-priority',
        ],
    ];

    /**
     * Whether this broker can do it. What it lacks is refused with an UnsupportedException, but for
     * `delivery-count` (redeliveries are counted by the client, as far as it sees them) and `unroutable`
     * (a job that no binding leads anywhere is an exception), `priority` (ignored), `priority-above-9` (taken for 9), `large-messages` (refused: more
     * than 256 KB), and `locks-of-a-connection` (what a connection had in hand comes back with its end; on Service
     * Bus when the lock is over, and it can be settled until then).
     *
     * @param 'delay'|'management'|'exchange-declaration'|'exchanges'|'queue-options'|'unroutable'|'consumer-priority'|'delivery-count'|'priority'|'priority-above-9'|'large-messages'|'locks-of-a-connection'|'requests' $feature
     */
    public function supports(string $feature): bool
    {
        return !in_array($feature, self::LACKS[$this->name] ?? [], true);
    }

    /** The program in the dialect of Azure Service Bus. */
    public function isServiceBus(): bool
    {
        return $this->name === 'servicebus';
    }

    public function isArtemis(): bool
    {
        return $this->name === 'artemis';
    }

    public function isEmbedded(): bool
    {
        return $this->name === 'embedded';
    }

    /** `host:port`, as an error message names it. */
    public function endpoint(): string
    {
        $parts = parse_url($this->dsn);

        return $parts['host'] . ':' . ($parts['port'] ?? 5672);
    }

    /** The same broker with other credentials. */
    public function withCredentials(string $user, string $password): string
    {
        $parts = parse_url($this->dsn);

        return sprintf('%s://%s:%s@%s%s', $parts['scheme'], rawurlencode($user), rawurlencode($password),
            $this->endpoint(), ($parts['path'] ?? '') . (isset($parts['query']) ? "?$parts[query]" : ''));
    }
}
