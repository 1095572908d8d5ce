<?php

declare(strict_types=1);

namespace Amqp1\QueueInterop;

use Interop\Queue\Topic as TopicInterface;

/** An exchange of RabbitMQ, or a topic of Service Bus. */
final class Topic implements TopicInterface
{
    public function __construct(private readonly string $name)
    {
    }

    public function getTopicName(): string
    {
        return $this->name;
    }
}
