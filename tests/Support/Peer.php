<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use AMQPChannel;
use AMQPConnection;
use AMQPEnvelope;
use AMQPExchange;
use AMQPQueue;
use RuntimeException;

/** Another client's view of a RabbitMQ: php-amqp, which speaks AMQP 0-9-1. */
final class Peer
{
    private AMQPConnection $connection;
    public AMQPChannel $channel;

    public function __construct(Broker $broker)
    {
        if (!extension_loaded('amqp')) {
            throw new RuntimeException('php-amqp is not loaded: the suite looks through it at what the extension wrote');
        }
        $parts = parse_url($broker->dsn);
        $this->connection = new AMQPConnection([
            'host' => $parts['host'],
            'port' => $parts['port'] ?? 5672,
            'login' => rawurldecode($parts['user'] ?? 'guest'),
            'password' => rawurldecode($parts['pass'] ?? 'guest'),
            'vhost' => isset($parts['path']) && $parts['path'] !== '/' ? rawurldecode(substr($parts['path'], 1)) : '/',
        ]);
        $this->connection->connect();
        $this->channel = new AMQPChannel($this->connection);
    }

    /** @param array<string, mixed> $arguments */
    public function declareQueue(string $name, array $arguments = ['x-queue-type' => 'classic']): AMQPQueue
    {
        $queue = $this->queue($name);
        $queue->setFlags(AMQP_DURABLE);
        $queue->setArguments($arguments);
        $queue->declareQueue();

        return $queue;
    }

    public function declareExchange(string $name, string $type = AMQP_EX_TYPE_DIRECT): AMQPExchange
    {
        $exchange = new AMQPExchange($this->channel);
        $exchange->setName($name);
        $exchange->setType($type);
        $exchange->setFlags(AMQP_DURABLE);
        $exchange->declareExchange();

        return $exchange;
    }

    /** True if the queue exists. If it does not, the channel is closed. */
    public function hasQueue(string $name): bool
    {
        try {
            $queue = $this->queue($name);
            $queue->setFlags(AMQP_PASSIVE);
            $queue->declareQueue();

            return true;
        } catch (\AMQPQueueException) {
            $this->channel = new AMQPChannel($this->connection);

            return false;
        }
    }

    /** How many messages of the queue are ready. */
    public function count(string $name): int
    {
        $queue = $this->queue($name);
        $queue->setFlags(AMQP_PASSIVE);

        return $queue->declareQueue();
    }

    public function get(string $queue, float $timeout = 10): AMQPEnvelope
    {
        $deadline = microtime(true) + $timeout;
        do {
            $envelope = $this->queue($queue)->get(AMQP_AUTOACK);
            if ($envelope instanceof AMQPEnvelope) {
                return $envelope;
            }
            usleep(20000);
        } while (microtime(true) < $deadline);

        throw new RuntimeException("no message in $queue within $timeout s");
    }

    /** @param array<string, mixed> $attributes php-amqp's: headers, message_id, … */
    public function publish(string $queue, string $body, array $attributes = []): void
    {
        (new AMQPExchange($this->channel))->publish($body, $queue, AMQP_NOPARAM, $attributes);
    }

    /** @param array<string, mixed> $attributes */
    public function publishTo(string $exchange, string $body, array $attributes = []): void
    {
        $with = new AMQPExchange($this->channel);
        $with->setName($exchange);
        $with->publish($body, '', AMQP_NOPARAM, $attributes);
    }

    public function deleteQueue(string $name): void
    {
        try {
            $this->queue($name)->delete();
        } catch (\AMQPException) {
            $this->channel = new AMQPChannel($this->connection);
        }
    }

    public function deleteExchange(string $name): void
    {
        try {
            (new AMQPExchange($this->channel))->delete($name);
        } catch (\AMQPException) {
            $this->channel = new AMQPChannel($this->connection);
        }
    }

    public function queue(string $name): AMQPQueue
    {
        $queue = new AMQPQueue($this->channel);
        $queue->setName($name);

        return $queue;
    }
}
