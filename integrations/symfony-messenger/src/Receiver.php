<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger;

use Amqp1\SymfonyMessenger\Stamp\Amqp1ReceivedStamp;
use Amqp1\Task;
use Symfony\Component\Messenger\Envelope;
use Symfony\Component\Messenger\Exception\LogicException;
use Symfony\Component\Messenger\Exception\MessageDecodingFailedException;
use Symfony\Component\Messenger\Stamp\ErrorDetailsStamp;

/** @internal */
final class Receiver
{
    public function __construct(
        private readonly Connection $connection,
        private readonly Decoder $decoder,
        private readonly Listing $listing,
    ) {
    }

    /**
     * @param list<string> $queues
     *
     * @return \Generator<int, Envelope>
     */
    public function get(array $queues, int $max): \Generator
    {
        $wait = $this->connection->options->wait;
        for ($left = max(1, $max); $left > 0; --$left) {
            // One at a time: what was handed out but not handled would count as an attempt.
            $task = Failure::translated(fn (): ?Task => $this->connection->consumer($queues)->waitTask($wait));
            if ($task === null) {
                return;
            }
            $wait = 0.0;
            yield $this->decode($task);
        }
    }

    /** @throws MessageDecodingFailedException */
    private function decode(Task $task): Envelope
    {
        try {
            return $this->decoder->envelope($task, true);
        } catch (MessageDecodingFailedException $e) {
            // Messenger wants it gone from the queue. It is kept where a person can look at it.
            Failure::translated(static fn () => $task->deadLetter('poison', $e->getMessage()));

            throw $e;
        }
    }

    public function ack(Envelope $envelope): void
    {
        // Newer versions of Messenger acknowledge a message that is to be retried, instead of rejecting it. If the broker retries,
        // there is no copy of it yet.
        $retries = self::stamp($envelope)->isCopied() && $this->connection->options->retry === Options::RETRY_BROKER;
        $error = $retries ? self::error($envelope) : null;
        $this->settle($envelope, static fn (Task $task) => $retries ? $task->nack($error) : $task->ack());
    }

    public function reject(Envelope $envelope): void
    {
        $received = self::stamp($envelope);
        $options = $this->connection->options;
        $error = self::error($envelope);
        $this->settle($envelope, static fn (Task $task) => match (true) {
            $received->isCopied() && $options->retry === Options::RETRY_BROKER => $task->nack($error),
            // The copy was confirmed.
            $received->isCopied(), $options->reject === Options::REJECT_DISCARD => $task->discard(),
            $options->reject === Options::REJECT_FAILED => $task->nack($error, false),
            default => $task->reject(),
        });
    }

    public function keepalive(Envelope $envelope): void
    {
        $task = self::stamp($envelope)->getTask();
        if ($task instanceof Task) {
            Failure::translated(static fn () => $task->renew());
        }
    }

    /** @param callable(Task): void $settle */
    private function settle(Envelope $envelope, callable $settle): void
    {
        $received = self::stamp($envelope);
        if (!$received->isInHand()) {
            // It was only looked at.
            $found = $this->listing->find((string) $received->getTask()->getId());
            if ($found === null) {
                throw new LogicException('The message is not in the queue any more.');
            }
            $received = self::stamp($found);
        }
        Failure::translated(static fn () => $received->settle($settle));
    }

    private static function stamp(Envelope $envelope): Amqp1ReceivedStamp
    {
        return $envelope->last(Amqp1ReceivedStamp::class)
            ?? throw new LogicException('No "Amqp1ReceivedStamp" stamp found on the Envelope.');
    }

    /** What Messenger's listener has noted, for the failed queue. */
    private static function error(Envelope $envelope): ?string
    {
        $details = $envelope->last(ErrorDetailsStamp::class);

        return $details === null ? null : $details->getExceptionClass() . ': ' . $details->getExceptionMessage();
    }
}
