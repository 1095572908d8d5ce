<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger;

use Amqp1\SymfonyMessenger\Compatibility\CloseableTransport;
use Amqp1\SymfonyMessenger\Compatibility\KeepaliveReceiver;
use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Transport\Receiver\ListableReceiverInterface;
use Symfony\Component\Messenger\Transport\Receiver\MessageCountAwareInterface;
use Symfony\Component\Messenger\Transport\Receiver\QueueReceiverInterface;
use Symfony\Component\Messenger\Transport\Serialization\PhpSerializer;
use Symfony\Component\Messenger\Transport\Serialization\SerializerInterface;
use Symfony\Component\Messenger\Transport\SetupableTransportInterface;

/** Messages over AMQP 1.0, by the extension amqp1. Nothing is connected before it is used. */
final class Transport implements
    QueueReceiverInterface,
    ListableReceiverInterface,
    MessageCountAwareInterface,
    SetupableTransportInterface,
    KeepaliveReceiver,
    CloseableTransport
{
    private readonly Sender $sender;
    private readonly Receiver $receiver;
    private readonly Listing $listing;

    /** @internal Use TransportFactory. */
    public function __construct(private readonly Connection $connection, ?SerializerInterface $serializer = null)
    {
        $serializer ??= new PhpSerializer();
        $this->sender = new Sender($connection, $serializer);
        $decoder = new Decoder($connection, $serializer);
        $this->listing = new Listing($connection, $decoder);
        $this->receiver = new Receiver($connection, $decoder, $this->listing);
    }

    public function send(Envelope $envelope): Envelope
    {
        return $this->sender->send($envelope);
    }

    /** @param int $fetchSize How many messages at most (Symfony 8.1). Each is taken when the one before it is done. */
    public function get(int $fetchSize = 1): iterable
    {
        return $this->receiver->get($this->connection->names(), $fetchSize);
    }

    public function getFromQueues(array $queueNames, int $fetchSize = 1): iterable
    {
        return $this->receiver->get(array_values($queueNames), $fetchSize);
    }

    public function ack(Envelope $envelope): void
    {
        $this->receiver->ack($envelope);
    }

    public function reject(Envelope $envelope): void
    {
        $this->receiver->reject($envelope);
    }

    public function keepalive(Envelope $envelope, ?int $seconds = null): void
    {
        $this->receiver->keepalive($envelope);
    }

    public function all(?int $limit = null): iterable
    {
        return $this->listing->all($limit);
    }

    public function find(mixed $id): ?Envelope
    {
        return $this->listing->find((string) $id);
    }

    public function getMessageCount(): int
    {
        return Failure::translated(fn (): int => $this->connection->count());
    }

    public function setup(): void
    {
        Failure::translated(fn () => $this->connection->setup());
    }

    public function close(): void
    {
        Failure::translated(fn () => $this->connection->close());
    }
}
