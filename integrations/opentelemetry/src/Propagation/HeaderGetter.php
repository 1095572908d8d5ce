<?php

declare(strict_types=1);

namespace Amqp1\OpenTelemetry\Propagation;

use OpenTelemetry\Context\Propagation\PropagationGetterInterface;

/**
 * Reads a propagator's fields from a job's headers. Older SDKs of Service Bus send `Diagnostic-Id` alone.
 *
 * @internal
 */
final class HeaderGetter implements PropagationGetterInterface
{
    /** @param array<string, list<string>> $carrier */
    public function keys($carrier): array
    {
        return array_map('strval', array_keys($carrier));
    }

    /** @param array<string, list<string>> $carrier */
    public function get($carrier, string $key): ?string
    {
        return self::find($carrier, $key) ?? ($key === 'traceparent' ? self::find($carrier, 'Diagnostic-Id') : null);
    }

    /** @param array<string, list<string>> $headers */
    public static function find(array $headers, string $name): ?string
    {
        foreach ($headers as $known => $values) {
            if (strcasecmp((string) $known, $name) === 0) {
                return $values[0] ?? null;
            }
        }

        return null;
    }
}
