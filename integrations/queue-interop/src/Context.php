<?php

declare(strict_types=1);

namespace Amqp1\QueueInterop;

use Amqp1\AmqpQueue;
use Amqp1\Exception\UnsupportedException;
use Interop\Queue\Consumer as ConsumerInterface;
use Interop\Queue\Context as ContextInterface;
use Interop\Queue\Destination;
use Interop\Queue\Exception\InvalidDestinationException;
use Interop\Queue\Exception\PurgeQueueNotSupportedException;
use Interop\Queue\Exception\TemporaryQueueNotSupportedException;
use Interop\Queue\Message as MessageInterface;
use Interop\Queue\Producer as ProducerInterface;
use Interop\Queue\Queue as QueueInterface;
use Interop\Queue\SubscriptionConsumer as SubscriptionConsumerInterface;
use Interop\Queue\Topic as TopicInterface;

/** The queues and topics of a broker. */
final class Context implements ContextInterface
{
    /** @var array<string, AmqpQueue> */
    private array $queues = [];

    /** @var array<string, AmqpQueue> */
    private array $topics = [];

    /** @var list<\WeakReference<Consumer|SubscriptionConsumer>> */
    private array $consumers = [];

    /** @param array<string, mixed> $options Of new AmqpQueue(), for every queue. */
    public function __construct(
        #[\SensitiveParameter] private readonly string $dsn,
        #[\SensitiveParameter] private readonly array $options = [],
    ) {
    }

    /** @return array<string, mixed> without the DSN, which may have a password */
    public function __debugInfo(): array
    {
        return ['queues' => array_keys($this->queues), 'topics' => array_keys($this->topics)];
    }

    public function createMessage(string $body = '', array $properties = [], array $headers = []): MessageInterface
    {
        return new Message($body, $properties, $headers);
    }

    public function createTopic(string $topicName): TopicInterface
    {
        return new Topic($topicName);
    }

    public function createQueue(string $queueName): QueueInterface
    {
        return new Queue($queueName);
    }

    /** @throws TemporaryQueueNotSupportedException always */
    public function createTemporaryQueue(): QueueInterface
    {
        throw TemporaryQueueNotSupportedException::providerDoestNotSupportIt();
    }

    public function createProducer(): ProducerInterface
    {
        return new Producer($this);
    }

    /** @throws InvalidDestinationException a topic: consume a queue that is bound to it (bind()), or its subscription */
    public function createConsumer(Destination $destination): ConsumerInterface
    {
        InvalidDestinationException::assertDestinationInstanceOf($destination, QueueInterface::class);
        $consumer = new Consumer($this, $destination);
        $this->consumers[] = \WeakReference::create($consumer);

        return $consumer;
    }

    public function createSubscriptionConsumer(): SubscriptionConsumerInterface
    {
        $consumer = new SubscriptionConsumer($this);
        $this->consumers[] = \WeakReference::create($consumer);

        return $consumer;
    }

    public function purgeQueue(QueueInterface $queue): void
    {
        try {
            Failure::rethrown(fn () => $this->queue($queue)->purge());
        } catch (Failure $failure) {
            throw $failure->getPrevious() instanceof UnsupportedException
                ? PurgeQueueNotSupportedException::providerDoestNotSupportIt(0, $failure->getPrevious())
                : $failure;
        }
    }

    /**
     * Lets what is sent to the topic arrive in the queue. On RabbitMQ, it declares the topic, an exchange of the type
     * "fanout", and the queue. On Service Bus, it is a subscription that does this.
     */
    public function bind(TopicInterface $topic, QueueInterface $queue): void
    {
        $options = ['exchange' => $topic->getTopicName(), 'exchange_type' => 'fanout'] + $this->options;
        Failure::rethrown(fn () => (new AmqpQueue($this->dsn, $queue->getQueueName(), $options))->setup());
    }

    /** Returns messages that are not acknowledged to the broker. Connections stay, for the next context. */
    public function close(): void
    {
        foreach ($this->consumers as $consumer) {
            $consumer->get()?->close();
        }
        $this->consumers = [];
    }

    /** The extension's queue, for everything that queue-interop has no method for: count(), failed(), … */
    public function queue(QueueInterface $queue): AmqpQueue
    {
        // What is no job of this extension is written and read as plain messages.
        return $this->queues[$queue->getQueueName()]
            ??= Failure::rethrown(fn () => new AmqpQueue($this->dsn, $queue->getQueueName(), $this->options + ['format' => 'raw']));
    }

    /** @internal What sends to the topic: an exchange, or on Service Bus the topic. */
    public function topic(TopicInterface $topic): AmqpQueue
    {
        $name = $topic->getTopicName();

        return $this->topics[$name] ??= Failure::rethrown(function () use ($name): AmqpQueue {
            $options = ['declare' => false] + $this->options + ['format' => 'raw'];
            $queue = new AmqpQueue($this->dsn, $name, $options);

            return $queue->getBroker()['dialect'] === 'servicebus'
                ? $queue
                : new AmqpQueue($this->dsn, $name, ['exchange' => $name] + $options);
        });
    }
}
