<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger;

use Amqp1\SymfonyMessenger\Stamp\Amqp1ReceivedStamp;
use Amqp1\SymfonyMessenger\Stamp\Amqp1Stamp;
use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Stamp\DelayStamp;
use Symfony\Component\Messenger\Stamp\RedeliveryStamp;
use Symfony\Component\Messenger\Stamp\TransportMessageIdStamp;
use Symfony\Component\Messenger\Transport\Sender\SenderInterface;
use Symfony\Component\Messenger\Transport\Serialization\SerializerInterface;

/**
 * Returns once the broker has confirmed the message.
 *
 * @internal
 */
final class Sender implements SenderInterface
{
    public function __construct(private readonly Connection $connection, private readonly SerializerInterface $serializer)
    {
    }

    public function send(Envelope $envelope): Envelope
    {
        $received = $envelope->last(Amqp1ReceivedStamp::class);
        $redelivered = $received !== null && $envelope->last(RedeliveryStamp::class) !== null;
        $isRetry = $redelivered && $received->isOf($this->connection);
        if ($isRetry && $this->connection->options->retry === Options::RETRY_BROKER) {
            // Messenger has decided that there is another attempt. Receiver::reject() leaves it to the broker.
            $received->markCopied();

            return $envelope;
        }

        $stamp = $envelope->last(Amqp1Stamp::class);
        $encoded = $this->serializer->encode($envelope);
        $headers = $encoded['headers'] ?? [];
        $options = $stamp?->options() ?? [];
        if (isset($headers['Content-Type'])) {
            $options += ['content_type' => $headers['Content-Type']];
            unset($headers['Content-Type']);
        }
        $headers += $stamp->headers ?? [];
        if ($received !== null) {
            $options += Copy::options($received->getTask());
            $headers += Copy::headers($received->getTask());
        }
        $delay = $envelope->last(DelayStamp::class)?->getDelay() ?? 0;
        if ($delay > 0) {
            $options['delay'] = $delay / 1000;
        }
        $options['headers'] = array_filter($headers, static fn ($value) => $value !== null);

        return Failure::translated(function () use ($envelope, $received, $redelivered, $isRetry, $stamp, $encoded, $options): Envelope {
            $queue = $isRetry
                ? $this->connection->direct($received->getQueueName())
                : $this->connection->queue($stamp?->queue);
            if ($isRetry) {
                unset($options['routing_key']);
            }
            $id = $queue->push(self::name($envelope, $encoded), $encoded['body'], $options);
            if ($redelivered) {
                $received->markCopied();
            }

            return $envelope->withoutAll(TransportMessageIdStamp::class)->with(new TransportMessageIdStamp($id));
        });
    }

    /** @param array{body: string, headers?: array<string, string>} $encoded */
    private static function name(Envelope $envelope, array $encoded): string
    {
        $name = $encoded['headers']['type'] ?? get_class($envelope->getMessage());

        // An anonymous class has a path behind a NUL.
        return strtok((string) $name, "\0") ?: 'message';
    }
}
