<?php

declare(strict_types=1);

namespace Amqp1\Laravel;

use Illuminate\Contracts\Container\Container;
use Illuminate\Queue\Connectors\ConnectorInterface;

/** Makes a queue connection of its configuration. Nothing is dialled before its first use. */
class Amqp1Connector implements ConnectorInterface
{
    public function __construct(private Container $container)
    {
    }

    /**
     * @param array<string, mixed> $config an entry of `connections` in config/queue.php
     *
     * @throws \InvalidArgumentException a setting is wrong
     */
    public function connect(#[\SensitiveParameter] array $config): Amqp1Queue
    {
        // A configuration that is cached holds no objects: names of a log channel and of a class stand for them.
        if (is_string($config['logger'] ?? null)) {
            $config['logger'] = $this->container->make('log')->channel($config['logger']);
        }
        if (is_string($config['observer'] ?? null)) {
            $config['observer'] = $this->container->make($config['observer']);
        }

        return new Amqp1Queue(Configuration::of($config));
    }
}
