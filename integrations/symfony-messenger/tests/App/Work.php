<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests\App;

/** A message. Its handler writes a line of it. */
class Work
{
    /** @param string $do ok, fail, fail-once, fail-until-fixed, poison, or sleep:SECONDS */
    public function __construct(public int $number = 0, public string $do = 'ok', public string $body = '')
    {
    }
}
