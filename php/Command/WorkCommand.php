<?php

declare(strict_types=1);

namespace Amqp1\Command;

use Amqp1\Console\Input;
use Amqp1\Console\Option;
use Amqp1\Console\Output;
use Amqp1\Console\UsageError;
use Amqp1\Worker;
use Amqp1\Worker\Batch;
use Closure;

/**
 * `amqp1 work`: a worker, whose handlers a PHP file names.
 *
 * @internal
 */
final class WorkCommand extends Command
{
    public function name(): string
    {
        return 'work';
    }

    public function summary(): string
    {
        return 'Process jobs with the handlers from a PHP file';
    }

    public function help(): string
    {
        return "The --handlers file returns an array (job name => handler), one callable for all jobs, or an Amqp1\\Worker\n"
            . "with settings of its own. A handler is a callable, or a class with __invoke() or handle(), and receives\n"
            . "the Amqp1\\Task: returning acknowledges the job, throwing fails it. An Amqp1\\Worker\\Batch in place of\n"
            . "a handler takes many jobs at once.\n\n"
            . "On SIGTERM, SIGINT or SIGQUIT the worker finishes the current job and stops; a second signal interrupts\n"
            . 'and releases that job as well. The log goes to standard error, a summary at the end to standard output.';
    }

    public function options(): array
    {
        return [
            new Option('handlers', 'FILE', 'PHP file that returns the handlers', 'H'),
            new Option('bootstrap', 'FILE', 'PHP file to load first, such as vendor/autoload.php', 'b', true),
            new Option('max-attempts', 'N', 'how often a failing job is tried; 0: without limit (the queue\'s: 3)'),
            new Option('backoff', 'SECONDS', 'wait before the next attempt: one time, a list such as 1,10,60, or exponential'),
            new Option('failed-queue', 'NAME', 'where jobs go after their last attempt'),
            new Option('requeue-on-fail', null, 'never move jobs to the failed queue'),
            new Option('prefetch', 'N', 'jobs held at once (the queue\'s: adapts to how long jobs take)'),
            new Option('job-timeout', 'SECONDS', 'fail jobs that take longer'),
            new Option('unknown-job', 'WHAT', 'jobs without a handler: fail, delete, release or dead_letter (fail)'),
            new Option('release-delay', 'SECONDS', 'delay with --unknown-job release (10)'),
            new Option('max-jobs', 'N', 'stop after N jobs'),
            new Option('max-runtime', 'SECONDS', 'stop after this time'),
            new Option('memory-limit', 'MB', 'stop when PHP uses this much memory, in MiB'),
            new Option('stop-when-empty', null, 'stop when there are no more jobs'),
            new Option('reserve-timeout', 'SECONDS', 'how long one wait for a job lasts'),
            new Option('reconnect-timeout', 'SECONDS', 'stop when the broker has been lost for this long (never)'),
            new Option('alive-file', 'FILE', 'touch this file at least every 10 s, except while a job runs'),
            new Option('metrics', 'HOST:PORT', 'serve /metrics (Prometheus), /healthz and /readyz there'),
            new Option('metrics-file', 'FILE', 'write the same metrics for node-exporter\'s textfile collector'),
            new Option('metrics-interval', 'SECONDS', 'how often to ask the broker about the queues for them (15)'),
            new Option('state-file', 'FILE', 'say in this file how the worker is, for amqp1 health'),
            new Option('stuck-after', 'SECONDS', 'how long a handler may run until health checks fail (no limit)'),
            new Option('verbose', null, 'log when a job starts, and where an exception was thrown', 'v'),
        ];
    }

