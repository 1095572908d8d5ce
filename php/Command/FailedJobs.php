<?php

declare(strict_types=1);

namespace Amqp1\Command;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\QueueNotFoundException;
use Amqp1\Exception\SerializationException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\PeekedTask;
use Amqp1\Task;

/**
 * Looks at the jobs of a failed queue. Where the broker shows jobs only by delivering them (RabbitMQ, ActiveMQ), it takes
 * them in hand, unsettled, and gives them back; for that moment no other consumer can have them.
 *
 * @internal
 */
final class FailedJobs
{
    /** How long the next one may take to come, when the broker does not say how many there are. */
    private const WAIT = 1.0;

    /** What a consumer may hold. */
    private const MOST = 65535;

    /** How many are shown at a time. */
    private const PAGE = 100;

    private bool $taken = false;

    public function __construct(private readonly AmqpQueue $failed)
    {
    }

    /** Whether the last look took jobs in hand and gave them back, because their broker shows them in no other way. */
    public function wereTaken(): bool
    {
        return $this->taken;
    }

    /** @return int|null null: the broker does not tell */
    public function count(): ?int
    {
        try {
            return $this->failed->count();
        } catch (QueueNotFoundException) {
            return 0;
        } catch (UnsupportedException) {
            return null;
        }
    }

    /**
     * @template T
     *
     * @param int $max Looks at so many at the most.
     * @param callable(Task|PeekedTask): ?T $take What is wanted of a job; null: it is not one of those.
     * @param int $wanted Ends when it has so many.
     *
     * @return list<T>
     */
    public function look(int $max, callable $take, int $wanted = PHP_INT_MAX): array
    {
        $this->taken = false;
        try {
            return $this->peek($max, $take, $wanted);
        } catch (UnsupportedException) {
            $this->taken = true;

            return $this->takeInHand($max, $take, $wanted);
        }
    }

    /**
     * @template T
     *
     * @param callable(PeekedTask): ?T $take
     *
     * @return list<T>
     */
    private function peek(int $max, callable $take, int $wanted): array
    {
        $found = [];
        $from = 0;
        try {
            while ($max > 0 && count($found) < $wanted) {
                $tasks = $this->failed->peek(min($max, self::PAGE), $from);
                if ($tasks === []) {
                    break;
                }
                $max -= count($tasks);
                $from = end($tasks)->getSequenceNumber() + 1;
                array_push($found, ...array_filter(array_map($take, $tasks), static fn ($value) => $value !== null));
            }
        } catch (QueueNotFoundException) {
            // It is declared when the first job fails.
        }

        return $found;
    }

    /**
     * @template T
     *
     * @param callable(Task): ?T $take
     *
     * @return list<T>
     */
    private function takeInHand(int $max, callable $take, int $wanted): array
    {
        $max = min($max, self::MOST, $this->count() ?? self::MOST);
        if ($max === 0) {
            return [];
        }
        $consumer = new Consumer($this->failed, ['prefetch' => $max]);
        $found = $held = [];
        try {
            while (count($held) < $max && count($found) < $wanted) {
                // Somebody else may have taken what was counted.
                $tasks = $consumer->waitTasks($max - count($held), self::WAIT);
                if ($tasks === []) {
                    break;
                }
                array_push($held, ...$tasks);
                array_push($found, ...array_filter(array_map($take, $tasks), static fn ($value) => $value !== null));
            }
        } catch (QueueNotFoundException) {
            // It is declared when the first job fails.
        } finally {
            $consumer->close();
        }

        return $found;
    }

    /** @return int how many there were */
    public function delete(): int
    {
        try {
            return $this->failed->purge();
        } catch (QueueNotFoundException) {
            return 0;
        } catch (UnsupportedException) {
            // Where the broker cannot, one after the other.
            return $this->acknowledge();
        }
    }

    private function acknowledge(): int
    {
        $deleted = 0;
        $consumer = new Consumer($this->failed, ['prefetch' => 100]);
        try {
            while (($task = $consumer->waitTask(self::WAIT)) !== null) {
                $task->ack();
                $deleted++;
            }
        } catch (QueueNotFoundException) {
            // It is declared when the first job fails.
        } finally {
            $consumer->close();
        }

        return $deleted;
    }

    /** A job's id for people and JSON: one that is not UTF-8, which foreign messages may have, in hexadecimal. */
    public static function id(Task|PeekedTask $task): string
    {
        $id = $task->getId();

        return preg_match('//u', $id) === 1 ? $id : '0x' . bin2hex($id);
    }

    /** The job's id that a person means, who has it from id(). */
    public static function idOf(string $written): string
    {
        $isHex = preg_match('/^0x((?:[0-9a-f]{2})+)$/D', $written, $match) === 1;
        $bytes = $isHex ? (string) hex2bin($match[1]) : '';

        return preg_match('//u', $bytes) === 1 ? $written : $bytes;
    }

    /**
     * @return array{
     *     id: string, job: string, queue: string, reason: ?string, error: ?string, exception: ?string,
     *     attempts: int, failed_at: ?string,
     * }
     */
    public static function facts(Task|PeekedTask $task): array
    {
        $failure = $task->getFailure();

        return [
            'id' => self::id($task),
            'job' => $task->getName(),
            'queue' => $failure['queue'] ?? $task->getQueue(),
            'reason' => $failure['reason'] ?? null,
            'error' => $failure['error'] ?? null,
            'exception' => $failure['exception'] ?? null,
            'attempts' => $failure['attempts'] ?? $task->getAttempts(),
            'failed_at' => isset($failure['failed_at']) ? gmdate('Y-m-d\TH:i:s\Z', (int) $failure['failed_at']) : null,
        ];
    }

    /** @return array<string, mixed> facts(), headers and payload */
    public static function all(Task|PeekedTask $task): array
    {
        try {
            $payload = ['payload' => $task->getPayload()];
        } catch (SerializationException $e) {
            $payload = ['payload' => $task->getBody(), 'payload_error' => $e->getMessage()];
        }

        return self::facts($task) + ['headers' => $task->getHeaders()] + $payload;
    }
}
