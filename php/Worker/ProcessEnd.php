<?php

declare(strict_types=1);

namespace Amqp1\Worker;

use Closure;

/**
 * Notices that a handler ends the process: by exit, or by an error that nothing can catch, as memory that runs out.
 *
 * No finally and no destructor comes to its turn then, but functions for the shutdown do.
 *
 * @internal
 */
final class ProcessEnd
{
    /** Bytes that are freed when memory has run out, for what is still to be done. */
    private const RESERVE = 1 << 18;

    private const FATAL = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR | E_RECOVERABLE_ERROR;

    /** @var (Closure(ProcessEnded): void)|null */
    private ?Closure $then = null;

    /** The process that the handler runs in: one that it forks may end as it likes. */
    private ?int $process = null;

    private ?string $reserve = null;

    private bool $registered = false;

    /** @param (Closure(ProcessEnded): void)|null $then Called when the process ends; null: its end is nobody's fault. */
    public function expect(?Closure $then): void
    {
        $this->then = $then;
        if ($then === null) {
            return;
        }
        $this->process = getmypid() ?: null;
        $this->reserve ??= str_repeat(' ', self::RESERVE);
        if (!$this->registered) {
            $this->registered = true;
            register_shutdown_function($this->ends(...));
        }
    }

    private function ends(): void
    {
        $this->reserve = null;
        $then = $this->then;
        $this->then = null;
        if ($then === null || $this->process !== (getmypid() ?: null)) {
            return;
        }
        $error = error_get_last();
        $then(new ProcessEnded($error !== null && ($error['type'] & self::FATAL) !== 0
            ? $error['message'] : 'The handler ended the process'));
    }
}
