<?php

declare(strict_types=1);

namespace Amqp1\OpenTelemetry;

use OpenTelemetry\API\Trace\SpanInterface;

/**
 * A pushMany() in progress.
 *
 * @internal
 */
final class Batch
{
    public readonly float $started;
    public int $count = 0;
    public int $failed = 0;

    /** The first error's type. */
    public ?string $error = null;

    public function __construct(public readonly SpanInterface $span, public int $index)
    {
        $this->started = hrtime(true) / 1e9;
    }
}
