<?php

declare(strict_types=1);

namespace Amqp1\OpenTelemetry;

use OpenTelemetry\Context\ContextInterface;

/**
 * What is known about a job that a worker has. It holds no Task: it is the value in a WeakMap of them.
 *
 * @internal
 */
final class Known
{
    /** The context of its `process` span. */
    public ?ContextInterface $process = null;

    public function __construct(public readonly Destination $destination)
    {
    }
}
