<?php

declare(strict_types=1);

namespace Amqp1\OpenTelemetry;

use Amqp1\Observation\Job;
use Amqp1\Observation\Push;
use Amqp1\Task;

/**
 * Where a job goes or comes from, as the conventions name it.
 *
 * @internal
 */
final class Destination
{
    /** The port if the address has none. */
    private const PORTS = ['amqp' => 5672, 'amqps' => 5671, 'sb' => 5671];

    /** @var array<string, array{}|array{'server.address': string, 'server.port'?: int}> by endpoint: there are few */
    private static array $servers = [];

    /** @param array<string, string|int> $attributes */
    private function __construct(public readonly string $name, public readonly array $attributes)
    {
    }

    public static function ofPush(Push $push): self
    {
        $system = self::system($push->getBroker());
        $destination = $push->getDestination();
        $key = (string) $push->getRoutingKey();
        if ($system !== 'rabbitmq' || $key === '') {
            return self::at($system, $destination, $push->getEndpoint());
        }
        $name = $destination === '' || $destination === $key ? $key : "$destination:$key";

        return self::at($system, $name, $push->getEndpoint(), ['messaging.rabbitmq.destination.routing_key' => $key]);
    }

    /** A queue. The exchange and the routing key of a single job would make its name unbounded. */
    public static function ofJob(Job $job): self
    {
        return self::at(self::system($job->getBroker()), $job->getDestination(), $job->getEndpoint());
    }

    /** Of a job whose receipt was not observed. */
    public static function ofTask(Task $task): self
    {
        return self::at('amqp', $task->getSource() ?: $task->getQueue(), '');
    }

    /** @return array<string, string|int> the attributes of an operation */
    public function with(string $type, string $name): array
    {
        return ['messaging.operation.type' => $type, 'messaging.operation.name' => $name] + $this->attributes;
    }

    /** @param array<string, string> $more */
    private static function at(string $system, string $name, string $endpoint, array $more = []): self
    {
        return new self($name, ['messaging.system' => $system, 'messaging.destination.name' => $name]
            + (self::$servers[$endpoint] ??= self::server($endpoint)) + $more);
    }

    /** The conventions have no name for a broker of another kind, which AMQP 1.0 is spoken with. */
    private static function system(string $dialect): string
    {
        return match (true) {
            str_starts_with($dialect, 'rabbitmq'), $dialect === 'embedded' => 'rabbitmq',
            $dialect === 'servicebus' => 'servicebus',
            $dialect === 'activemq', $dialect === 'artemis' => 'activemq',
            default => 'amqp',
        };
    }

    /**
     * The first host, if there are several: an attribute of metrics must not change with the connection.
     *
     * @return array{}|array{'server.address': string, 'server.port'?: int}
     */
    private static function server(string $endpoint): array
    {
        if (!preg_match('~^([a-z]+)://(?:[^@/]*@)?(\[[^]]+]|[^:/?,]+)(?::(\d+))?~i', $endpoint, $found) || $found[1] === 'embedded') {
            return [];
        }
        $port = (int) ($found[3] ?? self::PORTS[strtolower($found[1])] ?? 0);

        return ['server.address' => trim($found[2], '[]')] + ($port === 0 ? [] : ['server.port' => $port]);
    }
}
