<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger;

use Psr\Log\LoggerInterface;
use Symfony\Component\Messenger\Transport\Serialization\SerializerInterface;
use Symfony\Component\Messenger\Transport\TransportFactoryInterface;
use Symfony\Component\Messenger\Transport\TransportInterface;

/**
 * Makes transports for `amqp1://`, `amqp1s://`, `embedded://`, `sb://` and Service Bus connection strings.
 *
 * `amqp://` and `amqps://` belong to Symfony's own transport, which speaks AMQP 0-9-1.
 *
 * @implements TransportFactoryInterface<TransportInterface>
 */
final class TransportFactory implements TransportFactoryInterface
{
    /** @param LoggerInterface|null $logger For connections. Without it, the process's (Amqp1\setLogger()). */
    public function __construct(private readonly ?LoggerInterface $logger = null)
    {
    }

    public function createTransport(#[\SensitiveParameter] string $dsn, array $options, SerializerInterface $serializer): TransportInterface
    {
        if ($this->logger !== null) {
            $options += ['logger' => $this->logger];
        }

        return new Transport(new Connection(Options::from($dsn, $options)), $serializer);
    }

    public function supports(#[\SensitiveParameter] string $dsn, array $options): bool
    {
        return preg_match('~^(amqp1s?|embedded|sb)://~i', $dsn) === 1 || Options::isConnectionString($dsn);
    }
}
