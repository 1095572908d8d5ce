<?php

declare(strict_types=1);

namespace Amqp1\Worker\Monitoring;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConfigException;
use Amqp1\Worker\Pausing;
use Amqp1\Worker\Report;
use Amqp1\WorkerOptions;

/**
 * Keeps a worker's state where others can see it, also while a handler runs: options stateFile, metrics, metricsFile.
 *
 * @internal
 */
final class Monitor
{
    /** The longest wait for a job between two turns of the loop: seconds. */
    private const LONGEST_WAIT = 5.0;

    /** Figures are not written more often than that: seconds. What is between goes with the next ones. */
    private const INTERVAL = 0.1;

    /** With jobTimeout, a handler is stuck so long after it: seconds. */
    private const AFTER_TIMEOUT = 60.0;

    private ?StateFile $file = null;
    private ?Sidecar $sidecar = null;
    private Figures $figures;

    /** @var array<string, mixed> */
    private array $now = [];

    private string $phase = Health::STARTING;

    /** Unix time. */
    private float $started = 0;
    private int $restarts = 0;

    /** There are figures that have not been written. */
    private bool $isDue = false;
    private int $written = 0;

    /** When the process beside was looked at. */
    private int $looked = 0;

    public function __construct(private readonly WorkerOptions $options, private readonly Report $report)
    {
        $this->figures = new Figures();
    }

    public static function of(WorkerOptions $options, Report $report): ?self
    {
        return $options->stateFile === null && $options->metrics === null && $options->metricsFile === null
            ? null : new self($options, $report);
    }

    /**
     * Before the worker connects: what it has open, the process beside it has open too.
     *
     * @param array<AmqpQueue> $queues
     *
     * @throws ConfigException there is no such address or folder
     */
    public function begin(array $queues): void
    {
        $this->started = microtime(true);
        $this->figures = new Figures(array_values(array_map(static fn (AmqpQueue $queue) => $queue->getName(), $queues)));
        $this->report->count($this->figures);
        $this->phase = Health::STARTING;
        $pid = (int) getmypid();
        $limit = $this->options->stuckAfter ?? ($this->options->jobTimeout ? $this->options->jobTimeout + self::AFTER_TIMEOUT : null);
        $this->now = ['pid' => $pid, 'born' => Process::born($pid), 'at' => 0, 'since' => null, 'in_hand' => 0, 'phase' => $this->phase,
            'limit' => $limit ?: null];
        $reader = null;
        if ($this->options->stateFile !== null) {
            $before = StateFile::read($this->options->stateFile);
            if ($before !== null && $before['now']['pid'] !== $pid) {
                $this->restarts = $before['figures']['restarts'] + 1;
            }
            $this->file = StateFile::create($this->options->stateFile);
        } else {
            [$this->file, $reader] = StateFile::unnamed();
        }
        $this->turn();
        $this->writeFigures();
        if ($this->options->metrics !== null || $this->options->metricsFile !== null) {
            $reader ??= StateFile::reader((string) $this->options->stateFile);
            $this->sidecar = Sidecar::start($this->options, $reader, $queues);
            if ($this->sidecar->address !== null) {
                $this->report->write('info', 'metrics at http://{address}/metrics', context: ['address' => $this->sidecar->address]);
            }
        }
    }

    /** The longest that the worker may wait for a job: seconds. */
    public function longestWait(): float
    {
        return $this->isDue ? self::INTERVAL : self::LONGEST_WAIT;
    }

    /** The loop goes round. */
    public function turn(): void
    {
        $now = hrtime(true);
        if ($now - $this->now['at'] < self::INTERVAL * 1e9) {
            // The next job is likely to come at once.
            if ($this->now['since'] !== null) {
                $this->now['since'] = null;
                $this->now['in_hand'] = 0;
                $this->file?->writeIdle();
            }

            return;
        }
        $this->now['since'] = null;
        $this->now['in_hand'] = 0;
        $this->write();
        if ($this->sidecar !== null && $now - $this->looked >= 1e9) {
            $this->looked = $now;
            $this->look();
        }
    }

    private function look(): void
    {
        if ($this->sidecar?->hasEnded() === true) {
            $this->sidecar = null;
            $this->report->write('error', 'the process that serves the metrics has ended: they are served again when the worker is restarted');
        }
    }

    /** @param string $phase One of Health's constants. */
    public function is(string $phase): void
    {
        if ($phase !== $this->phase) {
            $this->phase = $phase;
            if ($phase === Health::LOST) {
                $this->figures->outage();
                $this->isDue = true;
            }
            $this->write();
        }
    }

    public function handlerBegins(int $jobs): void
    {
        $this->now['since'] = hrtime(true);
        $this->now['in_hand'] = $jobs;
        // It may be the last chance for long.
        $this->isDue = true;
        $this->write();
    }

    public function handlerEnds(string $queue, float $seconds): void
    {
        $this->figures->call($queue, $seconds);
        $this->isDue = true;
    }

    public function end(): void
    {
        if ($this->file === null) {
            return;
        }
        $this->now['since'] = null;
        $this->now['in_hand'] = 0;
        $this->phase = Health::STOPPED;
        $this->write();
        $this->writeFigures();
        $this->sidecar?->end();
        $this->sidecar = null;
        $this->file->close();
        $this->file = null;
        $this->report->count(null);
    }

    private function write(): void
    {
        $this->now['at'] = hrtime(true);
        $this->now['phase'] = $this->phase;
        $this->file?->writeNow($this->now);
        if ($this->now['at'] - $this->written >= ($this->isDue ? self::INTERVAL : self::LONGEST_WAIT) * 1e9) {
            $this->writeFigures();
        }
    }

    private function writeFigures(): void
    {
        $this->isDue = false;
        $this->written = hrtime(true);
        $this->file?->writeFigures($this->figures->all() + [
            'started' => $this->started,
            'restarts' => $this->restarts,
            'memory' => memory_get_usage(true),
            'pauses' => Pausing::isPossible($this->options),
            'version' => (string) phpversion('amqp1'),
            'php' => PHP_VERSION,
            'client' => function_exists('Amqp1\metrics') ? \Amqp1\metrics() : null,
        ]);
    }
}
