<?php

declare(strict_types=1);

namespace Amqp1\Command;

use Amqp1\Console\Output;
use Amqp1\Worker\Log;
use Throwable;

/**
 * The worker's log, as PSR-3 has it, on standard error: lines for people, or a JSON object a line.
 *
 * @internal
 */
final class WorkLog
{
    private const LEVELS = ['debug' => 0, 'info' => 1, 'warning' => 2, 'error' => 3];

    private readonly int $least;

    public function __construct(private readonly Output $output, bool $verbose)
    {
        $this->least = $output->quiet ? 2 : ($verbose ? 0 : 1);
    }

    /** @param array<string, mixed> $context */
    public function log(mixed $level, string|\Stringable $message, array $context = []): void
    {
        if ((self::LEVELS[(string) $level] ?? 3) < $this->least) {
            return;
        }
        $text = Output::printable(Log::interpolate((string) $message, $context));
        $exception = ($context['exception'] ?? null) instanceof Throwable ? $context['exception'] : null;
        unset($context['exception']);
        if (!$this->output->json) {
            $where = $exception !== null && $this->least === 0
                ? ' (' . $exception::class . " in {$exception->getFile()}:{$exception->getLine()})" : '';
            $this->output->error(sprintf('%s %-7s %s', date('Y-m-d H:i:s'), $level, $text . $where));

            return;
        }
        $this->output->error((string) json_encode(
            ['time' => gmdate('Y-m-d\TH:i:s\Z'), 'level' => $level, 'message' => $text]
                + $context + ($exception === null ? [] : [
                    'exception' => $exception::class, 'file' => $exception->getFile(), 'line' => $exception->getLine(),
                ]),
            JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR
        ));
    }
}
