<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Compatibility;

use Symfony\Component\Messenger\Transport\Receiver\KeepaliveReceiverInterface;
use Symfony\Component\Messenger\Transport\Receiver\ReceiverInterface;

// Symfony has it from 7.2 on.
if (interface_exists(KeepaliveReceiverInterface::class)) {
    /** @internal */
    interface KeepaliveReceiver extends KeepaliveReceiverInterface
    {
    }
} else {
    /** @internal */
    interface KeepaliveReceiver extends ReceiverInterface
    {
    }
}
