<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger;

use Amqp1\PeekedTask;
use Amqp1\SymfonyMessenger\Stamp\Amqp1ReceivedStamp;
use Amqp1\Task;
use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Exception\MessageDecodingFailedException;
use Symfony\Component\Messenger\Stamp\TransportMessageIdStamp;
use Symfony\Component\Messenger\Transport\Serialization\SerializerInterface;

/**
 * Makes envelopes of the broker's messages.
 *
 * @internal
 */
final class Decoder
{
    public function __construct(private readonly Connection $connection, private readonly SerializerInterface $serializer)
    {
    }

    /**
     * @param bool $inHand Whether the message is taken, so that it can be settled.
     * @param list<object> $with What must live as long as it is in hand.
     *
     * @throws MessageDecodingFailedException before Symfony 8.1; from then on, the exception is the envelope's message
     */
    public function envelope(Task|PeekedTask $task, bool $inHand, array $with = []): Envelope
    {
        $encoded = ['body' => $task->getBody(), 'headers' => $this->headers($task)];
        $stamps = [
            new Amqp1ReceivedStamp($this->connection, $task, $task->getQueue(), $inHand, $with),
            new TransportMessageIdStamp($task->getId()),
        ];
        try {
            $envelope = $this->serializer->decode($encoded);
        } catch (MessageDecodingFailedException $e) {
            if (!method_exists(MessageDecodingFailedException::class, 'wrap')) {
                throw $e;
            }
            $envelope = MessageDecodingFailedException::wrap($encoded, $e->getMessage(), $e->getCode(), $e);
        }

        // A retry and a failure transport give a message a new id; one that was sent along is an earlier one.
        return $envelope->withoutAll(TransportMessageIdStamp::class)->with(...$stamps);
    }

    /** @return array<string, string> */
    private function headers(Task|PeekedTask $task): array
    {
        $headers = [];
        foreach ($task->getHeaders() as $name => $values) {
            $headers[(string) $name] = count($values) === 1 ? $values[0] : implode(', ', $values);
        }
        $type = $task->getProperties()['content_type'] ?? null;

        return $type === null ? $headers : $headers + ['Content-Type' => $type];
    }
}
