<?php

declare(strict_types=1);

namespace Amqp1;

use Amqp1\Console\Suggestion;
use Amqp1\Exception\ConfigException;

/**
 * How a Worker works. Times are seconds.
 *
 * Where an array is taken, its keys are these names, or the same in snake_case as the queue options have them.
 */
final class WorkerOptions
{
    public const UNKNOWN_JOB = ['fail', 'delete', 'release', 'dead_letter'];

    /**
     * @param int|null $maxAttempts How often a job that fails is tried; 0: for ever; null: as its queue says (3).
     * @param int|float|list<int|float>|string|null $backoff How long a failed job waits for its next attempt: one
     *     time for all, a list whose last repeats, or "exponential"; null: as its queue says.
     * @param string|null $failedQueue Where jobs go that failed for good; null: as their queue says.
     * @param bool|null $requeueOnFail true: never to the failed queue; null: as their queue says.
     * @param int|null $prefetch Jobs that the worker holds at once, for each queue; null: as the queue says, or as many
     *     as last for 100 ms (one, if a job takes a second). What one worker holds, no other can take.
     * @param float|null $reserveTimeout How long one wait for a job lasts; null or 0: as long as it takes. The event
     *     worker.idle comes after each.
     * @param float $sleepWhenEmpty For those who come from workers that poll. Nothing needs to sleep here: an idle
     *     worker waits for the broker's next delivery. When it is longer than $reserveTimeout, it is that.
     * @param int|null $maxJobs End after so many jobs; null or 0: no limit.
     * @param float|null $maxRuntime End after so long, when the job in hand is done; null or 0: no limit.
     * @param int|null $memoryLimitMb End when PHP has taken so many MiB, looked at after each job; null or 0: no limit.
     * @param bool $stopWhenEmpty End when no job came within $reserveTimeout (1 s when that is not given).
     * @param int|null $jobTimeout Whole seconds that one job may take: then Worker\JobTimeout is thrown in its
     *     handler, which fails it. Needs pcntl. PHP code is interrupted at once, a blocking call in C when it returns
     *     or honours signals. null or 0: no limit.
     * @param string $unknownJob A job that has no handler: "fail" (as one that throws), "delete", "release" (back to
     *     its queue after $releaseDelay, for another worker), or "dead_letter" (to the failed queue at once).
     * @param float $releaseDelay See $unknownJob.
     * @param float|null $reconnectTimeout How long the worker goes on when the broker is lost; null: for ever. A
     *     broker that was never reached is an exception at once.
     * @param string|null $aliveFile A file that is touched while the worker goes round: at least every 10 s, but for
     *     the time that a job takes. For liveness probes.
     * @param bool $signals Handle SIGTERM, SIGINT and SIGQUIT while run() runs (with pcntl).
     * @param string|null $stateFile A file in which the worker says how it is, for `amqp1 health` and Worker\Monitoring\Health.
     *     Each worker needs its own.
     * @param string|null $metrics HOST:PORT where a process beside the worker serves /metrics (Prometheus), /healthz and
     *     /readyz, also while a handler runs. ":9464" is all addresses of the host. Needs pcntl and posix.
     * @param string|null $metricsFile A file for the same metrics, as node-exporter's textfile collector reads it (*.prom).
     * @param float $metricsInterval How often the broker is asked for the figures of the queues, and the file is written.
     * @param float|null $stuckAfter How long one call of a handler may take before the worker is no longer healthy; null:
     *     60 s more than $jobTimeout, or any time; 0: any time. Between two jobs, it is 120 s, or this if it is longer.
     *
     * @throws ConfigException a value that is out of its range
     */
    public function __construct(
        public readonly ?int $maxAttempts = null,
        public readonly int|float|array|string|null $backoff = null,
        public readonly ?string $failedQueue = null,
        public readonly ?bool $requeueOnFail = null,
        public readonly ?int $prefetch = null,
        public readonly ?float $reserveTimeout = null,
        public readonly float $sleepWhenEmpty = 0,
        public readonly ?int $maxJobs = null,
        public readonly ?float $maxRuntime = null,
        public readonly ?int $memoryLimitMb = null,
        public readonly bool $stopWhenEmpty = false,
        public readonly ?int $jobTimeout = null,
        public readonly string $unknownJob = 'fail',
        public readonly float $releaseDelay = 10,
        public readonly ?float $reconnectTimeout = null,
        public readonly ?string $aliveFile = null,
        public readonly bool $signals = true,
        public readonly ?string $stateFile = null,
        public readonly ?string $metrics = null,
        public readonly ?string $metricsFile = null,
        public readonly float $metricsInterval = 15,
        public readonly ?float $stuckAfter = null,
    ) {
        if (!in_array($unknownJob, self::UNKNOWN_JOB, true)) {
            throw new ConfigException('Worker option "unknownJob" must be one of ' . implode(', ', self::UNKNOWN_JOB)
                . ", not \"$unknownJob\"");
        }
        $times = [
            'maxAttempts', 'reserveTimeout', 'sleepWhenEmpty', 'maxJobs', 'maxRuntime', 'memoryLimitMb', 'jobTimeout',
            'releaseDelay', 'reconnectTimeout', 'stuckAfter',
        ];
        foreach ($times as $name) {
            $value = $this->$name;
            if ($value !== null && !($value >= 0 && is_finite((float) $value))) {
                throw new ConfigException("Worker option \"$name\" must be 0 or greater, not $value");
            }
        }
        if (!($metricsInterval >= 1 && is_finite($metricsInterval))) {
            throw new ConfigException("Worker option \"metricsInterval\" must be 1 or greater, not $metricsInterval");
        }
        if ($aliveFile !== null && !is_writable(is_file($aliveFile) ? $aliveFile : dirname($aliveFile))) {
            throw new ConfigException("Worker option \"aliveFile\": $aliveFile is not writable");
        }
    }

