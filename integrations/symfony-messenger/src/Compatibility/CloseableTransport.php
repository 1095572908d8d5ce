<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Compatibility;

use Symfony\Component\Messenger\Transport\CloseableTransportInterface;
use Symfony\Component\Messenger\Transport\TransportInterface;

// Symfony has it from 7.3 on.
if (interface_exists(CloseableTransportInterface::class)) {
    /** @internal */
    interface CloseableTransport extends TransportInterface, CloseableTransportInterface
    {
    }
} else {
    /** @internal */
    interface CloseableTransport extends TransportInterface
    {
    }
}
