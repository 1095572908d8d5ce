<?php
// The interfaces and exceptions of queue-interop/queue-interop 0.8, written down from their documentation and checked against the
// library itself (AMQP1_QUEUE_INTEROP, see bootstrap.php).

declare(strict_types=1);

namespace Interop\Queue {
    interface Exception extends \Throwable
    {
    }

    interface ConnectionFactory
    {
        public function createContext(): Context;
    }

    interface Destination
    {
    }

    interface Queue extends Destination
    {
        public function getQueueName(): string;
    }

    interface Topic extends Destination
    {
        public function getTopicName(): string;
    }

    interface Message
    {
        public function getBody(): string;

        public function setBody(string $body): void;

        public function setProperties(array $properties): void;

        public function getProperties(): array;

        public function setProperty(string $name, $value): void;

        public function getProperty(string $name, $default = null);

        public function setHeaders(array $headers): void;

        public function getHeaders(): array;

        public function setHeader(string $name, $value): void;

        public function getHeader(string $name, $default = null);

        public function setRedelivered(bool $redelivered): void;

        public function isRedelivered(): bool;

        public function setCorrelationId(?string $correlationId = null): void;

        public function getCorrelationId(): ?string;

        public function setMessageId(?string $messageId = null): void;

        public function getMessageId(): ?string;

        public function getTimestamp(): ?int;

        public function setTimestamp(?int $timestamp = null): void;

        public function setReplyTo(?string $replyTo = null): void;

        public function getReplyTo(): ?string;
    }

    interface Context
    {
        public function createMessage(string $body = '', array $properties = [], array $headers = []): Message;

        public function createTopic(string $topicName): Topic;

        public function createQueue(string $queueName): Queue;

        public function createTemporaryQueue(): Queue;

        public function createProducer(): Producer;

        public function createConsumer(Destination $destination): Consumer;

        public function createSubscriptionConsumer(): SubscriptionConsumer;

        public function purgeQueue(Queue $queue): void;

        public function close(): void;
    }

    interface Producer
    {
        public function send(Destination $destination, Message $message): void;

        public function setDeliveryDelay(?int $deliveryDelay = null): self;

        public function getDeliveryDelay(): ?int;

        public function setPriority(?int $priority = null): self;

        public function getPriority(): ?int;

        public function setTimeToLive(?int $timeToLive = null): self;

        public function getTimeToLive(): ?int;
    }

    interface Consumer
    {
        public function getQueue(): Queue;

        public function receive(int $timeout = 0): ?Message;

        public function receiveNoWait(): ?Message;

        public function acknowledge(Message $message): void;

        public function reject(Message $message, bool $requeue = false): void;
    }

    interface SubscriptionConsumer
    {
        public function consume(int $timeout = 0): void;

        public function subscribe(Consumer $consumer, callable $callback): void;

        public function unsubscribe(Consumer $consumer): void;

        public function unsubscribeAll(): void;
    }
}

namespace Interop\Queue\Exception {
    use Interop\Queue\Message;

    class Exception extends \Exception implements \Interop\Queue\Exception
    {
    }

    class InvalidDestinationException extends Exception
    {
        public static function assertDestinationInstanceOf($destination, string $class): void
        {
            if (!$destination instanceof $class) {
                throw new static('The destination must be an instance of ' . $class);
            }
        }
    }

    class InvalidMessageException extends Exception
    {
        public static function assertMessageInstanceOf(Message $message, string $class): void
        {
            if (!$message instanceof $class) {
                throw new static('The message must be an instance of ' . $class);
            }
        }
    }

    trait NotSupported
    {
        public static function providerDoestNotSupportIt(int $code = 0, ?\Throwable $previous = null): self
        {
            return new static('The provider does not support it', $code, $previous);
        }
    }

    class DeliveryDelayNotSupportedException extends Exception
    {
        use NotSupported;
    }

    class PurgeQueueNotSupportedException extends Exception
    {
        use NotSupported;
    }

    class TemporaryQueueNotSupportedException extends Exception
    {
        use NotSupported;
    }
}
