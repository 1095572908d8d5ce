<?php

declare(strict_types=1);

namespace Amqp1\Command;

use Amqp1\Console\ExitCode;
use Amqp1\Console\Input;
use Amqp1\Console\Option;
use Amqp1\Console\Output;
use Amqp1\Console\UsageError;

/**
 * `amqp1 failed:flush`: deletes failed jobs.
 *
 * @internal
 */
final class FailedFlushCommand extends Command
{
    public function name(): string
    {
        return 'failed:flush';
    }

    public function summary(): string
    {
        return 'Delete all failed jobs';
    }

    public function options(): array
    {
        return [new Option('force', null, 'do not ask for confirmation', 'f')];
    }

    public function run(Input $input, Output $output): int
    {
        $input->noArguments();
        $queue = Target::of($input, false)->queue();
        $failed = $queue->failed();
        if (!$input->has('force')) {
            if (!stream_isatty(STDIN)) {
                throw new UsageError('This deletes jobs and cannot ask for confirmation without a terminal: use --force');
            }
            $count = (new FailedJobs($failed))->count();
            fwrite(STDERR, 'Delete ' . ($count ?? 'all') . ' failed jobs of ' . Output::cell($queue->getName()) . '? [y/N] ');
            if (!in_array(strtolower(trim((string) fgets(STDIN))), ['y', 'yes'], true)) {
                $output->error('No jobs were deleted');

                return ExitCode::FAILURE;
            }
        }
        $deleted = (new FailedJobs($failed))->delete();
        if ($output->json) {
            $output->json(['deleted' => $deleted, 'queue' => $queue->getName()]);
        } else {
            $output->line($deleted === 1 ? '1 failed job deleted' : "$deleted failed jobs deleted");
        }

        return ExitCode::OK;
    }
}
