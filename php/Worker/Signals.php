<?php

declare(strict_types=1);

namespace Amqp1\Worker;

/**
 * The process's signal handlers for the time of one run; what was there before is put back.
 *
 * @internal
 */
final class Signals
{
    private const END = ['SIGTERM', 'SIGINT', 'SIGQUIT'];

    /** @var array<int, callable|int> what was there before */
    private array $before = [];

    private ?bool $async = null;

    public static function available(): bool
    {
        return function_exists('pcntl_signal') && function_exists('pcntl_async_signals');
    }

    /** @param callable(int): void $handler */
    public function onEnd(callable $handler): void
    {
        foreach (self::END as $name) {
            $this->set((int) constant($name), $handler);
        }
    }

    /**
     * Unless the application has handlers of its own for them.
     *
     * @param callable(int): void $pause
     * @param callable(int): void $resume
     */
    public function onPause(callable $pause, callable $resume): void
    {
        if (pcntl_signal_get_handler(SIGUSR2) === SIG_DFL && pcntl_signal_get_handler(SIGCONT) === SIG_DFL) {
            $this->set(SIGUSR2, $pause);
            $this->set(SIGCONT, $resume);
        }
    }

    /** @param callable(int): void $handler */
    public function onAlarm(callable $handler): void
    {
        $this->set(SIGALRM, $handler);
    }

    public function restore(): void
    {
        foreach ($this->before as $signal => $handler) {
            pcntl_signal($signal, $handler);
        }
        $this->before = [];
        if ($this->async !== null) {
            pcntl_async_signals($this->async);
            $this->async = null;
        }
    }

    /** @param callable(int): void $handler */
    private function set(int $signal, callable $handler): void
    {
        $this->async ??= pcntl_async_signals(true);
        $this->before[$signal] ??= pcntl_signal_get_handler($signal);
        pcntl_signal($signal, $handler);
    }
}
