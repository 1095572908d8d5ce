<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

use Amqp1\AmqpQueue;
use Amqp1\Command\FailedJobs;
use Amqp1\Console\ExitCode;
use Amqp1\PeekedTask;
use Amqp1\Task;
use Amqp1\Worker\Monitoring\OldestJob;
use Closure;
use Throwable;

/**
 * Asks brokers and has them do things, for as long as they take. Requests and answers are arrays, so that they can go to
 * another process.
 *
 * @internal
 */
final class Probe
{
    /** Failed jobs that one look shows. */
    public const LOOK = 50;

    /** Bytes of a payload that are shown. */
    private const PAYLOAD = 65536;

    /** @var array<string, AmqpQueue>|null */
    private ?array $queues = null;

    /** @param Closure(): array<string, AmqpQueue> $open makes the queues, in the process that uses them */
    public function __construct(private readonly Closure $open)
    {
    }

    /**
     * @param array{do: string, queue: string, id?: string} $request
     *
     * @return array{result: mixed}|array{error: string, code: int}
     */
    public function answer(array $request): array
    {
        try {
            $queue = ($this->queues ??= ($this->open)())[$request['queue']];

            return ['result' => match ($request['do']) {
                'figures' => self::figures($queue),
                'look' => self::look(self::failed($queue)),
                'retry' => $queue->retryFailed(null, [FailedJobs::idOf((string) ($request['id'] ?? ''))]),
                'retry all' => self::retryAll($queue),
                'flush' => self::failed($queue)->delete(),
            }];
        } catch (Throwable $e) {
            return ['error' => $e->getMessage() ?: $e::class, 'code' => ExitCode::of($e)];
        }
    }

    /** @return array<string, mixed> */
    private static function figures(AmqpQueue $queue): array
    {
        $stats = $queue->stats();
        $failed = self::failed($queue)->count();

        return $stats + ['failed' => $failed] + OldestJob::ages($queue, $stats['ready'], $failed);
    }

    private static function failed(AmqpQueue $queue): FailedJobs
    {
        return new FailedJobs($queue->failed());
    }

    /** @return array{jobs: list<array<string, mixed>>, taken: bool} */
    private static function look(FailedJobs $failed): array
    {
        $jobs = $failed->look(self::LOOK, self::job(...));

        return ['jobs' => $jobs, 'taken' => $failed->wereTaken()];
    }

    /** Those that are there now: what fails again meanwhile comes back to the end of the queue. */
    private static function retryAll(AmqpQueue $queue): int
    {
        $count = self::failed($queue)->count();

        return $count === 0 ? 0 : $queue->retryFailed($count);
    }

    /** @return array<string, mixed> of a payload, only the beginning */
    private static function job(Task|PeekedTask $task): array
    {
        $job = FailedJobs::all($task);
        $payload = is_string($job['payload']) ? $job['payload'] : (string) json_encode(
            $job['payload'],
            JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_PRESERVE_ZERO_FRACTION
        );

        return ['payload' => substr($payload, 0, self::PAYLOAD), 'payload_bytes' => strlen($payload)] + $job;
    }
}
