<?php

declare(strict_types=1);

namespace Amqp1\Console\Screen;

/**
 * The signals of a process that has a terminal to give back. They are kept until somebody asks for them.
 *
 * @internal
 */
final class Signals
{
    private const ALL = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH];

    /** @var array<int, true> */
    private array $received = [];

    public function catch(): void
    {
        foreach (self::ALL as $signal) {
            // Not restarted: they end a wait for keys.
            pcntl_signal($signal, function (int $signal): void {
                $this->received[$signal] = true;
            }, false);
        }
    }

    public function leave(): void
    {
        foreach (self::ALL as $signal) {
            pcntl_signal($signal, SIG_DFL);
        }
    }

    /** @return list<int> those received since the last time */
    public function take(): array
    {
        pcntl_signal_dispatch();
        $received = array_keys($this->received);
        $this->received = [];

        return $received;
    }

    /** Stops the process, as Ctrl-Z does where no one catches it. Returns when it goes on. */
    public function suspend(): void
    {
        pcntl_signal(SIGTSTP, SIG_DFL);
        posix_kill((int) getmypid(), SIGTSTP);
        $this->catch();
    }
}