    /**
     * @param array<string, mixed>|self $options
     *
     * @throws ConfigException an option that is unknown, naming the nearest, or has a wrong type
     */
    public static function from(array|self $options): self
    {
        if ($options instanceof self) {
            return $options;
        }
        $types = self::types();
        $named = [];
        foreach ($options as $key => $value) {
            $name = lcfirst(str_replace('_', '', ucwords((string) $key, '_')));
            if (!isset($types[$name])) {
                throw new ConfigException("Unknown worker option \"$key\"" . Suggestion::for($name, array_keys($types)));
            }
            $named[$name] = self::typed((string) $key, $value, $types[$name]);
        }

        return new self(...array_filter($named, static fn ($value) => $value !== null));
    }

    /** What these options say of a Consumer: only what is given, so that its queues' own options stand. */
    public function consumerOptions(): array
    {
        return array_filter([
            'prefetch' => $this->prefetch,
            'max_attempts' => $this->maxAttempts,
            'backoff' => $this->backoff,
            'failed_queue' => $this->failedQueue,
            'requeue_on_fail' => $this->requeueOnFail,
        ], static fn ($value) => $value !== null);
    }

    /** @return array<string, string> what each option is */
    private static function types(): array
    {
        return [
            'maxAttempts' => 'int', 'backoff' => 'times', 'failedQueue' => 'string', 'requeueOnFail' => 'bool',
            'prefetch' => 'int', 'reserveTimeout' => 'float', 'sleepWhenEmpty' => 'float', 'maxJobs' => 'int',
            'maxRuntime' => 'float', 'memoryLimitMb' => 'int', 'stopWhenEmpty' => 'bool', 'jobTimeout' => 'int',
            'unknownJob' => 'string', 'releaseDelay' => 'float', 'reconnectTimeout' => 'float',
            'aliveFile' => 'string', 'signals' => 'bool', 'stateFile' => 'string', 'metrics' => 'string',
            'metricsFile' => 'string', 'metricsInterval' => 'float', 'stuckAfter' => 'float',
        ];
    }

    /** The usual other spellings ("5", 1 for true) are taken, as the extension does. */
    private static function typed(string $key, mixed $value, string $type): mixed
    {
        if ($value === null) {
            return null;
        }
        $typed = match (true) {
            $type === 'times' => is_bool($value) || is_object($value) ? null : $value,
            // PHP 8.5 warns of a string that is made of NAN.
            !is_scalar($value), is_float($value) && is_nan($value) => null,
            $type === 'int' => filter_var($value, FILTER_VALIDATE_INT, FILTER_NULL_ON_FAILURE),
            $type === 'float' => filter_var($value, FILTER_VALIDATE_FLOAT, FILTER_NULL_ON_FAILURE),
            $type === 'bool' => filter_var($value, FILTER_VALIDATE_BOOL, FILTER_NULL_ON_FAILURE),
            default => is_bool($value) ? null : (string) $value,
        };
        if ($typed === null) {
            throw new ConfigException("Worker option \"$key\" must be "
                . ['int' => 'an integer', 'float' => 'a number', 'bool' => 'true or false', 'string' => 'a string',
                    'times' => 'a number of seconds, a list of them, or "exponential"'][$type]
                . ', not ' . (is_scalar($value) ? var_export($value, true) : get_debug_type($value)));
        }

        return $typed;
    }
}
