<?php

declare(strict_types=1);

namespace Amqp1\Command;

use Amqp1\Console\ExitCode;
use Amqp1\Console\Input;
use Amqp1\Console\NotFound;
use Amqp1\Console\Option;
use Amqp1\Console\Output;

/**
 * `amqp1 failed:show`.
 *
 * @internal
 */
final class FailedShowCommand extends Command
{
    public function name(): string
    {
        return 'failed:show';
    }

    public function arguments(): string
    {
        return 'ID';
    }

    public function summary(): string
    {
        return 'Show a failed job: why it failed, its headers and its payload';
    }

    public function options(): array
    {
        return [new Option('limit', 'N', 'search the first N jobs (1000)', 'n')];
    }

    public function run(Input $input, Output $output): int
    {
        $id = $input->argument('The job\'s id');
        $limit = $input->int('limit', 1) ?? 1000;
        $queue = Target::of($input, false)->queue();
        $found = (new FailedJobs($queue->failed()))->look(
            $limit,
            static fn ($task) => $task->getId() === FailedJobs::idOf($id) ? FailedJobs::all($task) : null,
            1
        );
        $job = $found[0] ?? throw new NotFound("No failed job $id in {$queue->getName()}"
            . " (searched the first $limit; use --limit to search more)");
        if ($output->json) {
            $output->json($job);

            return ExitCode::OK;
        }
        foreach ($job as $name => $value) {
            if (!is_array($value) && $value !== null && $name !== 'payload') {
                $output->line(sprintf('%-10s %s', strtr($name, '_', ' '), Output::printable((string) $value)));
            }
        }
        foreach ($job['headers'] as $name => $values) {
            $output->line(sprintf('%-10s %s: %s', 'header', Output::cell($name), Output::printable(implode(', ', $values))));
        }
        $output->line();
        $payload = $job['payload'];
        $output->line(Output::printable(is_string($payload) ? $payload : (string) json_encode(
            $payload,
            JSON_PRETTY_PRINT | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_PRESERVE_ZERO_FRACTION
        ), true));

        return ExitCode::OK;
    }
}