    public function run(Input $input, Output $output): int
    {
        $input->noArguments();
        foreach ($input->list('bootstrap') as $file) {
            self::load($file);
        }
        $file = $input->string('handlers') ?? throw new UsageError('No handlers given: name their file with --handlers FILE');
        $handlers = self::load($file);
        $options = self::workerOptions($input);
        if ($handlers instanceof Worker) {
            $given = array_keys($options);
            foreach (['queue', 'dsn', 'config'] as $name) {
                if ($input->has($name)) {
                    $given[] = $name;
                }
            }
            if ($given !== []) {
                throw new UsageError("$file returns a Worker with its own settings: "
                    . implode(', ', array_map(static fn ($name) => '--' . strtr($name, '_', '-'), $given)) . ' must be set there');
            }
            $worker = $handlers;
        } else {
            if (!is_array($handlers) || is_callable($handlers)) {
                if (!is_callable($handlers) && !$handlers instanceof Batch) {
                    throw new UsageError("$file returns " . get_debug_type($handlers)
                        . ', but must return an array (job name => handler), a callable or a Worker');
                }
                $handlers = ['*' => $handlers];
            }
            $log = new WorkLog($output, $input->has('verbose'));
            $worker = new Worker(Target::of($input, true)->consumed(), $handlers, $options, $log);
        }
        $summary = $worker->run();
        if ($output->json) {
            $output->line((string) json_encode($summary, JSON_UNESCAPED_SLASHES));
        } elseif (!$output->quiet) {
            $output->line(self::sentence($summary));
        }

        return $summary->exitCode();
    }

    private static function sentence(Worker\Summary $summary): string
    {
        $counts = [];
        foreach (array_slice($summary->jsonSerialize(), 6) as $name => $count) {
            if ($count > 0) {
                $counts[] = "$count " . strtr($name, '_', '-');
            }
        }

        return sprintf(
            '%s: %d %s in %.1f s%s',
            strtr($summary->reason->value, '_', ' '),
            $summary->jobs,
            $summary->jobs === 1 ? 'job' : 'jobs',
            $summary->seconds,
            $counts === [] ? '' : ' (' . implode(', ', $counts) . ')'
        );
    }

    /** @return array<string, mixed> only what is given */
    private static function workerOptions(Input $input): array
    {
        $backoff = $input->string('backoff');
        if ($backoff !== null && $backoff !== 'exponential') {
            $backoff = array_map(static function (string $text): float {
                $seconds = filter_var(trim($text), FILTER_VALIDATE_FLOAT);

                return $seconds !== false && $seconds >= 0 ? $seconds
                    : throw new UsageError("--backoff must be a number of seconds, a list of them (1,10,60), or exponential, not \"$text\"");
            }, explode(',', $backoff));
        }

        return array_filter([
            'max_attempts' => $input->int('max-attempts'),
            'backoff' => $backoff,
            'failed_queue' => $input->string('failed-queue'),
            'requeue_on_fail' => $input->has('requeue-on-fail') ?: null,
            'prefetch' => $input->int('prefetch', 1),
            'job_timeout' => $input->int('job-timeout'),
            'unknown_job' => $input->string('unknown-job'),
            'release_delay' => $input->seconds('release-delay'),
            'max_jobs' => $input->int('max-jobs'),
            'max_runtime' => $input->seconds('max-runtime'),
            'memory_limit_mb' => $input->int('memory-limit'),
            'stop_when_empty' => $input->has('stop-when-empty') ?: null,
            'reserve_timeout' => $input->seconds('reserve-timeout'),
            'reconnect_timeout' => $input->seconds('reconnect-timeout'),
            'alive_file' => $input->string('alive-file'),
            'metrics' => $input->string('metrics'),
            'metrics_file' => $input->string('metrics-file'),
            'metrics_interval' => $input->seconds('metrics-interval'),
            'state_file' => $input->string('state-file'),
            'stuck_after' => $input->seconds('stuck-after'),
        ], static fn ($value) => $value !== null);
    }

    /** In a scope of its own. */
    private static function load(string $file): mixed
    {
        if (!is_file($file) || !is_readable($file)) {
            throw new UsageError("Cannot read the file $file");
        }

        return (Closure::bind(static fn (string $file) => require $file, null, null))((string) realpath($file));
    }
}
