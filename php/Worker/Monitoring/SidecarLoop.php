<?php

declare(strict_types=1);

namespace Amqp1\Worker\Monitoring;

/**
 * What the process beside a worker does, until its worker ends.
 *
 * @internal
 */
final class SidecarLoop
{
    /** A broker that needs long to tell the figures is asked less often: it rests for so many times that long. */
    private const PAUSES = 20;

    private float $looked = 0;
    private bool $isServing = false;

    /** @param resource $worker The socket that is closed when the worker ends. */
    public function __construct(
        private $worker,
        private readonly int $pid,
        private readonly ?int $born,
        private readonly Metrics $metrics,
        private readonly ?HttpServer $server,
        private readonly ?MetricsFile $file,
        private readonly float $interval,
        private readonly float $look,
    ) {
    }

    public function run(): void
    {
        Sidecar::ignoreSignals();
        // What the application does about its errors is not for this process.
        set_error_handler(static fn (): bool => true);
        if (function_exists('cli_set_process_title')) {
            @cli_set_process_title("amqp1 metrics of $this->pid");
        }
        stream_set_blocking($this->worker, false);
        // While the broker does not answer, scrapes are answered all the same.
        pcntl_async_signals(true);
        pcntl_signal(SIGALRM, function (): void {
            // To its end: the next look is a second away.
            while ($this->serve(0.01)) {
                continue;
            }
            pcntl_alarm(1);
        });
        for ($poll = $write = 0.0;;) {
            if (($now = hrtime(true) / 1e9) >= $poll) {
                pcntl_alarm(1);
                $this->metrics->queues()->poll();
                pcntl_alarm(0);
                $poll = $now + max($this->interval, self::PAUSES * (hrtime(true) / 1e9 - $now));
            }
            if ($now >= $write) {
                $write = $now + $this->interval;
                $this->file?->write($this->metrics);
            }
            $this->serve(min($this->look, max(0.0, min($poll, $write) - hrtime(true) / 1e9)));
        }
    }

    /** Answers who asks, and ends when the worker has ended. @return bool whether somebody asked */
    private function serve(float $seconds): bool
    {
        if ($this->isServing) {
            return false; // an alarm that came late
        }
        $this->isServing = true;
        $read = [$this->worker, ...$this->server?->readers() ?? []];
        $write = $this->server?->writers() ?? [];
        $except = null;
        $isAsked = (int) @stream_select($read, $write, $except, (int) $seconds, (int) (fmod($seconds, 1) * 1e6)) > 0;
        if ($isAsked) {
            if (in_array($this->worker, $read, true) && $this->isOver()) {
                $this->end();
            }
            $this->server?->serve($read, $this->metrics);
        }
        if (($now = hrtime(true) / 1e9) - $this->looked >= $this->look) {
            $this->looked = $now;
            if (!Process::isAlive($this->pid, $this->born)) {
                $this->end();
            }
            $this->server?->expire($now);
        }
        $this->isServing = false;

        return $isAsked;
    }

    /** The worker has said so, or its side is closed. */
    private function isOver(): bool
    {
        return (string) fread($this->worker, 16) !== '' || feof($this->worker);
    }

    private function end(): never
    {
        pcntl_alarm(0);
        $this->metrics->end();
        $this->file?->write($this->metrics);
        Sidecar::vanish();
    }
}
