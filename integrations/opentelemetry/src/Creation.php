<?php

declare(strict_types=1);

namespace Amqp1\OpenTelemetry;

use OpenTelemetry\API\Trace\SpanContextInterface;
use OpenTelemetry\Context\ContextInterface;

/**
 * What a job's headers tell about the trace in which it was created.
 *
 * @internal
 */
final class Creation
{
    public function __construct(
        /** With the creation's span and baggage, if there are any. */
        public readonly ContextInterface $context,
        /** Null if the headers name no span. */
        public readonly ?SpanContextInterface $span,
    ) {
    }
}
