<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger;

use Amqp1\PeekedTask;
use Amqp1\Task;

/**
 * What a retry, or the copy in a failure transport, keeps of the message that was received.
 *
 * @internal
 */
final class Copy
{
    /** A broker accepts a user-id from that same user only, and RabbitMQ sets `to`. */
    private const PROPERTIES = ['content_encoding', 'content_type', 'correlation_id', 'reply_to'];

    private const STAMP = 'X-Message-Stamp-';

    /** Annotations that brokers set or act on, and those of the format babelqueue. */
    private const BROKERS = '/^x-(delay|cc|routing-key|exchange|death|delivery-count|acquired-count|basic-type|schema-version'
        . '|source-lang|attempts|(first|last)-death-.*|opt-(deaths|delivery-.*|scheduled-enqueue-time|partition-key'
        . '|enqueued-time|sequence-number|enqueue-sequence-number|locked-until|message-state|deadletter-source'
        . '|rabbitmq-.*|amqp1-.*|jms-.*|via-partition-key|offset))$/';

    /** @return array<string, mixed> options of AmqpQueue::push() */
    public static function options(Task|PeekedTask $task): array
    {
        $annotations = $task->getAnnotations();
        $properties = $task->getProperties();
        $kept = array_filter(
            $annotations,
            static fn ($value, $name) => is_scalar($value) && str_starts_with((string) $name, 'x-')
                && preg_match(self::BROKERS, (string) $name) !== 1,
            ARRAY_FILTER_USE_BOTH
        );
        $partition = $annotations['x-opt-partition-key'] ?? null;

        return array_filter([
            'priority' => $task->getPriority(),
            'group' => $task->getGroup(),
            'partition_key' => is_string($partition) ? $partition : null,
            'annotations' => $kept,
        ] + array_intersect_key($properties, array_flip(self::PROPERTIES)), static fn ($value) => $value !== null && $value !== '' && $value !== []);
    }

    /** @return array<string, list<string>> those of the application; the serializer writes its own again */
    public static function headers(Task|PeekedTask $task): array
    {
        return array_filter(
            $task->getHeaders(),
            static fn ($name) => !str_starts_with((string) $name, self::STAMP) && !in_array($name, ['type', 'Content-Type'], true),
            ARRAY_FILTER_USE_KEY
        );
    }
}
