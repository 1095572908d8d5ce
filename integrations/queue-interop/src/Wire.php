<?php

declare(strict_types=1);

namespace Amqp1\QueueInterop;

use Amqp1\Task;
use Interop\Queue\Exception\InvalidMessageException;

/**
 * Messages as jobs and back: properties are application properties, headers are AMQP's properties.
 *
 * AMQP keeps the types of properties, but a task's headers are strings. So the types of those that are no strings are in one
 * more property. An array is JSON there.
 *
 * @internal
 */
final class Wire
{
    private const TYPES = 'x-interop-types';

    /** The options of a push, by the header of a message. */
    private const OPTIONS = [
        'message_id' => 'id',
        'correlation_id' => 'correlation_id',
        'reply_to' => 'reply_to',
        'content_type' => 'content_type',
        'content_encoding' => 'content_encoding',
        'user_id' => 'user_id',
        'priority' => 'priority',
        'group_id' => 'group',
    ];

    /** The job's name of a message without the header "subject". */
    private const NAME = 'message';

    /**
     * @return array{string, array<string, mixed>} the job's name, and the options of its push
     *
     * @throws InvalidMessageException a header that AMQP does not have, or a property that cannot be sent
     */
    public static function of(Message $message): array
    {
        $options = [];
        $headers = array_filter($message->getHeaders(), static fn ($value) => $value !== null);
        foreach ($headers as $name => $value) {
            match (true) {
                isset(self::OPTIONS[$name]) => $options[self::OPTIONS[$name]] = $value,
                $name === 'delivery_mode' => $options['durable'] = (int) $value === 2,
                $name === 'expiration' => $options['ttl'] = is_numeric($value) ? $value / 1000
                    : throw new InvalidMessageException("Header 'expiration' must be a number of milliseconds, not " . get_debug_type($value)),
                in_array($name, ['subject', 'timestamp'], true) => null, // the job's name; the extension's own
                default => throw new InvalidMessageException("Header '$name' is none that AMQP has: send it as a property"),
            };
        }
        $types = [];
        $properties = [];
        foreach (array_filter($message->getProperties(), static fn ($value) => $value !== null) as $name => $value) {
            $type = get_debug_type($value);
            if (!in_array($type, ['string', 'int', 'float', 'bool', 'array'], true)) {
                throw new InvalidMessageException("Property '$name': a $type cannot be sent");
            }
            $properties[$name] = $type === 'array' ? self::json((string) $name, $value) : $value;
            if ($type !== 'string') {
                $types[$name] = $type;
            }
        }
        if ($types !== []) {
            $properties[self::TYPES] = json_encode($types, JSON_THROW_ON_ERROR);
        }

        return [(string) ($headers['subject'] ?? self::NAME), ['headers' => $properties] + $options];
    }

    /** @param array<mixed> $value */
    private static function json(string $name, array $value): string
    {
        try {
            return json_encode($value, JSON_THROW_ON_ERROR);
        } catch (\JsonException $e) {
            throw new InvalidMessageException("Property '$name': the array cannot be encoded as JSON: {$e->getMessage()}", 0, $e);
        }
    }

    public static function message(Task $task): Message
    {
        $types = json_decode($task->getHeaderLine(self::TYPES), true);
        $properties = [];
        foreach ($task->getHeaders() as $name => [$value]) {
            if ($name !== self::TYPES) {
                $properties[$name] = match ($types[$name] ?? 'string') {
                    'int' => (int) $value,
                    'float' => (float) $value,
                    'bool' => $value === 'true',
                    'array' => json_decode($value, true),
                    default => $value,
                };
            }
        }
        $headers = array_filter([
            'message_id' => $task->getId(),
            'correlation_id' => $task->getCorrelationId(),
            'reply_to' => $task->getReplyTo(),
            'timestamp' => $task->getCreationTime()?->getTimestamp(),
            'content_type' => $task->getContentType(),
            'content_encoding' => $task->getContentEncoding(),
            'user_id' => $task->getUserId(),
            'group_id' => $task->getGroup(),
            'subject' => $task->getName() === self::NAME ? null : $task->getName(),
            'priority' => $task->getPriority(),
        ], static fn ($value) => $value !== null);
        $message = new Message($task->getBody(), $properties, $headers, $task);
        $message->setRedelivered($task->getAttempts() > 1);

        return $message;
    }
}
