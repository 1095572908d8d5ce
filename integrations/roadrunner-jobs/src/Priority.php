<?php

declare(strict_types=1);

namespace Amqp1\RoadRunner;

use Spiral\RoadRunner\Jobs\OptionsInterface;
use Spiral\RoadRunner\Jobs\Queue\CreateInfo;

/**
 * RoadRunner's priorities turned round: a lower one is sooner there, a higher one in AMQP.
 *
 * RoadRunner's default, 10, is AMQP's default, 4, and each step sooner there is one step higher here: 1 is 13, 9 is 5, and
 * 14 or more is 0.
 *
 * @internal
 */
final class Priority
{
    private const AMQP_DEFAULT = 4;

    /** @return int<0, 255>|null null for the pipeline's */
    public static function of(int $priority): ?int
    {
        return $priority === OptionsInterface::DEFAULT_PRIORITY
            ? null
            : max(0, min(255, self::AMQP_DEFAULT + CreateInfo::PRIORITY_DEFAULT_VALUE - $priority));
    }
}
