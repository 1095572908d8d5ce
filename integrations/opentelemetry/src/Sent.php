<?php

declare(strict_types=1);

namespace Amqp1\OpenTelemetry;

use OpenTelemetry\API\Trace\SpanInterface;

/**
 * A job whose outcome is not known yet.
 *
 * @internal
 */
final class Sent
{
    public function __construct(
        /** `send`, `create`, `retry` and so on. */
        public readonly string $operation,
        public readonly Destination $destination,
        /** Its own span; null in a batch without `create` spans. */
        public readonly ?SpanInterface $span,
        public readonly ?Batch $batch,
    ) {
    }
}
