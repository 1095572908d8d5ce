<?php

declare(strict_types=1);

namespace Amqp1\Command;

use Amqp1\Console\ExitCode;
use Amqp1\Console\Input;
use Amqp1\Console\Option;
use Amqp1\Console\Output;

/**
 * `amqp1 failed:list`.
 *
 * @internal
 */
final class FailedListCommand extends Command
{
    public function name(): string
    {
        return 'failed:list';
    }

    public function summary(): string
    {
        return 'List failed jobs';
    }

    public function help(): string
    {
        return 'Service Bus and the embedded broker show failed jobs where they are. Other brokers show a job only by delivering it:'
            . ' there, the jobs are received and released, and meanwhile no other consumer can receive them.';
    }

    public function options(): array
    {
        return [new Option('limit', 'N', 'list at most N jobs (50)', 'n')];
    }

    public function run(Input $input, Output $output): int
    {
        $input->noArguments();
        $limit = $input->int('limit', 1) ?? 50;
        $queue = Target::of($input, false)->queue();
        $failed = new FailedJobs($queue->failed());
        $count = $failed->count();
        $jobs = $failed->look($limit, FailedJobs::facts(...));
        if ($output->json) {
            $output->json($jobs);

            return ExitCode::OK;
        }
        if ($jobs === []) {
            $output->note('No failed jobs in ' . Output::cell($queue->getName()));

            return ExitCode::OK;
        }
        $output->table(['ID', 'JOB', 'ATTEMPTS', 'FAILED AT', 'REASON', 'ERROR'], array_map(static fn (array $job) => [
            $job['id'], $job['job'], $job['attempts'], $job['failed_at'], $job['reason'], $job['error'],
        ], $jobs));
        if ($count !== null && $count > count($jobs)) {
            $output->note("Showing " . count($jobs) . " of $count failed jobs; use --limit to show more");
        }

        return ExitCode::OK;
    }
}
