<?php

declare(strict_types=1);

namespace Amqp1\OpenTelemetry\Propagation;

use Amqp1\Observation\Push;
use OpenTelemetry\Context\Propagation\PropagationSetterInterface;

/**
 * A propagator's fields are headers of the job.
 *
 * @internal
 */
final class PushSetter implements PropagationSetterInterface
{
    /** @param Push $carrier */
    public function set(&$carrier, string $key, string $value): void
    {
        $carrier->addHeader($key, $value);
    }
}
