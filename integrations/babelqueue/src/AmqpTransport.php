<?php

declare(strict_types=1);

namespace Amqp1\BabelQueue;

use Amqp1\Consumer;
use Amqp1\Task;
use BabelQueue\Codec\EnvelopeCodec;
use BabelQueue\Contracts\Transport;
use InitPHP\Queue\Contracts\ConsumerTransport;
use InitPHP\Queue\Message\ReceivedMessage;

/**
 * Publishes and consumes envelopes, in place of InitPHP\Queue\Transport\Amqp\AmqpTransport: its worker runs on it unchanged.
 *
 * Retries honour their delay. A copy, for a retry or for the failed queue, is confirmed before the original is acknowledged,
 * so a crash in between leaves two messages, not none.
 */
final class AmqpTransport implements Transport, ConsumerTransport
{
    private readonly Publisher $publisher;

    /** @var array<string, Consumer> */
    private array $consumers = [];

    /**
     * @param string $connection A DSN or connection string, as for new AmqpQueue().
     * @param string|null $failedSuffix Dead-lettered messages go to the queue of this suffix. null: to the extension's failed
     *     queue, which on Service Bus is the queue's own dead-letter queue.
     * @param array<string, mixed> $options Of new AmqpQueue(), for every queue. Defaults that differ: prefetch 1, so that a
     *     killed worker costs no other message an attempt; max_attempts 20, because attempts are the worker's business: this
     *     ends a message whose worker dies each time.
     */
    public function __construct(
        #[\SensitiveParameter] string $connection,
        string $defaultQueue = 'default',
        private readonly ?string $failedSuffix = '.failed',
        #[\SensitiveParameter] array $options = [],
    ) {
        $this->publisher = new Publisher($connection, $defaultQueue, $options + ['prefetch' => 1, 'max_attempts' => 20]);
    }

    public function publish(string $payload, ?string $queue = null): string
    {
        return $this->publisher->publish($payload, $queue);
    }

    public function reserve(string $queue, float $timeout = 5.0): ?ReceivedMessage
    {
        $task = $this->consumer($queue)->waitTask($timeout);
        if ($task === null) {
            return null;
        }
        $raw = $task->getRawBody();
        $envelope = EnvelopeCodec::decode($raw);
        // What the broker counted, too: a worker that was killed has written no attempt.
        if (is_int($envelope['attempts'] ?? null) && $task->getFormat() === 'babelqueue') {
            $envelope['attempts'] = max($envelope['attempts'], $task->getAttempts() - 1);
        }

        return new ReceivedMessage($queue, $raw, $envelope, $task);
    }

    /** @throws \Amqp1\Exception\TaskLostException the delivery was lost, and the message will be delivered again */
    public function ack(ReceivedMessage $message): void
    {
        self::task($message)->ack();
    }

    public function release(ReceivedMessage $message, string $payload, int $delaySeconds = 0): void
    {
        if (Envelope::refusal(EnvelopeCodec::decode($payload)) !== null) {
            self::task($message)->release($delaySeconds);
        } else {
            $this->replace($message, $payload, $message->queue(), $delaySeconds);
        }
    }

    public function deadLetter(ReceivedMessage $message, string $payload): void
    {
        $envelope = EnvelopeCodec::decode($payload);
        $failure = $envelope['dead_letter'] ?? [];
        $refusal = Envelope::refusal($envelope);
        if ($refusal !== null) {
            // The message itself, whatever it is: what PHP read of it is not all.
            self::task($message)->deadLetter('poison', $refusal);
        } elseif ($this->failedSuffix === null) {
            self::task($message)->deadLetter((string) ($failure['reason'] ?? 'failed'), $failure['error'] ?? null);
        } else {
            $this->replace($message, $payload, $message->queue() . $this->failedSuffix);
        }
    }

    /** Returns what is not settled to the broker, and detaches. */
    public function close(): void
    {
        foreach ($this->consumers as $consumer) {
            $consumer->close();
        }
        $this->consumers = [];
    }

    private function replace(ReceivedMessage $message, string $payload, string $queue, int $delay = 0): void
    {
        $task = self::task($message);
        $this->publisher->push(Envelope::changed($message->rawBody(), $payload), $queue, [
            'delay' => $delay ?: null,
            'headers' => $task->getHeaders(),
            'priority' => max(0, min(255, $task->getPriority())),
            'group' => $task->getGroup(),
        ]);
        $task->ack();
    }

    private function consumer(string $queue): Consumer
    {
        $options = $this->failedSuffix === null ? [] : ['failed_queue' => $queue . $this->failedSuffix];

        return $this->consumers[$queue] ??= new Consumer($this->publisher->queue($queue), $options);
    }

    private static function task(ReceivedMessage $message): Task
    {
        $task = $message->receipt();

        return $task instanceof Task ? $task : throw new \InvalidArgumentException('The message was reserved from another transport');
    }
}
