<?php

declare(strict_types=1);

namespace Amqp1\Command\Doctor;

/**
 * One thing that `amqp1 doctor` has looked at.
 *
 * @internal
 */
final class Finding
{
    public const OK = 'ok';

    /** It works, but somebody should know. */
    public const NOTE = 'note';

    /** It does not work. */
    public const PROBLEM = 'problem';

    /**
     * @param string|null $mend what to do about it, in one line
     */
    private function __construct(
        public readonly string $state,
        public readonly string $subject,
        public readonly string $text,
        public readonly ?string $mend = null,
    ) {
    }

    public static function ok(string $subject, string $text): self
    {
        return new self(self::OK, $subject, $text);
    }

    public static function note(string $subject, string $text, string $mend): self
    {
        return new self(self::NOTE, $subject, $text, $mend);
    }

    public static function problem(string $subject, string $text, string $mend): self
    {
        return new self(self::PROBLEM, $subject, $text, $mend);
    }
}
