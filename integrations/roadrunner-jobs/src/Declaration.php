<?php

declare(strict_types=1);

namespace Amqp1\RoadRunner;

use Spiral\RoadRunner\Jobs\Exception\JobsException;
use Spiral\RoadRunner\Jobs\Queue\CreateInfoInterface;
use Spiral\RoadRunner\Jobs\Queue\Driver;

/** A CreateInfo as the configuration of a pipeline. @internal */
final class Declaration
{
    /** RoadRunner's keys that need nothing here. Exchanges are always durable: CreateInfo's default, false, would be a warning. */
    private const IDLE = ['multiple_ack' => null, 'consume_all' => null, 'consumer_id' => null, 'exchange_durable' => null];

    /**
     * @return array<string, mixed>
     *
     * @throws JobsException another broker's pipeline
     */
    public static function of(CreateInfoInterface $info): array
    {
        $driver = $info->getDriver();
        if ($driver !== Driver::AMQP && $driver !== Driver::Unknown) {
            throw new JobsException("Pipeline '{$info->getName()}': amqp1 cannot create a pipeline of the driver '{$driver->value}': "
                . 'use AMQPCreateInfo, or CreateInfo with Driver::AMQP');
        }
        $config = array_diff_key($info->toArray(), self::IDLE, ['name' => null, 'driver' => null]);
        if (isset($config['priority'])) {
            $config['priority'] = Priority::of((int) $config['priority']);
        }
        if (isset($config['queue_headers'])) {
            $config['arguments'] = $config['queue_headers'];
        }
        // RoadRunner's "not set": a routing key that is the queue's name.
        if (($config['routing_key'] ?? null) === '') {
            unset($config['routing_key']);
        }

        return array_diff_key($config, ['queue_headers' => null]);
    }
}
