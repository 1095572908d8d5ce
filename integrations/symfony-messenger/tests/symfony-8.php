<?php

/** The interfaces of Symfony Messenger 8.1 that the transport implements: their names and signatures. */

declare(strict_types=1);

namespace Symfony\Component\Messenger {
    final class Envelope
    {
    }
}

namespace Symfony\Component\Messenger\Transport\Serialization {
    interface SerializerInterface
    {
    }
}

namespace Symfony\Component\Messenger\Transport\Sender {
    use Symfony\Component\Messenger\Envelope;

    interface SenderInterface
    {
        public function send(Envelope $envelope): Envelope;
    }
}

namespace Symfony\Component\Messenger\Transport\Receiver {
    use Symfony\Component\Messenger\Envelope;

    interface ReceiverInterface
    {
        /** 8.1: called with $fetchSize. */
        public function get(int $fetchSize = 1): iterable;

        public function ack(Envelope $envelope): void;

        public function reject(Envelope $envelope): void;
    }

    interface QueueReceiverInterface extends ReceiverInterface
    {
        public function getFromQueues(array $queueNames, int $fetchSize = 1): iterable;
    }

    interface ListableReceiverInterface extends ReceiverInterface
    {
        public function all(?int $limit = null): iterable;

        public function find(mixed $id): ?Envelope;
    }

    interface MessageCountAwareInterface
    {
        public function getMessageCount(): int;
    }

    /** 7.2 */
    interface KeepaliveReceiverInterface extends ReceiverInterface
    {
        public function keepalive(Envelope $envelope, ?int $seconds = null): void;
    }
}

namespace Symfony\Component\Messenger\Transport {
    use Symfony\Component\Messenger\Transport\Receiver\ReceiverInterface;
    use Symfony\Component\Messenger\Transport\Sender\SenderInterface;
    use Symfony\Component\Messenger\Transport\Serialization\SerializerInterface;

    interface TransportInterface extends ReceiverInterface, SenderInterface
    {
    }

    interface SetupableTransportInterface
    {
        public function setup(): void;
    }

    /** 7.3 */
    interface CloseableTransportInterface
    {
        public function close(): void;
    }

    interface TransportFactoryInterface
    {
        public function createTransport(#[\SensitiveParameter] string $dsn, array $options, SerializerInterface $serializer): TransportInterface;

        public function supports(#[\SensitiveParameter] string $dsn, array $options): bool;
    }
}
