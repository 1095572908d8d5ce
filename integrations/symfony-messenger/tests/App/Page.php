<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests\App;

/** A message that is handled in batches. */
class Page
{
    public function __construct(public int $number = 0)
    {
    }
}
