<?php

declare(strict_types=1);

namespace Amqp1\Laravel;

/** Laravel's JSON as a job of the extension. */
final class Payload
{
    /** The key for options of a job that Laravel knows nothing of, such as its priority. */
    public const OPTIONS = 'amqp1';

    /** A payload that is not Laravel's: pushRaw() takes any. */
    private const UNNAMED = 'laravel';

    /**
     * @param array<string, mixed> $options take precedence over those of the payload
     *
     * @return array{name: non-empty-string, options: array<string, mixed>} as for Amqp1\AmqpQueue::pushMany()
     */
    public static function job(string $payload, array $options): array
    {
        $decoded = json_decode($payload, true);
        if (!is_array($decoded)) {
            return ['name' => self::UNNAMED, 'options' => $options];
        }
        $name = $decoded['displayName'] ?? $decoded['job'] ?? null;
        $own = $decoded[self::OPTIONS] ?? [];
        if (($options['delay'] ?? 0) <= 0) {
            unset($options['delay']);
        }

        return [
            'name' => is_string($name) && $name !== '' ? $name : self::UNNAMED,
            'options' => $options + (is_array($own) ? $own : []) + ['content_type' => 'application/json'],
        ];
    }
}
