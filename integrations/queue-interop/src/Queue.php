<?php

declare(strict_types=1);

namespace Amqp1\QueueInterop;

use Interop\Queue\Queue as QueueInterface;

final class Queue implements QueueInterface
{
    public function __construct(private readonly string $name)
    {
    }

    public function getQueueName(): string
    {
        return $this->name;
    }
}
