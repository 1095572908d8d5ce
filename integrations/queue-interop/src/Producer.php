<?php

declare(strict_types=1);

namespace Amqp1\QueueInterop;

use Amqp1\Exception\UnsupportedException;
use Interop\Queue\Destination;
use Interop\Queue\Exception\DeliveryDelayNotSupportedException;
use Interop\Queue\Exception\InvalidDestinationException;
use Interop\Queue\Exception\InvalidMessageException;
use Interop\Queue\Message as MessageInterface;
use Interop\Queue\Producer as ProducerInterface;
use Interop\Queue\Topic as TopicInterface;
use Interop\Queue\Queue as QueueInterface;

/** Sends messages. Each is confirmed by the broker when send() returns. */
final class Producer implements ProducerInterface
{
    private ?int $delay = null;

    private ?int $priority = null;

    private ?int $timeToLive = null;

    public function __construct(private readonly Context $context)
    {
    }

    /** @throws Failure */
    public function send(Destination $destination, MessageInterface $message): void
    {
        InvalidMessageException::assertMessageInstanceOf($message, Message::class);
        if (!$destination instanceof TopicInterface) {
            InvalidDestinationException::assertDestinationInstanceOf($destination, QueueInterface::class);
        }
        $queue = $destination instanceof TopicInterface ? $this->context->topic($destination) : $this->context->queue($destination);
        [$name, $options] = Wire::of($message);
        $options = array_filter([
            'delay' => $this->delay === null ? null : $this->delay / 1000,
            'priority' => $this->priority,
            'ttl' => $this->timeToLive ? $this->timeToLive / 1000 : null,
        ], static fn ($of) => $of !== null) + $options;
        try {
            $message->setMessageId(Failure::rethrown(static fn () => $queue->push($name, $message->getBody(), $options)));
            $message->setTimestamp(time());
        } catch (Failure $failure) {
            throw $failure->getPrevious() instanceof UnsupportedException && $this->delay
                ? DeliveryDelayNotSupportedException::providerDoestNotSupportIt(0, $failure->getPrevious())
                : $failure;
        }
    }

    public function setDeliveryDelay(?int $deliveryDelay = null): ProducerInterface
    {
        $this->delay = $deliveryDelay;

        return $this;
    }

    public function getDeliveryDelay(): ?int
    {
        return $this->delay;
    }

    public function setPriority(?int $priority = null): ProducerInterface
    {
        $this->priority = $priority;

        return $this;
    }

    public function getPriority(): ?int
    {
        return $this->priority;
    }

    public function setTimeToLive(?int $timeToLive = null): ProducerInterface
    {
        $this->timeToLive = $timeToLive;

        return $this;
    }

    public function getTimeToLive(): ?int
    {
        return $this->timeToLive;
    }
}
