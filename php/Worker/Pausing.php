<?php

declare(strict_types=1);

namespace Amqp1\Worker;

use Amqp1\Consumer;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Worker\Monitoring\Health;
use Amqp1\Worker\Monitoring\Monitor;
use Amqp1\WorkerOptions;

/**
 * SIGUSR2 pauses a worker, SIGCONT lets it go on: it finishes the job in hand, returns what is buffered, and takes no more.
 *
 * @internal
 */
final class Pausing
{
    private readonly Signals $signals;
    private ?Consumer $consumer = null;
    private bool $isPaused = false;

    /** The broker was lost when the consumer was to be told. */
    private bool $isDue = false;

    public function __construct(
        private readonly WorkerOptions $options,
        private readonly Report $report,
        private readonly ?Monitor $monitor,
    ) {
        $this->signals = new Signals();
    }

    /** Whether a worker with these options obeys; the signal would end another one. */
    public static function isPossible(WorkerOptions $options): bool
    {
        return $options->signals && Signals::available();
    }

    public function begin(Consumer $consumer): void
    {
        $this->consumer = $consumer;
        $this->isPaused = $this->isDue = false;
        if (self::isPossible($this->options)) {
            $this->signals->onPause(fn () => $this->want(true), fn () => $this->want(false));
        }
    }

    public function end(): void
    {
        $this->signals->restore();
        $this->consumer = null;
    }

    public function isPaused(): bool
    {
        return $this->isPaused;
    }

    /** The loop goes round. */
    public function turn(): void
    {
        if ($this->isDue) {
            $this->tell();
        }
    }

    private function want(bool $paused): void
    {
        if ($paused !== $this->isPaused) {
            $this->isPaused = $paused;
            $this->report->write('info', $paused ? 'worker paused: it takes no jobs until SIGCONT' : 'worker resumed');
            $this->tell();
            $this->monitor?->is($paused ? Health::PAUSED : Health::CONSUMING);
        }
    }

    private function tell(): void
    {
        try {
            $this->isPaused ? $this->consumer?->pause() : $this->consumer?->resume();
            $this->isDue = false;
        } catch (ExceptionInterface) {
            $this->isDue = true;
        }
    }
}
