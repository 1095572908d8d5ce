<?php

declare(strict_types=1);

namespace Amqp1\Command;

use Amqp1\AmqpQueue;
use Amqp1\Console\ExitCode;
use Amqp1\Console\Input;
use Amqp1\Console\NotFound;
use Amqp1\Console\Option;
use Amqp1\Console\Output;
use Amqp1\Console\UsageError;

/**
 * `amqp1 failed:retry`: puts failed jobs back.
 *
 * @internal
 */
final class FailedRetryCommand extends Command
{
    /** So many between two lines of progress. */
    private const STEP = 100;

    public function name(): string
    {
        return 'failed:retry';
    }

    public function arguments(): string
    {
        return '[ID…]';
    }

    public function summary(): string
    {
        return 'Move failed jobs back to their original queue and reset their attempts';
    }

    public function help(): string
    {
        return "A job is removed from the failed queue only when its own queue has confirmed it: interrupting the command\n"
            . 'never loses a job, but may duplicate one.';
    }

    public function options(): array
    {
        return [
            new Option('all', null, 'all jobs that are there now', 'a'),
            new Option('max', 'N', 'the oldest N jobs', 'n'),
            new Option('progress', null, 'show progress even without a terminal'),
        ];
    }

    public function run(Input $input, Output $output): int
    {
        $ids = array_values(array_unique($input->arguments));
        $max = $input->int('max', 1);
        if (($ids !== []) + ($max !== null) + $input->has('all') !== 1) {
            throw new UsageError('Select the jobs either by their ids, or with --max N, or with --all');
        }
        $queue = Target::of($input, false)->queue();
        $retried = $ids !== []
            ? $queue->retryFailed(null, array_map([FailedJobs::class, 'idOf'], $ids))
            : $this->move($queue, $max, $input->has('progress') || ($output->isWatched() && !$output->quiet), $output);
        if ($output->json) {
            $output->json(['retried' => $retried, 'queue' => $queue->getName()]);
        } else {
            $output->line($retried === 1 ? '1 job moved back' : "$retried jobs moved back");
        }
        if ($retried < count($ids)) {
            $missing = count($ids) - $retried;
            throw new NotFound(($missing === 1 ? '1 of these ids is' : "$missing of these ids are")
                . ' not in the failed queue of ' . $queue->getName());
        }

        return ExitCode::OK;
    }

    private function move(AmqpQueue $queue, ?int $max, bool $progress, Output $output): int
    {
        // What fails again meanwhile comes back to the end of the queue: not more than there are now.
        $count = (new FailedJobs($queue->failed()))->count();
        $total = min($max ?? PHP_INT_MAX, $count ?? PHP_INT_MAX);
        if ($count === null || !$progress) {
            return $total === 0 ? 0 : $queue->retryFailed($total === PHP_INT_MAX ? null : $total);
        }
        $retried = 0;
        while ($retried < $total) {
            $moved = $queue->retryFailed(min(self::STEP, $total - $retried));
            if ($moved === 0) {
                break;
            }
            $retried += $moved;
            $output->progress("$retried of $total");
        }
        $output->endProgress();

        return $retried;
    }
}
