<?php

declare(strict_types=1);

namespace Amqp1\OpenTelemetry;

use Amqp1\Observation\Connection;
use Amqp1\Observation\Job;
use Amqp1\Observation\Push;
use Amqp1\Observer;

/**
 * Two observers. The second is called even if the first throws.
 *
 * @internal
 */
final class Observers implements Observer
{
    public function __construct(private readonly Observer $first, private readonly Observer $second)
    {
    }

    public function beforePush(Push $push): void
    {
        try {
            $this->first->beforePush($push);
        } finally {
            $this->second->beforePush($push);
        }
    }

    public function afterPush(Push $push): void
    {
        try {
            $this->first->afterPush($push);
        } finally {
            $this->second->afterPush($push);
        }
    }

    public function received(Job $job): void
    {
        try {
            $this->first->received($job);
        } finally {
            $this->second->received($job);
        }
    }

    public function settled(Job $job): void
    {
        try {
            $this->first->settled($job);
        } finally {
            $this->second->settled($job);
        }
    }

    public function connection(Connection $event): void
    {
        try {
            $this->first->connection($event);
        } finally {
            $this->second->connection($event);
        }
    }
}
