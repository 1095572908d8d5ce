<?php

declare(strict_types=1);

namespace Amqp1\Testing;

/**
 * Fails a test: with PHPUnit's own assertions, or, if there is no PHPUnit, with an AssertionError.
 *
 * @internal
 */
final class Expectation
{
    public static function that(bool $holds, string $message): void
    {
        if (class_exists(\PHPUnit\Framework\Assert::class)) {
            \PHPUnit\Framework\Assert::assertTrue($holds, $message);
        } elseif (!$holds) {
            throw new \AssertionError($message);
        }
    }

    /** A value for a message. */
    public static function shown(mixed $value): string
    {
        return match (true) {
            $value instanceof \Throwable => $value::class . " \"{$value->getMessage()}\"",
            $value instanceof \Stringable => (string) $value,
            default => (string) json_encode($value, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_PARTIAL_OUTPUT_ON_ERROR),
        };
    }
}
