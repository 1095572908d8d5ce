<?php

declare(strict_types=1);

namespace Amqp1\Worker\Monitoring;

use Amqp1\AmqpQueue;
use Amqp1\Exception\QueueNotFoundException;
use Amqp1\Exception\UnsupportedException;
use Throwable;

/**
 * How full a worker's queues are, as their brokers said last.
 *
 * @internal
 */
final class QueueFigures
{
    /** @var array<string, array<string, int|float|null>> by queue */
    private array $figures = [];

    /** @param array<AmqpQueue> $queues */
    public function __construct(private array $queues)
    {
    }

    public function poll(): void
    {
        foreach ($this->queues as $index => $queue) {
            $name = $queue->getName();
            try {
                $stats = $queue->stats();
                $failed = self::failed($queue);
                $this->figures[$name] = [
                    'ready' => $stats['ready'], 'delayed' => $stats['delayed'], 'reserved' => $stats['reserved'],
                    'consumers' => $stats['consumers'], 'failed' => $failed, 'polled' => microtime(true),
                ] + self::ages($queue, $stats['ready'], $failed);
            } catch (UnsupportedException) {
                // This broker will never tell.
                unset($this->queues[$index], $this->figures[$name]);
            } catch (Throwable) {
                // Old figures would be taken for new ones.
                $this->figures[$name] = [];
            }
        }
    }

    /** The worker ends: nobody asks any more. */
    public function forget(): void
    {
        $this->figures = [];
    }

    /** @return array<string, array<string, int|float|null>> by queue; empty: the broker did not say */
    public function all(): array
    {
        return $this->figures;
    }

    private static function failed(AmqpQueue $queue): ?int
    {
        try {
            return $queue->failed()->count();
        } catch (QueueNotFoundException) {
            return 0;
        } catch (Throwable) {
            return null;
        }
    }

    /** @return array<string, float|null> */
    private static function ages(AmqpQueue $queue, ?int $ready, ?int $failed): array
    {
        try {
            return OldestJob::ages($queue, $ready, $failed);
        } catch (Throwable) {
            return [];
        }
    }
}
