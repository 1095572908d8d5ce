<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\QueueNotFoundException;
use Symfony\Component\Messenger\Exception\InvalidArgumentException;

/**
 * A transport's queues and consumers. Network connections are the extension's, which shares them in the process.
 *
 * @internal
 */
final class Connection
{
    /** What leads a message elsewhere than directly to its queue. */
    private const ROUTING = ['exchange', 'exchange_type', 'routing_key', 'bindings'];

    /** @var array<string, AmqpQueue> */
    private array $queues = [];

    /** @var array<string, AmqpQueue> */
    private array $direct = [];

    /** @var array<string, Consumer> by the names of its queues */
    private array $consumers = [];

    /** @throws InvalidArgumentException a wrong DSN or option */
    public function __construct(#[\SensitiveParameter] public readonly Options $options)
    {
        try {
            foreach ($options->queues as $name => $queue) {
                // Messenger's headers and bodies as they are, which Symfony's AMQP 0-9-1 transport can read.
                $this->queues[$name] = new AmqpQueue($options->dsn, (string) $name, $queue + ['format' => 'raw']);
            }
            // Checks the options. It attaches on first use.
            new Consumer(array_values($this->queues), $options->consumer);
        } catch (ConfigException $e) {
            throw new InvalidArgumentException($e->getMessage(), 0, $e);
        }
    }

    /** @return list<string> */
    public function names(): array
    {
        return array_map('strval', array_keys($this->queues));
    }

    /** @throws InvalidArgumentException the transport has no such queue */
    public function queue(?string $name = null): AmqpQueue
    {
        $name ??= array_key_first($this->queues);

        return $this->queues[$name] ?? throw new InvalidArgumentException(sprintf(
            'The transport has no queue "%s"; it has "%s".',
            $name,
            implode('", "', array_keys($this->queues))
        ));
    }

    /** The queue without its exchange: a retry must not reach the other queues of a fanout exchange once more. */
    public function direct(string $name): AmqpQueue
    {
        $queue = $this->queue($name);
        $options = $this->options->queues[$name];
        if (array_filter(array_intersect_key($options, array_flip(self::ROUTING))) === [] && !str_contains($this->options->dsn, 'exchange')) {
            return $queue;
        }

        return $this->direct[$name] ??= new AmqpQueue($this->options->dsn, $name, [
            'exchange' => '', 'routing_key' => $name, 'bindings' => null, 'exchange_type' => null, 'declare' => false,
        ] + $options + ['format' => 'raw']);
    }

    /** @param list<string> $names */
    public function consumer(array $names): Consumer
    {
        return $this->consumers[implode("\n", $names)] ??= $this->newConsumer($names);
    }

    /**
     * @param list<string> $names
     * @param array<string, mixed> $options in place of the transport's
     */
    public function newConsumer(array $names, array $options = []): Consumer
    {
        return new Consumer(array_map($this->queue(...), $names), $options + $this->options->consumer);
    }

    public function setup(): void
    {
        foreach ($this->queues as $queue) {
            $queue->setup();
        }
    }

    public function count(): int
    {
        $count = 0;
        foreach ($this->queues as $queue) {
            try {
                $count += $queue->count();
            } catch (QueueNotFoundException) {
                // It is declared by the first message.
            }
        }

        return $count;
    }

    /** Returns what was received and not handled to the broker. The transport can be used again. */
    public function close(): void
    {
        $consumers = $this->consumers;
        $this->consumers = [];
        foreach ($consumers as $consumer) {
            $consumer->close();
        }
    }
}
