<?php

declare(strict_types=1);

namespace Amqp1\Worker;

use Amqp1\WorkerOptions;
use Closure;

/**
 * What comes from outside while a worker runs: signals that end it, and the end of a job's time.
 *
 * @internal
 */
final class Interruption
{
    /** A second signal within so many seconds is the first one, sent by two. */
    private const SAME_SIGNAL = 0.1;

    private readonly Signals $signals;

    private ?int $signal = null;
    private int $count = 0;
    private float $signalled = 0;
    private bool $inHandler = false;
    private bool $interrupted = false;

    private static bool $saidNoPcntl = false;

    /** @param Closure(): void $end Called at the first signal. */
    public function __construct(
        private readonly WorkerOptions $options,
        private readonly Report $report,
        private readonly ProcessEnd $processEnd,
        private readonly Closure $end,
    ) {
        $this->signals = new Signals();
    }

    public function begin(): void
    {
        $this->signal = null;
        $this->count = 0;
        $this->interrupted = false;
        $wanted = $this->options->signals || $this->options->jobTimeout;
        if ($wanted && !Signals::available()) {
            if (!self::$saidNoPcntl) {
                self::$saidNoPcntl = true;
                $this->report->write('warning', 'the pcntl extension is not loaded: SIGTERM kills this worker in the middle of'
                    . ' a job (which is then delivered again), and jobTimeout has no effect');
            }

            return;
        }
        if ($this->options->signals) {
            $this->signals->onEnd($this->onSignal(...));
        }
        if ($this->options->jobTimeout) {
            $this->signals->onAlarm(function (): void {
                if ($this->inHandler) {
                    throw new JobTimeout("The job took longer than {$this->options->jobTimeout} s");
                }
            });
        }
    }

    public function end(): void
    {
        $this->signals->restore();
    }

    /** The first signal that came. */
    public function signal(): ?int
    {
        return $this->signal;
    }

    /** Whether a second one has ended a handler: its jobs were not done. */
    public function isInterrupted(): bool
    {
        return $this->interrupted;
    }

    /** From here on, signals and the alarm may interrupt: they throw Interrupted or JobTimeout. */
    public function handlerBegins(): void
    {
        $this->inHandler = true;
        if ($this->options->jobTimeout) {
            $this->alarm($this->options->jobTimeout);
        }
    }

    public function handlerEnds(): void
    {
        $this->inHandler = false;
        if ($this->options->jobTimeout) {
            $this->alarm(0);
        }
    }

    private function onSignal(int $signal): void
    {
        $now = hrtime(true) / 1e9;
        if ($this->signal !== null && $now - $this->signalled < self::SAME_SIGNAL) {
            return;
        }
        $this->signal ??= $signal;
        $this->signalled = $now;
        switch (++$this->count) {
            case 1:
                ($this->end)();
                break;
            case 2:
                if ($this->inHandler) {
                    $this->interrupted = true;
                    throw new Interrupted("The worker was interrupted by signal $signal");
                }
                break;
            default:
                // It is not the job that ends the process.
                $this->processEnd->expect(null);
                exit(128 + $signal);
        }
    }

    private function alarm(int $seconds): void
    {
        if (Signals::available()) {
            pcntl_alarm($seconds);
        }
    }
}
