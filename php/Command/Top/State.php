<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

use Amqp1\Console\ExitCode;

/**
 * How it stands with a queue's figures.
 *
 * @internal
 */
enum State: string
{
    /** Asked for the first time. */
    case Asked = 'asked';

    /** They are there. */
    case Ok = 'ok';

    /** The broker takes long to answer; the figures are its last ones. */
    case Late = 'late';

    /** The broker was not reached, was lost, or refused the login. */
    case Down = 'down';

    /** No answer within the timeout. */
    case Silent = 'silent';

    /** There is no such queue. */
    case Missing = 'missing';

    /** The broker does not tell them, or something else went wrong. */
    case Error = 'error';

    /** @param int $code one of ExitCode's */
    public static function after(int $code): self
    {
        return match ($code) {
            ExitCode::CONNECTION => self::Down,
            ExitCode::TIMEOUT => self::Silent,
            ExitCode::NOT_FOUND => self::Missing,
            default => self::Error,
        };
    }

    /** Whether the last figures, if there are any, still say something. */
    public function hasFigures(): bool
    {
        return $this === self::Ok || $this === self::Late;
    }
}
