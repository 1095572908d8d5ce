<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;
use RuntimeException;

/** A pure-PHP 0-9-1 client for RabbitMQ: php-amqplib, which BabelQueue's PHP SDK uses. */
final class AmqpLib
{
    private AMQPStreamConnection $connection;
    private AMQPChannel $channel;

    public function __construct(Broker $broker)
    {
        if (!class_exists(AMQPStreamConnection::class) && !@include_once 'PhpAmqpLib/autoload.php') {
            throw new RuntimeException('php-amqplib is missing: scripts/deps test installs it');
        }
        $parts = parse_url($broker->dsn);
        $this->connection = new AMQPStreamConnection(
            $parts['host'],
            $parts['port'] ?? 5672,
            rawurldecode($parts['user'] ?? 'guest'),
            rawurldecode($parts['pass'] ?? 'guest'),
            isset($parts['path']) && $parts['path'] !== '/' ? rawurldecode(substr($parts['path'], 1)) : '/',
        );
        $this->channel = $this->connection->channel();
    }

    /**
     * @param array<string, mixed> $properties content_type, message_id, …
     * @param array<string, mixed> $headers
     */
    public function publish(string $queue, string $body, array $properties = [], array $headers = []): void
    {
        if ($headers !== []) {
            $properties['application_headers'] = new AMQPTable($headers);
        }
        $this->channel->basic_publish(new AMQPMessage($body, $properties), '', $queue);
    }

    public function get(string $queue, float $timeout = 10): AMQPMessage
    {
        $deadline = microtime(true) + $timeout;
        do {
            $message = $this->channel->basic_get($queue, true);
            if ($message !== null) {
                return $message;
            }
            usleep(20000);
        } while (microtime(true) < $deadline);

        throw new RuntimeException("no message in $queue within $timeout s");
    }

    /** @return array<string, mixed> */
    public static function headers(AMQPMessage $message): array
    {
        return $message->has('application_headers') ? $message->get('application_headers')->getNativeData() : [];
    }

    public function close(): void
    {
        $this->connection->close();
    }
}
