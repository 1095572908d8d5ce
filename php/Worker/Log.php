<?php

declare(strict_types=1);

namespace Amqp1\Worker;

use Amqp1\Exception\ConfigException;
use Throwable;

/**
 * Where a Worker's messages go: a PSR-3 logger, without one that of Amqp1\setLogger(), or without both warnings and errors to PHP's error log.
 *
 * psr/log need not be there: all that is asked of a logger is log($level, $message, array $context).
 *
 * @internal
 */
final class Log
{
    private readonly ?object $logger;

    public function __construct(?object $logger)
    {
        $logger ??= \Amqp1\getLogger();
        if ($logger !== null && !method_exists($logger, 'log')) {
            throw new ConfigException('The logger (' . get_debug_type($logger) . ') must have a method log()');
        }
        $this->logger = $logger;
    }

    /** Whether a message of that level goes anywhere. */
    public function takes(string $level): bool
    {
        return $this->logger !== null || $level === 'warning' || $level === 'error';
    }

    /** @param array<string, mixed> $context its scalars replace {name} in the message */
    public function write(string $level, string $message, array $context = []): void
    {
        if ($this->logger !== null) {
            try {
                $this->logger->log($level, $message, $context);
            } catch (Throwable $e) {
                // A full disk is no reason to fail a job.
                error_log('amqp1: the logger failed: ' . $e->getMessage());
            }
        } elseif ($this->takes($level)) {
            error_log('amqp1: ' . self::interpolate($message, $context));
        }
    }

    /** @param array<string, mixed> $context */
    public static function interpolate(string $message, array $context): string
    {
        $replace = [];
        foreach ($context as $key => $value) {
            if (is_scalar($value) || $value instanceof \Stringable) {
                $replace['{' . $key . '}'] = is_float($value) ? sprintf('%.3F', $value) : (string) $value;
            }
        }

        return strtr($message, $replace);
    }
}
