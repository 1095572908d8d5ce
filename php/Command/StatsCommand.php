<?php

declare(strict_types=1);

namespace Amqp1\Command;

use Amqp1\AmqpQueue;
use Amqp1\Command\Top\Words;
use Amqp1\Console\Input;
use Amqp1\Console\Output;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Exception\QueueNotFoundException;
use Amqp1\Exception\UnsupportedException;
use Amqp1\Worker\Monitoring\OldestJob;

/**
 * `amqp1 stats`: how many jobs there are.
 *
 * @internal
 */
final class StatsCommand extends Command
{
    private const FIGURES = ['ready', 'delayed', 'reserved', 'consumers'];

    public function name(): string
    {
        return 'stats';
    }

    public function summary(): string
    {
        return 'Show how many jobs are ready, delayed, in progress, and failed';
    }

    public function help(): string
    {
        return "OLDEST is how long ago the oldest job that waits became due. With --json, it is oldest_age in seconds, and\n"
            . "oldest_failed_age is how long ago the oldest failed job failed.\n\n"
            . '"-" (null with --json) means that the broker does not report this figure.';
    }

    public function run(Input $input, Output $output): int
    {
        $input->noArguments();
        $all = $problems = [];
        foreach (Target::of($input, false)->queues() as $name => $queue) {
            try {
                $stats = $queue->stats();
                $failed = self::failed($queue);
                $all[] = ['queue' => (string) $name] + $stats + ['failed' => $failed] + OldestJob::ages($queue, $stats['ready'], $failed);
            } catch (ExceptionInterface $e) {
                $all[] = ['queue' => (string) $name, 'error' => $e->getMessage()];
                $problems[] = $e;
            }
        }
        if ($output->json) {
            $output->json($all);
        } else {
            $output->table(
                ['QUEUE', ...array_map('strtoupper', self::FIGURES), 'FAILED', 'OLDEST', 'BROKER'],
                array_map(static fn (array $stats) => [
                    $stats['queue'],
                    ...array_map(static fn (string $figure) => $stats[$figure], self::FIGURES),
                    $stats['failed'],
                    Words::seconds($stats['oldest_age']),
                    $stats['broker']['product'] . ' ' . $stats['broker']['version'],
                ], array_values(array_filter($all, static fn (array $stats) => !isset($stats['error']))))
            );
        }

        return $output->problems($problems);
    }

    private static function failed(AmqpQueue $queue): ?int
    {
        try {
            return $queue->failed()->count();
        } catch (QueueNotFoundException) {
            return 0;
        } catch (UnsupportedException) {
            return null;
        }
    }
}
